"""The command from outside, in a folder of its own; and the proof that nothing of it is left running."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import toolkit

REPOSITORY = Path(toolkit.__file__).parents[1]

HEAD = '''
"""What becomes of a trial that misbehaves?"""
import ctypes, os, resource, signal, subprocess, sys, time
from pathlib import Path

import numpy as np

from toolkit import Experiment

FOLDER = Path({folder!r})
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def grandchild(**settings):
    # The folder among its arguments lets the test find it.
    return subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)", str(FOLDER)], **settings)


def note(word):
    with (FOLDER / "log").open("a") as log:
        log.write(f"{{word}}\\n")


def seen():
    # Who watches a trial notes what it has started: once that is there, the trial was looked at.
    folder = Path(sys.orig_argv[-1].split("main(")[1].split(", ")[1].strip(")'")).parent
    sleeper = subprocess.Popen(["sleep", "600", str(FOLDER)])
    while not (folder / "descendants").exists():
        time.sleep(0.001)
    sleeper.kill()
    sleeper.wait()


'''


class Bench:
    """A folder of its own, in which commands run as they would for a user."""

    def __init__(self, folder):
        self.folder = folder
        self.results = folder / "results"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.started = []

    def write(self, body, name="faulty"):
        """Write a script: what every one begins with, and `body`."""
        script = self.folder / f"{name}.py"
        script.write_text(HEAD.format(folder=str(self.folder)) + body)
        return script

    def start(self, *words, program=("-m", "toolkit"), before=()):
        process = subprocess.Popen(
            [*before, sys.executable, *program, *map(str, words)],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                "TMPDIR": str(self.temporary),
                "COLUMNS": "200",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *words, **settings):
        """Run a command to its end: it shows no traceback of the toolkit."""
        process = self.start(*words, **settings)
        process.out, process.err = process.communicate(timeout=1200)
        assert "Traceback" not in process.err
        return process

    def log(self):
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    def processes(self):
        """Return what runs and knows of the folder, but for zombies."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            line = process.info["cmdline"] or []
            if process.info["status"] != psutil.STATUS_ZOMBIE and any(
                str(self.folder) in word for word in line
            ):
                found.append(process)
        return found

    def nothing_runs(self):
        """Wait until nothing runs: what was killed may take a moment to go."""
        eventually(lambda: not self.processes())
        return True

    def close(self):
        for process in self.started:
            process.kill()
            process.communicate()
        for process in self.processes():
            process.kill()


def eventually(condition, seconds=300):
    """Wait until a condition holds, on a machine of any speed."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory):
    made = Bench(tmp_path_factory.mktemp("faults"))
    yield made
    made.close()


@pytest.fixture(name="eventually")
def _eventually():
    return eventually
