"""Trials to store, a store that holds some, and processes and file systems of their own to break it with."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import toolkit
from toolkit.store import write
from toolkit.trials import Outcome, Trial

MakeTrial: TypeAlias = Callable[..., Trial]
MakeOutcome: TypeAlias = Callable[..., Outcome]
Start: TypeAlias = Callable[..., "subprocess.Popen[str]"]

#: What every script of another process begins with.
PRELUDE = """
import os, signal, subprocess, sys
from pathlib import Path
from toolkit.store import BadStore, StoreLocked, StoreUnwritable
from toolkit.store.write import Writer
from toolkit.trials import Outcome, Trial

results = Path(sys.argv[1])

def trial(replicate):
    return Trial(experiment="e", script="e.py", factors={"n": 8}, constants={}, measure="traced",
                 replicate=replicate, seed=1, deadline_seconds=9.0, code_digest="c0de")

def outcome(size=2000):
    samples = [(index * 2654435761) % 2**40 for index in range(size)]
    return Outcome(status="ok", exit_code=0, series={"rss_bytes": samples}, started_at=1.0,
                   elapsed_seconds=1.0)
"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def make_trial() -> MakeTrial:
    def make(replicate: int = 0, **changes: Any) -> Trial:
        fields: dict[str, Any] = {
            "experiment": "step17",
            "script": "/somewhere/step17.py",
            "factors": {"references": "weak", "n": 1000},
            "constants": {"iterations": 400},
            "measure": "resident",
            "replicate": replicate,
            "seed": 7,
            "deadline_seconds": 10.0,
            "code_digest": "c0de",
        }
        return Trial(**{**fields, **changes})

    return make


@pytest.fixture
def make_outcome() -> MakeOutcome:
    def make(status: str = "ok", **changes: Any) -> Outcome:
        fields: dict[str, Any] = {
            "status": status,
            "exit_code": 0 if status == "ok" else 1,
            "message": "" if status == "ok" else "Traceback: it broke",
            "metrics": {"peak_rss_bytes": 8_003_584, "wall_seconds": 0.1 + 0.2},
            "series": {"rss_bytes": [4096, 8192, 4096], "position_seconds": [0.0, 0.1, 0.25]},
            "conditions": {"python": "3.11.7", "gc_threshold0": 700, "exact": True},
            "started_at": 1_700_000_000.5,
            "elapsed_seconds": 1.25,
        }
        return Outcome(**{**fields, **changes})

    return make


@pytest.fixture
def filled(results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome) -> Path:
    """Return a folder whose store holds one run of six trials, the last of which failed."""
    with write.Writer(results) as store:
        run = store.begin_run({"git": {"commit": "abc123"}, "command": ["toolkit", "run"]})
        for replicate in range(5):
            store.add(run, make_trial(replicate), make_outcome(message=f"trial number {replicate}"))
        store.add(run, make_trial(5), make_outcome("error"))
        store.end_run(run)
    return results


@pytest.fixture
def start() -> Start:
    """Return a function that runs a script in another process, with the folder of results as its argument."""

    def begin(
        script: str, results: Path, *arguments: str, before: Sequence[str] = ()
    ) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*before, sys.executable, "-c", PRELUDE + script, str(results), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(toolkit.__file__).parents[1])},
        )

    return begin


@pytest.fixture
def in_namespace(start: Start, own_mounts: list[str]) -> Callable[[str, Path], str]:
    """Return a function that runs a script where it may mount file systems, and returns what it printed."""

    def run(script: str, results: Path) -> str:
        process = start(script, results, before=own_mounts)
        printed, complaint = process.communicate(timeout=300)
        assert process.returncode == 0, complaint
        return printed

    return run
