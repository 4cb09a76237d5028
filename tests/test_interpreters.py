"""Other interpreters: which are taken for what they say, and that what cannot be prepared leaves nothing behind."""

import subprocess
import sys
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
    assert not made_interpreter("3.99").parents[1].exists()


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
