"""Who ran what where: all that figures hang on is described, and no secret is."""

import gc
import hashlib
import json
import mmap
import platform
import subprocess
from pathlib import Path

import numpy as np
import psutil
import pytest

import toolkit
from toolkit import provenance
from toolkit.provenance import describe
from toolkit.trials import host
from toolkit.trials.environment import variables
from toolkit.trials.host import MUST_AGREE

REPOSITORY = Path(toolkit.__file__).parents[1]


@pytest.fixture(scope="module")
def description():
    return describe()


def test_it_is_what_json_can_hold(description):
    assert json.loads(json.dumps(description, allow_nan=False)) == description


def test_it_tells_of_software_and_machine(description):
    expected = {
        "toolkit": toolkit.__version__,
        "python": platform.python_version(),
        "gc_thresholds": list(gc.get_threshold()),
        "numpy": np.__version__,
        "psutil": psutil.__version__,
        "machine": platform.machine(),
        "page_bytes": mmap.PAGESIZE,
        "memory_bytes": psutil.virtual_memory().total,
    }
    assert {name: description[name] for name in expected} == expected
    assert description["cpu_count"] >= 1


@pytest.mark.skipif(platform.system() != "Linux", reason="these are told by Linux")
def test_on_linux_it_tells_of_kernel_and_library(description):
    assert description["kernel"] == f"Linux {platform.release()}"
    assert description["libc"]
    assert description["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_what_must_agree_is_described(description):
    assert set(MUST_AGREE) <= description.keys()


def test_it_tells_which_code_it_was():
    description = describe()
    lock = hashlib.sha256((REPOSITORY / "requirements.lock").read_bytes()).hexdigest()
    assert description["lock_sha256"] == lock
    commit = subprocess.run(
        ["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    assert description["git_commit"] == commit.stdout.strip()
    assert isinstance(description["git_dirty"], bool)


def test_a_changed_file_makes_it_dirty(tmp_path, monkeypatch):
    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    clean = describe()
    (tmp_path / "file").write_text("two")
    assert (clean["git_dirty"], describe()["git_dirty"]) == (False, True)
    assert len(clean["git_commit"]) == 40


def test_outside_of_git_and_without_git_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    told = describe()
    assert (told["git_commit"], told["git_dirty"], told["lock_sha256"]) == (None, None, "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (describe()["git_commit"], describe()["git_dirty"]) == (None, None)


def test_of_the_environment_it_tells_what_trials_are_given_and_no_secret(monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", "/of/mine")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    told = describe()
    assert told["memory_environment"] == variables("resident", {}) == variables("traced", {})
    assert told["timed_environment"] == variables("timed", {})
    assert told["memory_environment"]["OMP_NUM_THREADS"] == "1"
    for measure in ("memory", "timed"):
        assert told[f"{measure}_environment"]["LD_LIBRARY_PATH"] == "/of/mine"
        assert "MALLOC_ARENA_MAX" not in told[f"{measure}_environment"]
    assert "hunter2" not in json.dumps(told)


def test_a_machine_that_tells_nothing_of_itself_is_described_too(monkeypatch):
    monkeypatch.setattr(host, "_read", lambda path: "")
    told = describe()
    assert told["transparent_hugepages"] == told["boot_id"] == ""
    assert isinstance(told["cpu"], str)


def test_a_file_that_is_not_there_tells_nothing(tmp_path):
    assert host._read(tmp_path / "nothing") == ""
