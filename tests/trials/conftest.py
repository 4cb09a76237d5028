"""Workloads to run as trials, and the proof that nothing of a trial is left behind."""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from textwrap import dedent

import psutil
import pytest

from toolkit.trials import Trial
from toolkit.trials.levels import workload_levels
from toolkit.trials.supervisor import supervise

#: What every script begins with; FOLDER is a folder of the test's own.
HEAD = """
import ctypes, os, resource, signal, subprocess, sys, time
from pathlib import Path

import numpy as np

from toolkit import Experiment, Variable, square

FOLDER = {folder!r}
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def sleep_in_a_grandchild():
    # FOLDER among its arguments lets the test find it.
    return subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)", FOLDER])


def seen():
    # Who watches a trial notes what it has started: once that is there, the trial was looked at.
    folder = Path(sys.orig_argv[-1].split("main(")[1].split(", ")[1].strip(")'")).parent
    sleeper = sleep_in_a_grandchild()
    while not (folder / "descendants").exists():
        time.sleep(0.001)
    sleeper.kill()
    sleeper.wait()


"""


@contextmanager
def leaving_nothing(folder):
    """Prove that what runs inside leaves neither a process that knows of `folder` nor a file of its own."""
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(temporary))
        yield
    assert list(temporary.iterdir()) == []
    # What was killed may take a moment to go.
    deadline = time.monotonic() + 300
    while left := processes_of(folder):
        assert time.monotonic() < deadline, [process.cmdline() for process in left]
        time.sleep(0.02)


def processes_of(folder):
    """Return the processes, but for zombies, whose command line tells of `folder`."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in line):
            found.append(process)
    return found


def trials_in(folder):
    """Return a function that makes a trial of a workload, of which it is given the body."""
    made = []

    def make(
        body, measure="timed", *, deadline_seconds=300.0, factors=None, constants=None, seed=0, **limits
    ):
        levels = {**(factors or {}), **(constants or {})}
        keywords = [*workload_levels(levels)]
        signature = ", ".join(["trial", *(["*", *keywords] if keywords else [])])
        lines = "\n    ".join(dedent(body).strip().splitlines())
        script = folder / f"script{len(made)}.py"
        made.append(script)
        script.write_text(
            HEAD.format(folder=str(folder))
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
            **limits,
        )

    return make


@pytest.fixture
def make_trial(tmp_path):
    with leaving_nothing(tmp_path):
        yield trials_in(tmp_path)


@pytest.fixture
def run(make_trial):
    """Return a function that runs the body of a workload as a trial and returns its outcome."""

    def run_one(body, measure="timed", **settings):
        return supervise(make_trial(body, measure, **settings))

    return run_one


@pytest.fixture(scope="module")
def side_by_side(tmp_path_factory):
    """Return a function that runs many trials at once, given the settings of each by name."""
    folder = tmp_path_factory.mktemp("trials")
    make = trials_in(folder)

    def run_all(settings):
        trials = [make(**one) for one in settings.values()]
        with leaving_nothing(folder), ThreadPoolExecutor(4) as executor:
            return dict(zip(settings, executor.map(supervise, trials), strict=True))

    return run_all


@pytest.fixture
def eventually():
    """Return a function that waits until a condition holds, on a machine of any speed."""

    def wait_for(condition):
        deadline = time.monotonic() + 300
        while not condition():
            assert time.monotonic() < deadline, "it never came to be"
            time.sleep(0.02)

    return wait_for
