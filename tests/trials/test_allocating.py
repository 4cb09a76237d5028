"""The factor malloc: that a trial gets the allocator that its level names, and that a missing one is told of."""

import ctypes.util
import json
import subprocess
import sys

import pytest

from toolkit.trials import allocating
from toolkit.trials.allocating import MALLOC_LEVELS, malloc_variables, obstacle_to_malloc

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux lets a library take malloc's place"
)

LIBRARIES = [level for level, allocator in MALLOC_LEVELS.items() if allocator.library]
GLIBC = [level for level in MALLOC_LEVELS if level not in LIBRARIES]


@pytest.fixture
def empty(monkeypatch, tmp_path):
    """A machine without libraries, of which one folder is looked into."""
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    monkeypatch.setattr(allocating, "_FOLDERS", (str(tmp_path / "nowhere"), str(tmp_path)))
    allocating._found.cache_clear()
    yield tmp_path
    allocating._found.cache_clear()


def test_a_missing_library_is_told_of_with_the_package_that_brings_it(empty):
    assert obstacle_to_malloc("jemalloc") == "no libjemalloc.so here; Debian's package libjemalloc2 brings it"
    for level in LIBRARIES:
        assert MALLOC_LEVELS[level].package in obstacle_to_malloc(level)
        with pytest.raises(FileNotFoundError, match="brings it"):
            malloc_variables(level)


@pytest.mark.parametrize("level", GLIBC)
def test_what_needs_no_library_is_always_here(empty, level):
    assert obstacle_to_malloc(level) == ""
    assert "LD_PRELOAD" not in malloc_variables(level)


def test_a_library_that_the_linker_does_not_know_is_found_in_the_usual_folders(empty):
    library = empty / "libmimalloc.so.2"
    library.touch()
    assert obstacle_to_malloc("mimalloc") == ""
    assert malloc_variables("mimalloc") == {"LD_PRELOAD": str(library)}


def test_elsewhere_than_on_linux_no_library_will_do(empty, monkeypatch):
    (empty / "libjemalloc.so.2").touch()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "only Linux" in obstacle_to_malloc("jemalloc")


def here(levels):
    return [
        pytest.param(level, marks=pytest.mark.skipif(bool(why := obstacle_to_malloc(level)), reason=why))
        for level in levels
    ]


@pytest.mark.parametrize("level", here(MALLOC_LEVELS))
@pytest.mark.parametrize("measure", ["resident", "traced", "timed"])
def test_a_trial_runs_with_the_allocator_of_its_level_and_names_it(run, level, measure):
    outcome = run("return np.ones(n)", measure, factors={"malloc": level, "n": 100_000})
    assert outcome.status == "ok", outcome.message
    name = level if level in LIBRARIES else "glibc"
    assert outcome.conditions["allocator"].startswith(f"{name} ")
    assert any(letter.isdigit() for letter in outcome.conditions["allocator"])
    assert outcome.conditions["trimmed_by"] != "nothing"


@pytest.mark.parametrize("level", here(LIBRARIES))
def test_a_library_that_the_linker_passed_by_fails_the_trial(run, monkeypatch, level, tmp_path):
    # The linker warns of what is no library, and goes on with glibc.
    broken = tmp_path / f"lib{MALLOC_LEVELS[level].library}.so"
    broken.write_text("no library")
    monkeypatch.setattr(allocating, "_found", lambda library: str(broken))
    outcome = run("pass", factors={"malloc": level})
    assert outcome.status == "error"
    assert f"malloc is not served by lib{MALLOC_LEVELS[level].library}, but by libc.so.6" in outcome.message


def test_python_passes_every_request_on_to_malloc(run):
    # CPython counts the blocks of its own allocator.
    for level, own in (("fixed", True), ("python", False)):
        outcome = run("trial.record(blocks_count=sys.getallocatedblocks())", factors={"malloc": level})
        assert (outcome.metrics["blocks_count"] > 0) is own


HELD = """
import json, sys
import numpy as np
from toolkit.probes.resident import _LinuxReader
from toolkit.trials.trimming import trim

reader = _LinuxReader()
trim()
before = reader.current()
arrays = [np.ones(100_000) for _ in range(40)]
full = reader.current()
del arrays
dropped = reader.current()
trim()
print(json.dumps([one - before for one in (full, dropped, reader.current())]))
"""


@pytest.mark.parametrize("level", here(["heap", "jemalloc", "mimalloc", "tcmalloc"]))
def test_what_an_allocator_keeps_its_own_call_gives_back(level):
    words = [sys.executable, "-c", HELD]
    answer = subprocess.run(words, env=malloc_variables(level), capture_output=True, check=True, text=True)
    full, dropped, trimmed = json.loads(answer.stdout)
    assert dropped > full / 2
    # mimalloc gives back after a delay, and not all of it.
    assert trimmed < (dropped if level == "mimalloc" else full / 10)
