"""Workloads to run as trials, and the proof that nothing of a trial is left behind."""

import tempfile
import time
from textwrap import dedent

import psutil
import pytest

from toolkit.trials import Trial
from toolkit.trials.supervisor import supervise

#: What every script begins with; FOLDER is a folder of the test's own.
HEAD = """
import ctypes, os, signal, subprocess, sys, time
from pathlib import Path

import numpy as np

from toolkit import Experiment, Variable, square

FOLDER = {folder!r}


def sleep_in_a_grandchild(code="import time; time.sleep(600)"):
    # FOLDER among its arguments lets the test find it.
    return subprocess.Popen([sys.executable, "-S", "-c", code, FOLDER])


"""


def processes_of(folder):
    """Return the processes, but for zombies, whose command line tells of `folder`."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in line):
            found.append(process)
    return found


@pytest.fixture
def nothing_left(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield
    assert list(temporary.iterdir()) == []
    left = processes_of(tmp_path)
    # A process that was killed may take a moment to go.
    _, alive = psutil.wait_procs(left, timeout=2)
    for process in alive:
        process.kill()
    assert not alive


@pytest.fixture
def make_trial(tmp_path, nothing_left):
    """Return a function that makes a trial of a workload, of which it is given the body."""
    made = []

    def make(body, measure="timed", *, deadline_seconds=30.0, factors=None, constants=None, seed=0):
        levels = {**(factors or {}), **(constants or {})}
        keywords = [name for name in levels if name not in NOT_FOR_WORKLOADS]
        signature = ", ".join(["trial", *(["*", *keywords] if keywords else [])])
        lines = "\n    ".join(dedent(body).strip().splitlines())
        script = tmp_path / f"script{len(made)}.py"
        made.append(script)
        script.write_text(
            HEAD.format(folder=str(tmp_path))
            + f"def workload({signature}):\n    {lines}\n\n\nEXPERIMENT = Experiment(workload, factors={{}})\n"
        )
        return Trial(
            experiment=script.stem,
            script=str(script),
            factors=factors or {},
            constants=constants or {},
            measure=measure,
            replicate=0,
            seed=seed,
            deadline_seconds=deadline_seconds,
            code_digest="c0de",
        )

    return make


NOT_FOR_WORKLOADS = (
    "gc",
    "malloc",
    "python",
    "engine",
    "references",
    "traversal",
    "retain_grad",
    "enable_backprop",
)


@pytest.fixture
def run(make_trial):
    """Return a function that runs the body of a workload as a trial and returns its outcome."""

    def run_one(body, measure="timed", **settings):
        return supervise(make_trial(body, measure, **settings))

    return run_one


@pytest.fixture
def eventually():
    """Return a function that waits until a condition holds."""

    def wait_for(condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it never came to be"
            time.sleep(0.02)

    return wait_for
