"""Trials that misbehave: one run of them all, and what store, report, exit code and machine show."""

import json
import signal
from dataclasses import dataclass
from textwrap import indent

import pytest

from toolkit.store.read import read_store, series

MIB = 1 << 20
#: Of the trials that hang; the others have all the time that a busy machine may need.
DEADLINE_SECONDS = 2.0


@dataclass(frozen=True)
class Fault:
    body: str
    status: str
    exit_code: int | None
    words: str


KILLED = -signal.SIGKILL

FAULTS = {
    "none": Fault("pass", "ok", 0, ""),
    "segfault": Fault("ctypes.string_at(0)", "crash", -signal.SIGSEGV, "ended by SIGSEGV"),
    "abort": Fault("os.abort()", "crash", -signal.SIGABRT, "ended by SIGABRT"),
    "leaves at once": Fault("os._exit(0)", "bad-result", 0, "the trial ended without a result"),
    "raises markup": Fault("raise ValueError('</script>')", "error", 1, "ValueError: </script>"),
    "asks too much": Fault("np.ones(1 << 60, np.int8)", "mem-error", 1, "MemoryError: Unable to allocate"),
    "reserves too much": Fault(
        "held = np.empty(5 << 30, np.int8)", "mem-error", 1, "MemoryError: Unable to allocate 5.00 GiB"
    ),
    "grows": Fault(
        # No farther than the backstop, which a look that comes late would meet.
        "held = []\nwhile len(held) < 200:\n    held.append(np.ones(4 << 20, np.int8)); time.sleep(0.001)\n"
        "time.sleep(600)",
        "mem-limit",
        KILLED,
        "resident, above its limit of 600.0 MiB",
    ),
    "grows in a burst": Fault(
        "held = np.ones(1 << 30, np.int8); time.sleep(600)",
        "mem-limit",
        KILLED,
        "above its limit of 600.0 MiB",
    ),
    "grows in a grandchild": Fault(
        "program = 'import time; held = bytearray(700 << 20); time.sleep(600)'\n"
        "subprocess.run([sys.executable, '-c', program, str(FOLDER)])",
        "mem-limit",
        KILLED,
        "above its limit of 600.0 MiB",
    ),
    "hangs": Fault("time.sleep(600)", "timeout", KILLED, "ended at its deadline of 2 s"),
    "hangs and talks": Fault(
        "while True: print('still here', flush=True); time.sleep(0.01)",
        "timeout",
        KILLED,
        "ended at its deadline of 2 s",
    ),
    "hangs and is deaf": Fault(
        "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)\n"
        "time.sleep(600)",
        "timeout",
        KILLED,
        "ended at its deadline of 2 s",
    ),
    "leaves a grandchild": Fault("grandchild()", "ok", 0, ""),
    "leaves a grandchild of another group": Fault("grandchild(start_new_session=True)", "ok", 0, ""),
    "leaves an orphan": Fault(
        "program = 'import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)'\n"
        "sleeper = [sys.executable, '-S', '-c', 'import time; time.sleep(600)', str(FOLDER)]\n"
        "subprocess.run([sys.executable, '-c', program, *sleeper])",
        "ok",
        0,
        "",
    ),
    "leaves a grandchild of another environment": Fault(
        "grandchild(env={}, start_new_session=True)", "ok", 0, ""
    ),
    "leaves a grandchild and crashes": Fault(
        "grandchild(start_new_session=True); ctypes.string_at(0)",
        "crash",
        -signal.SIGSEGV,
        "ended by SIGSEGV",
    ),
    "floods": Fault(
        "for _ in range(200): print('x' * 100_000)",
        "output-limit",
        KILLED,
        "ended after it had written more than 10.0 MiB",
    ),
    "crashes after its result": Fault(
        "import atexit; atexit.register(ctypes.string_at, 0)", "crash", -signal.SIGSEGV, "ended by SIGSEGV"
    ),
    "tells NaN": Fault("trial.record(loss=float('nan'))", "error", 1, "metric loss must be finite"),
    "killed once": Fault(
        "note('killed once')\nif (FOLDER / 'log').read_text().count('killed once') == 1:\n"
        "    subprocess.run(['kill', '-9', str(os.getpid())]); time.sleep(600)",
        "ok",
        0,
        "",
    ),
    "killed always": Fault(
        "note('killed always'); subprocess.run(['kill', '-9', str(os.getpid())]); time.sleep(600)",
        "killed",
        KILLED,
        "ended by SIGKILL from outside",
    ),
}

#: What fails is to have been looked at before, also by a watch that has no processor for a while.
BEFORE = {True: "seen()\n", False: ""}

SCRIPT = """
def workload(trial, *, fault):
{branches}

EXPERIMENT = Experiment(workload, factors={{"fault": {levels}}}, measures=["timed"], replicates={{"timed": 1}},
                        deadline_seconds={deadline}, memory_limit_bytes=600 << 20)
"""


