"""The environment of a trial, as its workload finds it."""

import json
import stat
import sys
from pathlib import Path

import pytest

from toolkit.trials import MEASURES, environment
from toolkit.trials.allocating import MALLOC_LEVELS, malloc_variables, obstacle_to_malloc
from toolkit.trials.environment import (
    can_fix_addresses,
    can_import,
    command,
    interpreter,
    made_interpreter,
    obstacle_to_trials,
    obstacle_to_version,
    variables,
)
from toolkit.trials.levels import THIS_PYTHON
from toolkit.trials.marking import mark

LOOK_AROUND = """
import json
held = np.ones(100_000)
Path(into).write_text(json.dumps({
    "variables": dict(os.environ),
    "hash": hash("toolkit"),
    "addresses": [held.ctypes.data, ctypes.cast(ctypes.pythonapi.Py_GetVersion, ctypes.c_void_p).value],
    "path": sys.path,
}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory, side_by_side):
    """Return what two trials of each measure find where the environment holds a secret and bad settings."""
    folder = tmp_path_factory.mktemp("found")
    files = {
        (measure, replicate): folder / f"{measure}{replicate}" for measure in MEASURES for replicate in (0, 1)
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "SECRET_TOKEN": "hunter2",
            "PYTHONHASHSEED": "77",
            "PYTHONPATH": "/somewhere",
            "PYTHONMALLOC": "malloc",
            "MALLOC_ARENA_MAX": "7",
            "OMP_NUM_THREADS": "7",
        }.items():
            patch.setenv(name, value)
        outcomes = side_by_side(
            {
                key: {"body": LOOK_AROUND, "measure": key[0], "constants": {"into": str(file)}}
                for key, file in files.items()
            }
        )
    assert {outcome.status for outcome in outcomes.values()} == {"ok"}
    return {
        key: {**json.loads(file.read_text()), "told": outcomes[key].conditions} for key, file in files.items()
    }


@pytest.mark.parametrize("measure", MEASURES)
def test_a_secret_does_not_reach_a_trial(found, measure):
    there = found[measure, 0]["variables"]
    assert "hunter2" not in there.values()
    # Python itself sets LC_CTYPE where the locale is C.
    assert (
        there.keys()
        <= {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "TMPDIR"}
        | mark(Path()).keys()
        | variables(measure, {}).keys()
    )
    assert "/somewhere" not in found[measure, 0]["path"]


@pytest.mark.parametrize("measure", ["resident", "traced"])
def test_memory_is_measured_with_fixed_thresholds_one_thread_and_a_fixed_hash(found, measure):
    there = found[measure, 0]["variables"]
    assert there["MALLOC_MMAP_THRESHOLD_"] == "65536"
    assert {"MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"} <= there.keys()
    assert there["OMP_NUM_THREADS"] == there["OPENBLAS_NUM_THREADS"] == "1"
    assert there["PYTHONHASHSEED"] == "0"
    assert found[measure, 0]["hash"] == found[measure, 1]["hash"]


def test_time_is_measured_in_the_plain_environment_with_one_thread(found):
    there = found["timed", 0]["variables"]
    assert not [name for name in there if name.startswith(("MALLOC_", "PYTHON"))]
    threads = {name: there[name] for name in there if name.startswith(("OMP_", "OPENBLAS_", "MKL_"))}
    assert threads == dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1")
    assert found["timed", 0]["hash"] != found["timed", 1]["hash"]


@pytest.mark.parametrize("measure", ["resident", "traced"])
def test_memory_is_measured_at_the_same_addresses_where_that_is_allowed(found, measure):
    conditions = [found[measure, replicate]["told"]["address_randomisation"] for replicate in (0, 1)]
    assert conditions == [not can_fix_addresses()] * 2
    if can_fix_addresses():
        assert found[measure, 0]["addresses"] == found[measure, 1]["addresses"]


def test_time_is_measured_with_addresses_at_random(found):
    assert found["timed", 0]["told"]["address_randomisation"] is True


def test_without_setarch_addresses_stay_at_random(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "can_fix_addresses", lambda: False)
    assert command("resident", {}, tmp_path, tmp_path)[0] == sys.executable
    monkeypatch.setattr(environment, "can_fix_addresses", lambda: True)
    assert command("resident", {}, tmp_path, tmp_path)[:3] == ["setarch", "-R", sys.executable]
    assert command("timed", {}, tmp_path, tmp_path)[0] == sys.executable


def test_whether_addresses_can_be_fixed_is_asked_of_the_system(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert can_fix_addresses.__wrapped__() is False
    refusing = tmp_path / "setarch"
    refusing.write_text("#!/bin/sh\nexit 1\n")
    refusing.chmod(0o755)
    assert can_fix_addresses.__wrapped__() is False
    refusing.write_text("#!/bin/sh\nexit 0\n")
    assert can_fix_addresses.__wrapped__() is True


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("level", [level for level in MALLOC_LEVELS if not obstacle_to_malloc(level)])
def test_the_factor_malloc_overrules_the_choice_of_allocator(measure, level):
    there = variables(measure, {"malloc": level})
    asked = ("MALLOC_", "PYTHONMALLOC", "LD_PRELOAD")
    assert {name: value for name, value in there.items() if name.startswith(asked)} == malloc_variables(level)


def test_the_interpreter_is_this_one_unless_another_is_asked_for(tmp_path, monkeypatch):
    assert interpreter({}) == interpreter({"python": "this"}) == sys.executable
    other = tmp_path / "python-of-mine"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert interpreter({"python": str(other)}) == str(other)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interpreter({"python": "python-of-mine"}) == str(other)
    other.chmod(stat.S_IRUSR)
    for missing in ("python-of-mine", str(tmp_path / "nowhere")):
        with pytest.raises(FileNotFoundError, match="no interpreter"):
            interpreter({"python": missing})


def test_a_version_is_this_interpreter_or_the_one_of_the_set_up_or_one_on_the_path(tmp_path, monkeypatch):
    assert interpreter({"python": THIS_PYTHON}) == sys.executable
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "3.99" in obstacle_to_version("3.99")
    named, made = tmp_path / "python3.99", made_interpreter("3.99")
    made.parent.mkdir(parents=True)
    for path in (named, made):
        path.write_text("#!/bin/sh\necho 3 99; echo 2.0.1\n")
        path.chmod(0o755)
        assert interpreter({"python": "3.99"}) == str(path)
    assert obstacle_to_version("3.99") == ""


@pytest.fixture
def program(tmp_path):
    def write(text):
        path = tmp_path / f"program{len(list(tmp_path.iterdir()))}"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("text", "obstacle"),
    [
        ("echo 3 11; echo 2.0.1", ""),
        ("echo 3 14; echo 10.0.0", ""),
        ("echo 3 10; echo 2.0.1", "is Python 3.10"),
        ("echo 2 7", "is Python 2.7"),
        ("echo 3 12; echo no module named numpy >&2; exit 1", "cannot import numpy"),
        ("echo 3 12; echo 1.26.4", "has numpy 1.26.4"),
        ("echo hello", "is no Python 3"),
        ("exit 1", "is no Python 3"),
        ("echo 'not here' >&2; echo more >&2; exit 127", "is no Python 3; it says 'not here'"),
        ("printf '\\377\\n'", "is no Python 3"),
    ],
)
def test_an_interpreter_that_cannot_run_trials_is_known_before(program, text, obstacle):
    assert obstacle_to_trials(program(text)) == obstacle


def test_a_file_that_is_no_program_is_no_interpreter(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"\x7fELF but not really")
    path.chmod(0o755)
    assert obstacle_to_trials(str(path)) == "is no Python 3"


def test_an_interpreter_is_asked_once(program, tmp_path):
    asked = tmp_path / "asked"
    path = program(f"echo once >> {asked}; echo 3 11; echo 2.0.1")
    assert obstacle_to_trials(path) == obstacle_to_trials(path) == ""
    assert asked.read_text() == "once\n"


def test_a_real_interpreter_without_numpy_is_found_out(tmp_path):
    # The interpreter that virtual environments are made from finds no packages in an empty one.
    base = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    (tmp_path / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(base)
    assert obstacle_to_trials(str(tmp_path / "bin" / "python")) == "cannot import numpy"


def test_a_library_is_found_or_not():
    assert can_import(sys.executable, "memory_profiler")
    assert not can_import(sys.executable, "no_library_of_that_name")


def test_this_interpreter_can_run_trials():
    assert obstacle_to_trials(sys.executable) == ""
    assert obstacle_to_trials.__wrapped__(sys.executable) == ""
