"""What a run shows of its progress: plain lines, or a bar where there is a terminal to draw it on."""

import os
import pty
import re
import select
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import toolkit
from toolkit import progress
from toolkit.runner import Summary
from toolkit.trials import Outcome, Trial

TRIAL = Trial(
    experiment="step17",
    script="step17.py",
    factors={"references": "weak", "n": 8},
    constants={"k": 3},
    measure="traced",
    replicate=2,
    seed=0,
    deadline_seconds=9.0,
    code_digest="c0de",
)
OK = Outcome(status="ok", exit_code=0, started_at=1.0, elapsed_seconds=1.0)
FAILED = replace(OK, status="crash", exit_code=-11, message="ended by SIGSEGV\nthe last of what it wrote")
RAISED = replace(OK, status="error", exit_code=1, message="Traceback:\n  line 1\nValueError: no")


class Clock:
    now = 100.0


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(progress, "monotonic", lambda: Clock.now)
    monkeypatch.setattr(Clock, "now", 100.0)
    return Clock


@pytest.fixture
def said(capsys):
    return lambda: capsys.readouterr().err.splitlines()


def test_a_trial_is_described_in_one_line():
    assert progress.describe(TRIAL) == "step17 references=weak n=8 traced #2"


def test_no_escape_of_a_trial_reaches_a_terminal(said):
    summary = Summary(planned=1, finished_before=0)
    hostile = "\x1b]0;mine\x07\x1b[2J \ud800 \u202e 한국어"
    with progress.showing() as tell:
        tell(summary, replace(TRIAL, factors={"label": hostile}), replace(FAILED, message=hostile))
    (line,) = said()
    shown = "\\x1b]0;mine\\x07\\x1b[2J \\ud800 \\u202e 한국어"
    assert line.isprintable() and line.count(shown) == 2


def test_without_a_terminal_there_are_plain_lines_at_most_every_two_seconds(clock, said):
    summary = Summary(planned=10, finished_before=6)
    with progress.showing() as tell:
        tell(summary, None, None)
        assert said() == ["4 trials to run, 6 of 10 are finished"]
        spoken = []
        for _ in range(4):
            clock.now += 1.5
            summary.ok += 1
            tell(summary, TRIAL, OK)
            spoken.append(said())
    line = "step17 references=weak n=8 traced #2  ETA"
    assert spoken == [[], [f"[2/4] {line} 3 s"], [], [f"[4/4] {line} 0 s"]]


def test_a_run_that_was_cut_off_is_said_to_be_resumed(said):
    with progress.showing() as tell:
        tell(Summary(planned=9, finished_before=4, resumes=3), None, None)
    assert said() == ["run 3 was cut off and is resumed: 5 trials to run, 4 of 9 are finished"]


def test_what_is_tried_again_has_not_failed_yet(said):
    killed = replace(FAILED, status="killed", exit_code=-9, message="ended by SIGKILL from outside")
    with progress.showing() as tell:
        tell(Summary(planned=2, finished_before=0, tried_again=1, goes_on=True), TRIAL, killed)
    assert said() == [
        "to be tried again: step17 references=weak n=8 traced #2: killed (exit code -9) ended by SIGKILL from "
        "outside"
    ]


def test_a_failure_is_told_at_once_with_its_reason(clock, said):
    summary = Summary(planned=2, finished_before=0)
    with progress.showing() as tell:
        tell(summary, None, None)
        summary.failed += 1
        tell(summary, TRIAL, FAILED)
        tell(summary, TRIAL, RAISED)
        tell(summary, TRIAL, replace(FAILED, message=""))
    assert said() == [
        "2 trials to run",
        "failed: step17 references=weak n=8 traced #2: crash (exit code -11) ended by SIGSEGV",
        "failed: step17 references=weak n=8 traced #2: error (exit code 1) ValueError: no",
        "failed: step17 references=weak n=8 traced #2: crash (exit code -11) ",
    ]


def test_where_nothing_is_to_do_that_is_said(said):
    with progress.showing() as tell:
        tell(Summary(planned=3, finished_before=3), None, None)
    assert said() == ["0 trials to run, 3 of 3 are finished"]


SCRIPT = """
from toolkit import Experiment

def workload(trial, *, label):
    if "bold" in label:
        raise RuntimeError("[red]broken[/red]")

EXPERIMENT = Experiment(
    workload, factors={"label": ["plain", "[bold]"]}, measures=["timed"], replicates={"timed": 1}
)
"""


@pytest.fixture
def on_a_terminal(tmp_path):
    """Return a function that runs a command line with a terminal for its errors, and returns what is drawn."""

    def run(*words):
        drawn, terminal = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "toolkit", *words],
            cwd=tmp_path,
            env={
                **{name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CI")},
                "PYTHONPATH": str(Path(toolkit.__file__).parents[1]),
                "TERM": "xterm",
                "COLUMNS": "150",
            },
            stdout=subprocess.PIPE,
            stderr=terminal,
            text=True,
        )
        os.close(terminal)
        seen = b""
        try:
            while select.select([drawn], [], [], 300)[0]:
                seen += os.read(drawn, 65536)
        except OSError:
            pass  # This is how a terminal says that nobody writes to it any more.
        finally:
            os.close(drawn)
        out, _ = process.communicate(timeout=300)
        return process.returncode, out, seen.decode()

    return run


def test_on_a_terminal_there_is_a_bar(on_a_terminal, tmp_path):
    (tmp_path / "mine.py").write_text(SCRIPT)
    code, out, seen = on_a_terminal("run", "mine.py")
    assert code == 3
    assert out.splitlines()[0] == "2 trials: 1 run, 0 finished before, 1 failed"
    assert "\x1b[" in seen
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen)
    assert "━" in plain
    assert "ETA" in plain
    assert "2/2" in plain
    assert "2 trials to run" in plain
    assert "mine label=plain timed #0" in plain
    # What looks like markup is shown as it is.
    assert "failed: mine label=[bold] timed #0: error (exit code 1) RuntimeError: [red]broken[/red]" in plain
    assert "Traceback" not in plain


def test_what_takes_long_is_named_on_a_terminal_and_nowhere_else(monkeypatch, capsys):
    with progress.working("drawing the report"):
        pass
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress.working("drawing the report"):
        pass
    out, err = capsys.readouterr()
    assert (out, "drawing the report" in err) == ("", True)
