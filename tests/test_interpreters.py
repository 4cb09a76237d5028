"""Other interpreters: which are taken for what they say, and that what cannot be prepared leaves nothing behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toolkit import interpreters
from toolkit.interpreters import candidates, prepare, requirement
from toolkit.trials.environment import made_interpreter
from toolkit.trials.levels import PYTHONS, THIS_PYTHON

LOCK = (Path(__file__).parents[1] / "requirements.lock").read_text()


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Return a folder that is the whole PATH, with neither pyenv nor prepared interpreters."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    return tmp_path


def program(path, text):
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_lock_file_tells_one_package_with_its_hashes():
    first, *others = requirement(LOCK, "numpy").splitlines()
    assert first.startswith("numpy==")
    assert sum("--hash=sha256:" in line for line in others) > 10
    assert not [line for line in others if line[0] not in " #"]
    with pytest.raises(ValueError, match="does not pin nothing-of-the-kind"):
        requirement(LOCK, "nothing-of-the-kind")


def test_candidates_are_those_of_the_path_and_then_of_pyenv(nowhere):
    first = program(nowhere / "bin" / "python3.99", "exit 127")
    second = program(nowhere / "pyenv" / "versions" / "3.99.1" / "bin" / "python3.99", "exit 127")
    assert list(candidates("3.99")) == [first, second]


@pytest.mark.parametrize(
    "answer", ["exit 127", "echo pypy 3 99 True", "echo cpython 3 98 True", "echo cpython 3 99 False"]
)
def test_what_is_broken_or_another_python_is_passed_over(nowhere, answer):
    program(nowhere / "bin" / "python3.99", answer)
    assert prepare("3.99", requirement(LOCK, "numpy")) == ""
    assert not made_interpreter("3.99").parents[1].exists()


def test_one_that_cannot_be_prepared_is_told_of_in_a_line_and_leaves_nothing(nowhere):
    answers = 'case "$*" in *"import sys"*) echo cpython 3 99 True;; *) echo no room >&2; exit 1;; esac'
    path = program(nowhere / "bin" / "python3.99", answers)
    assert prepare("3.99", "") == f"Python 3.99 ({path}) is left out of the trials: no room"
    assert not [one for one in (nowhere / "prefix").rglob("*") if one.is_file()]


#: A Python 3.99 that makes environments with an interpreter that can run trials.
MAKES = """case "$*" in
*"import sys, venv"*) echo cpython 3 99 True;;
*) mkdir -p "$4/bin"; printf '#!/bin/sh\\necho 3 99; echo 2.0\\n' >"$4/bin/python"; chmod +x "$4/bin/python";;
esac"""


@pytest.fixture
def works(nowhere, monkeypatch):
    """Return the interpreter of an environment that works, with a pip that installs whatever it is asked for."""
    program(nowhere / "bin" / "python3.99", MAKES)
    monkeypatch.setattr(sys, "executable", program(nowhere / "pip" / "python", "exit 0"))
    monkeypatch.setenv("PATH", f"{nowhere / 'bin'}:/usr/bin:/bin")
    assert "as well" in prepare("3.99", "one\n")
    return made_interpreter("3.99")


def test_an_environment_that_works_goes_only_when_there_is_another(works, nowhere):
    mark = works.parents[1] / "pinned"
    (nowhere / "pip" / "python").write_text("#!/bin/sh\necho no network >&2; exit 1\n")
    told = prepare("3.99", "two\n")
    assert told.endswith("keeps the packages that it had: no network")
    assert (works.is_file(), mark.read_text()) == (True, "one\n")
    (nowhere / "pip" / "python").write_text("#!/bin/sh\nexit 0\n")
    assert "as well" in prepare("3.99", "two\n")
    assert (works.is_file(), mark.read_text()) == (True, "two\n")
    assert [one.name for one in works.parents[2].iterdir()] == ["3.99"]


def test_what_is_interrupted_leaves_the_environment_that_was_there(works, monkeypatch):
    call = interpreters._call

    def interrupted(command):
        if "install" in command:
            raise KeyboardInterrupt
        return call(command)

    monkeypatch.setattr(interpreters, "_call", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare("3.99", "two\n")
    assert [one.name for one in works.parents[2].iterdir()] == ["3.99"]
    assert works.is_file()


def test_ctrl_c_ends_it_with_130_and_no_traceback(nowhere):
    """A terminal sends SIGINT to all that run in front: here to a Python that takes long to answer as well."""
    for version in PYTHONS:
        program(nowhere / version / f"python{version}", "exec /bin/sleep 60")
    path = ":".join(str(nowhere / version) for version in PYTHONS)
    lock = nowhere / "requirements.lock"
    lock.write_text(LOCK)
    code = f"import sys; sys.prefix = {str(nowhere)!r}; sys.argv = ['', {str(lock)!r}]; import runpy; "
    code += "runpy.run_module('toolkit.interpreters', run_name='__main__')"
    running = subprocess.Popen(
        [sys.executable, "-c", code], env={"PATH": path}, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        wait_for_a_child(running.pid)
        os.killpg(running.pid, signal.SIGINT)
        _, told = running.communicate(timeout=300)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    assert (running.returncode, told) == (130, b"")


def wait_for_a_child(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while not children.read_text():
        time.sleep(0.01)


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize("target", ["report", "reference", "gc_policy"])
def test_every_target_that_runs_experiments_prepares_interpreters_first(target):
    told = subprocess.run(
        ["make", "--dry-run", target],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MAKEFLAGS": ""},
    ).stdout
    assert told.count("toolkit.interpreters") == 1
    assert told.index("toolkit.interpreters") < told.index("toolkit run")


@pytest.mark.slow
def test_a_real_one_gets_the_locked_numpy_once(tmp_path, monkeypatch):
    others = [one for one in PYTHONS if one != THIS_PYTHON]
    here = [one for one in others if any(interpreters._runs(path, one) for path in candidates(one))]
    if not here:
        pytest.skip("no other CPython of 3.11 to 3.13 is installed")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    pinned = requirement(LOCK, "numpy")
    assert "as well" in prepare(here[0], pinned)
    assert prepare(here[0], pinned) == ""
    program = "import numpy, sys; print(numpy.__version__, *sys.version_info[:2])"
    told = subprocess.check_output([str(made_interpreter(here[0])), "-c", program], text=True)
    assert told.split() == [pinned.split()[0].removeprefix("numpy=="), *here[0].split(".")]
