"""The supervisor on workloads that end in every way there is; nothing of any may be left (`leaving_nothing`)."""

import os
import signal
import threading
import time
from dataclasses import dataclass

import pytest

from toolkit.trials.supervisor import end_all, supervise

REAL_TIME_SIGNAL = signal.SIGRTMIN + 3


@dataclass(frozen=True)
class Ending:
    body: str
    status: str
    exit_code: int
    said: str = ""
    measure: str = "timed"
    deadline_seconds: float = 300.0


CUT = """
import atexit
def cut():
    result = Path(sys.orig_argv[-1].split("main(")[1].split(", ")[1].strip(")'"))
    os.truncate(result, result.stat().st_size // 2)
atexit.register(cut)
"""

ENDINGS = {
    "returns": Ending("print('not heeded')", "ok", 0),
    "raises": Ending("raise ValueError('</script> 메모리')", "error", 1, "ValueError: </script> 메모리\n"),
    "raises, resident": Ending("1 / 0", "error", 1, "in workload\n    1 / 0", "resident"),
    "raises, traced": Ending("1 / 0", "error", 1, "in workload\n    1 / 0", "traced"),
    "raises what is no text": Ending("raise ValueError('\\ud800')", "error", 1, "ValueError: \ud800\n"),
    "asks for too much": Ending("np.ones(1 << 60, np.int8)", "mem-error", 1, "MemoryError"),
    "records no number": Ending("trial.record(loss=float('nan'))", "error", 1, "loss must be finite"),
    "yields no number": Ending("trial.recorded['loss'] = float('nan')", "error", 1, "not JSON compliant"),
    "exits": Ending("print('last words'); sys.exit(3)", "exit", 3, "last words"),
    "exits at once": Ending("print('last words', flush=True); os._exit(5)", "exit", 5, "last words"),
    "exits after the result": Ending(
        "import atexit; atexit.register(os._exit, 7)", "exit", 7, "exit code 7 after its result"
    ),
    "ends well without a result": Ending("os._exit(0)", "bad-result", 0, "without a result"),
    "cuts its result short": Ending(CUT, "bad-result", 0, "damaged"),
    "segmentation fault": Ending(
        "print('so far', flush=True); ctypes.string_at(0)",
        "crash",
        -signal.SIGSEGV,
        "ended by SIGSEGV\nso far",
    ),
    "abort": Ending("os.abort()", "crash", -signal.SIGABRT, "ended by SIGABRT"),
    "crashes after the result": Ending("import atexit; atexit.register(os.abort)", "crash", -signal.SIGABRT),
    "signal without a name": Ending(
        f"os.kill(os.getpid(), {REAL_TIME_SIGNAL:d})",
        "crash",
        -REAL_TIME_SIGNAL,
        f"signal {REAL_TIME_SIGNAL:d}",
    ),
    "killed": Ending("os.kill(os.getpid(), signal.SIGKILL)", "killed", -signal.SIGKILL, "ended by SIGKILL"),
    "says too much": Ending(
        "print('x' * 100_000, 'the end'); sys.exit(1)", "exit", 1, "x" * 4000 + " the end"
    ),
    "says what is no text": Ending("os.write(2, b'\\xff\\xfe bytes'); os._exit(1)", "exit", 1, " bytes"),
    "leaves a grandchild": Ending("sleep_in_a_grandchild()", "ok", 0),
    "leaves a grandchild and crashes": Ending(
        "sleep_in_a_grandchild(); ctypes.string_at(0)", "crash", -signal.SIGSEGV
    ),
} | {
    name: Ending(
        body, "timeout", -signal.SIGKILL, "ended at its deadline of 1.5 s", measure, deadline_seconds=1.5
    )
    for name, body, measure in (
        ("hangs in silence", "time.sleep(600)", "timed"),
        ("hangs in its copy", "time.sleep(600)", "traced"),
        ("hangs and is watched", "time.sleep(600)", "resident"),
        ("hangs and talks", "while True: print('still here', flush=True); time.sleep(0.001)", "timed"),
        ("hangs and is deaf", "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)", "timed"),
        ("hangs and is stopped", "os.kill(os.getpid(), signal.SIGSTOP)", "timed"),
        ("hangs with a grandchild", "sleep_in_a_grandchild(); time.sleep(600)", "timed"),
    )
}