@pytest.fixture(scope="module")
def done(shared_bench):
    """Run every fault, and make the report."""
    scripts = []
    for name, deadline_seconds in (("faulty", 120.0), ("hanging", DEADLINE_SECONDS)):
        faults = {
            level: fault
            for level, fault in FAULTS.items()
            if level.startswith("hangs") == (name == "hanging")
        }
        branches = "".join(
            f"    if fault == {level!r}:\n{indent(BEFORE[fault.status != 'ok'] + fault.body, '        ')}\n"
            for level, fault in faults.items()
        )
        body = SCRIPT.format(branches=branches, levels=list(faults), deadline=deadline_seconds)
        scripts.append(shared_bench.write(body, name))
    shared_bench.ran = shared_bench.run("run", *scripts)
    shared_bench.reported = shared_bench.run("report", *scripts)
    shared_bench.rows = {row.factors["fault"]: row for row in read_store(shared_bench.results).rows}
    return shared_bench


def report(bench, name):
    return (bench.results / "report" / name).read_text()


@pytest.mark.parametrize("name", FAULTS)
def test_rows_1_to_13_each_fault_has_its_status_and_its_words(done, name):
    row, fault = done.rows[name], FAULTS[name]
    assert (row.status, row.exit_code) == (fault.status, fault.exit_code), row.message
    assert fault.words in row.message
    if fault.status != "ok":
        assert f"{name} timed #0: {fault.status} (exit code {fault.exit_code})" in done.ran.err
        told = report(done, "report.md").partition(f"{name} (timed, replicate 0): {fault.status}")[2]
        assert told.startswith(f", exit code {fault.exit_code}\n")
        # Between fences it stands as it was written.
        assert fault.words in told.split("```")[1]


def test_rows_1_to_13_what_fails_stops_nothing_else_and_makes_3(done):
    assert set(done.rows) == set(FAULTS)
    failed = sum(fault.status != "ok" for fault in FAULTS.values())
    assert done.ran.returncode == 3
    assert done.ran.out.startswith(
        f"{len(FAULTS)} trials: {len(FAULTS) - failed} run, 0 finished before, {failed} failed, "
        "3 tried again\n"
    )
    assert done.reported.returncode == 0


def test_rows_1_to_13_no_process_and_no_file_is_left(done):
    assert done.nothing_runs()
    assert list(done.temporary.iterdir()) == []


def test_row_3_markup_of_a_message_is_text_in_the_report(done):
    page = report(done, "index.html")
    assert "ValueError: &lt;/script&gt;" in page
    assert "ValueError: </script>" not in page


@pytest.mark.parametrize("name", ["grows", "grows in a burst"])
def test_row_5_a_trial_that_grows_is_ended_near_its_limit_and_keeps_its_series(done, name):
    kept = series(done.results, done.rows[name].key)
    resident, seconds = kept["outside_rss_bytes"], kept["outside_seconds"]
    assert len(resident) == len(seconds) >= 3
    assert (resident[:-1] <= 600 * MIB).all() and resident[-1] > 600 * MIB
    assert (seconds[1:] > seconds[:-1]).all()
    # A machine that is busy looks late, and the backstop stands at twice the limit and 1 GiB.
    assert resident.max() < 2 * 600 * MIB + 1024 * MIB


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.status != "ok"])
def test_every_trial_that_failed_keeps_what_was_seen_of_it_from_outside(done, name):
    kept = series(done.results, done.rows[name].key)
    assert set(kept) == {"outside_rss_bytes", "outside_seconds"}
    assert kept["outside_rss_bytes"].max() > MIB


def test_row_6_what_was_killed_from_outside_is_one_row_of_several_attempts(done):
    contents = read_store(done.results)
    once, always = done.rows["killed once"], done.rows["killed always"]
    assert contents.earlier_endings == {once.key: ("killed",), always.key: ("killed", "killed")}
    assert [one.status for one in contents.attempts] == ["killed"] * 3
    assert sorted(done.log()) == ["killed always"] * 3 + ["killed once"] * 2
    assert done.ran.err.count("to be tried again: ") == 3
    assert "1 trial needed 2 attempts (killed, then ok)." in report(done, "report.md")
    assert "1 trial needed 3 attempts (killed, then killed, then killed);" in report(done, "index.html")


def test_row_6_what_was_killed_three_times_is_tried_again_when_it_is_asked_for(done):
    again = done.run("run", done.folder / "faulty.py", "--set", "fault=killed always")
    assert (again.returncode, again.out.splitlines()[0]) == (
        3,
        "1 trials: 0 run, 1 finished before, 1 failed",
    )


@pytest.mark.parametrize("name", ["hangs", "hangs and talks", "hangs and is deaf"])
def test_rows_7_to_9_nothing_moves_the_deadline(done, name):
    # Not before it; how soon after it depends on the machine, and without one it would be 600 s.
    assert DEADLINE_SECONDS <= done.rows[name].elapsed_seconds < 500


def test_row_10_no_status_waits_for_a_grandchild(done):
    for name in FAULTS:
        if name.startswith("leaves a"):
            assert done.rows[name].elapsed_seconds < 500


def test_row_11_no_output_reaches_the_disk(done):
    row = done.rows["floods"]
    assert len(row.message) < 5000
    assert sum(path.stat().st_size for path in done.results.rglob("*.db*")) < 4 * MIB


def test_the_export_tells_the_statuses_too(done):
    exported = done.run("export", "--format", "json")
    assert exported.returncode == 0
    rows = json.loads((done.results / "results.json").read_text())
    assert {row["fault"]: row["status"] for row in rows} == {
        name: fault.status for name, fault in FAULTS.items()
    }