@pytest.fixture(scope="module")
def outcomes(side_by_side):
    return side_by_side(
        {
            name: {
                # What fails is to have been looked at before, also by a watch that has no processor for a while.
                "body": one.body if one.status == "ok" else f"seen()\n{one.body.strip()}",
                "measure": one.measure,
                "deadline_seconds": one.deadline_seconds,
            }
            for name, one in ENDINGS.items()
        }
    )


@pytest.mark.parametrize("name", ENDINGS)
def test_each_ending_is_told_for_what_it_is(outcomes, name):
    outcome, expected = outcomes[name], ENDINGS[name]
    assert (outcome.status, outcome.exit_code) == (expected.status, expected.exit_code), outcome.message
    assert expected.said in outcome.message
    assert len(outcome.message) < 4096 + 100
    # A grandchild that keeps the output open sleeps for 600 s.
    assert outcome.elapsed_seconds < 500


@pytest.mark.parametrize("name", [name for name, ending in ENDINGS.items() if ending.status != "ok"])
def test_a_trial_that_failed_has_no_figures_but_what_was_seen_of_it_from_outside(outcomes, name):
    assert outcomes[name].metrics == outcomes[name].conditions == {}
    assert set(outcomes[name].series) == {"outside_rss_bytes", "outside_seconds"}


def test_a_trial_that_did_not_fail_has_no_message(outcomes):
    assert outcomes["returns"].message == ""


def test_levels_seed_and_constants_reach_the_workload(run):
    before = time.time()
    outcome = run(
        """
        from toolkit import current_config
        config = current_config()
        trial.record(right_count=int(
            (n, label, config.references, config.retain_grad) == (8, "a", "strong", True)
            and trial.rng.integers(1 << 40) == np.random.default_rng(11).integers(1 << 40)
        ))
        """,
        factors={"n": 8, "references": "strong", "gc": "off"},
        constants={"label": "a", "retain_grad": True, "malloc": "default"},
        seed=11,
    )
    assert outcome.status == "ok", outcome.message
    assert outcome.metrics["right_count"] == 1
    assert before <= outcome.started_at <= time.time()


def test_a_script_that_cannot_be_imported_in_the_child_is_an_error(make_trial):
    trial = make_trial("pass")
    with open(trial.script, "a") as script:
        script.write("\nraise RuntimeError('not in here')\n")
    outcome = supervise(trial)
    assert outcome.status == "error"
    assert "not in here" in outcome.message


def test_the_descriptors_of_the_supervisor_are_closed(run):
    run("pass", "resident")
    before = len(os.listdir("/proc/self/fd"))
    run("pass", "resident")
    # What an earlier test left to the collector may be closed meanwhile.
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize("missing", ["no such call", "gone already"])
def test_without_the_call_of_linux_it_waits_all_the_same(run, monkeypatch, missing):
    def refuse(process_id):
        raise ProcessLookupError(3, "No such process")

    if missing == "no such call":
        monkeypatch.delattr(os, "pidfd_open")
    else:
        monkeypatch.setattr(os, "pidfd_open", refuse)
    assert run("pass").status == "ok"
    assert run("time.sleep(600)", deadline_seconds=0.5).status == "timeout"


def test_ending_all_ends_what_runs_and_reports_it_as_killed(make_trial, tmp_path, eventually):
    trial = make_trial("(Path(FOLDER) / 'running').touch(); time.sleep(600)")
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(supervise(trial)))
    thread.start()
    eventually((tmp_path / "running").exists)
    end_all()
    thread.join()
    assert outcomes[0].status == "killed"
