"""Runs that are cut off: killed, interrupted, without room, or without the store to themselves."""

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

import toolkit
from toolkit.store.read import read_store
from toolkit.store.write import Writer

REPOSITORY = Path(toolkit.__file__).parents[1]

#: Fast trials, each of which leaves a grandchild that outlives it unless somebody ends it.
FAST = """
def workload(trial, *, i):
    grandchild(start_new_session=i % 2 == 0)
    note(i)
    most = FOLDER / "most"
    while most.exists() and len((FOLDER / "log").read_text().split()) > int(most.read_text()):
        time.sleep(0.01)
    trial.record(answer_count=i)

EXPERIMENT = Experiment(workload, factors={{"i": list(range({count}))}}, measures=["timed"],
                        replicates={{"timed": 1}})
"""

HANGING = """
def workload(trial, *, i):
    note(i)
    grandchild(start_new_session=True)
    if (FOLDER / "hang").exists():
        (FOLDER / "hanging").write_text(str(os.getpid()))
        time.sleep(600)

EXPERIMENT = Experiment(workload, factors={"i": [0, 1, 2, 3]}, measures=["timed"], replicates={"timed": 1})
"""


def rows_by_key(results):
    """Return what the store holds of each trial, or nothing where there is no store yet."""
    if not (results / "results.db").exists():
        return {}
    with closing(sqlite3.connect(f"{(results / 'results.db').as_uri()}?mode=ro", uri=True)) as store:
        try:
            return {key: cells for key, *cells in store.execute("SELECT key, started_at, digest FROM trial")}
        except sqlite3.OperationalError:
            # Killed before it had made its tables.
            return {}


def has_ended(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def killed_again_and_again(bench, eventually, count, kills, most):
    """Kill a run at random moments, and prove that nothing finished is lost or done twice.

    Moments are told by the trials that have begun since the run did, at most so many: a busy machine gets as far,
    and where it is this process that is late, the trial after the next one waits for it.
    """
    script = bench.write(FAST.format(count=count))
    moments = random.Random(20261122)
    finished, resumed = {}, 0
    for kill in range(kills):
        # The first time at least one trial is to be finished; later on also before anything has begun.
        until = len(bench.log()) + moments.randint(0 if kill else 2, most)
        (bench.folder / "most").write_text(str(until + 1))
        process = bench.start("run", script)
        eventually(lambda until=until: len(bench.log()) >= until)
        time.sleep(moments.uniform(0, 0.1))
        process.kill()
        _, said = process.communicate()
        resumed += "was cut off and is resumed" in said
        # What the trials had started may be there still. The trials themselves are not.
        leaders = [
            one for one in bench.processes() if "toolkit.trials.child" in " ".join(one.info["cmdline"])
        ]
        eventually(lambda leaders=leaders: all(has_ended(one) for one in leaders))
        after = rows_by_key(bench.results)
        assert finished.items() <= after.items()
        finished = after
    assert 0 < len(finished) < count, "nothing was cut off: choose other numbers"
    (bench.folder / "most").unlink()
    last = bench.run("run", script)
    assert last.returncode == 0
    assert last.out.startswith(
        f"{count} trials: {count - len(finished)} run, {len(finished)} finished before"
    )
    assert "was cut off and is resumed: " in last.err
    assert f"{count - len(finished)} trials to run, {len(finished)} of {count} are finished" in last.err
    assert finished.items() <= rows_by_key(bench.results).items()
    contents = read_store(bench.results)
    assert sorted(row.metrics["answer_count"] for row in contents.rows) == list(range(count))
    assert contents.attempts == contents.damaged == ()
    # Only what was in flight when the run was killed was begun twice.
    assert len(bench.log()) - count <= kills
    assert bench.nothing_runs()
    assert list(bench.temporary.iterdir()) == []
    return resumed


def test_row_14_a_runner_that_is_killed_loses_nothing_and_repeats_nothing(bench, eventually):
    assert killed_again_and_again(bench, eventually, count=14, kills=2, most=5) >= 1


@pytest.mark.slow
def test_row_14_at_twenty_random_moments_of_hundreds_of_trials(bench, eventually):
    assert killed_again_and_again(bench, eventually, count=300, kills=20, most=14) >= 10


def test_row_10_what_a_killed_run_left_is_ended_by_the_next_and_no_stranger_is(bench, eventually):
    # One bears the mark of its trial, and the other has shed it but was seen.
    leaving = "grandchild(start_new_session=True)"
    script = bench.write(HANGING.replace(leaving, f"{leaving}; {leaving[:-1]}, env={{}})"))
    (bench.folder / "hang").touch()
    process = bench.start("run", script)
    eventually(lambda: (bench.folder / "hanging").exists() and (bench.folder / "hanging").read_text())
    # Noted by the next look at what the trial has started, which comes later than the trial's own word.
    eventually(
        lambda: sum(len(note.read_text().splitlines()) for note in bench.temporary.glob("*/descendants")) == 2
    )
    process.kill()
    process.communicate()
    eventually(lambda: len(bench.processes()) == 2)
    orphans = bench.processes()
    # One that looks the same, but carries the mark of no trial, or that of another folder.
    name = next(bench.temporary.iterdir()).name
    strangers = [
        subprocess.Popen(orphans[0].cmdline(), env={**os.environ, **mark})
        for mark in ({}, {"TOOLKIT_TRIAL": f"{name}x"}, {"TOOLKIT_TRIAL_OF_MINE": name})
    ]
    try:
        (bench.folder / "hang").unlink()
        assert bench.run("run", script).returncode == 0
        # What was killed may take a moment to go.
        eventually(lambda: all(has_ended(one) for one in orphans))
        assert [one.poll() for one in strangers] == [None] * 3
    finally:
        for one in strangers:
            one.kill()
            one.wait()
    assert bench.nothing_runs()


def test_row_15_a_second_run_on_one_store_ends_at_once_with_75(bench, eventually):
    script = bench.write(HANGING)
    (bench.folder / "hang").touch()
    bench.start("run", script)
    eventually((bench.folder / "hanging").exists)
    second = bench.run("run", script)
    assert (second.returncode, second.out) == (75, "")
    assert second.err == "toolkit: another run is writing to results/results.db\n"
    assert len(bench.log()) == 1


def test_row_16_a_store_whose_holder_was_killed_is_free_at_once(bench, eventually):
    script = bench.write(HANGING)
    (bench.folder / "hang").touch()
    holder = bench.start("run", script)
    eventually((bench.folder / "hanging").exists)
    with pytest.raises(Exception, match="another run"), Writer(bench.results):
        pass
    holder.kill()
    holder.wait()
    # No waiting: the lock went with the process.
    with Writer(bench.results):
        pass


@pytest.fixture
def mounted(own_mounts):
    """Return what begins a command that runs with file systems of its own, given the lines that mount them."""

    def begin(lines):
        return [*own_mounts, "sh", "-ec", f'{lines}\nexec "$@"', "sh"]

    return begin


#: Each trial stores a series of random numbers, which do not compress.
LARGE = """
def workload(trial, *, i):
    note(i)
    for _ in trial.steps(20000):
        trial.observe()

EXPERIMENT = Experiment(workload, factors={"i": list(range(12))}, measures=["resident"],
                        replicates={"resident": 1})
"""

IN_A_SMALL_FILE_SYSTEM = """
import subprocess, sys
from toolkit.cli import main

def attempt(*words):
    try:
        main(words)
    except SystemExit as ended:
        return ended.code

words = sys.argv[1:]
print("first:", attempt(*words), flush=True)
subprocess.run(["mount", "-o", "remount,size=100m", "results"], check=True)
print("second:", attempt(*words), flush=True)
print("third:", attempt(*words), flush=True)
"""


def test_row_17_a_full_disk_makes_74_and_the_next_run_completes(bench, mounted):
    script = bench.write(LARGE)
    bench.results.mkdir()
    begin = mounted("mount -t tmpfs -o size=300k none results")
    ran = bench.run("run", script, program=["-c", IN_A_SMALL_FILE_SYSTEM], before=begin)
    assert ran.returncode == 0, ran.err
    first, resumed, _, second, again, _, third = ran.out.splitlines()
    assert (first, second, third) == ("first: 74", "second: 0", "third: 0")
    # What was stored before the disk was full is not run again.
    finished = int(re.fullmatch(r"12 trials: \d+ run, (\d+) finished before, 0 failed", resumed)[1])
    assert resumed.startswith(f"12 trials: {12 - finished} run, ")
    assert 0 < finished < 12
    assert again == "12 trials: 0 run, 12 finished before, 0 failed"
    assert "toolkit: results/results.db: database or disk is full\n" in ran.err
    assert f"run 1 was cut off and is resumed: {12 - finished} trials to run, {finished} of 12" in ran.err
    # The one that could not be stored has been run twice.
    assert 12 < len(bench.log()) <= 12 + len(os.sched_getaffinity(0))
    assert bench.nothing_runs()


def test_row_17_no_room_for_temporary_files_is_no_failure_of_the_trial(bench, mounted):
    script = bench.write(LARGE)
    begin = mounted(f"mount -t tmpfs -o size=64k none {bench.temporary}")
    full = bench.run("run", script, "--set", "i=1", before=begin)
    assert (full.returncode, full.out) == (74, "")
    assert re.search(r"^toolkit: .*/toolkit-trial-.*: No space left on device$", full.err, re.MULTILINE)
    # It ran, and there was no room for its result.
    assert bench.log() == ["1"]
    assert read_store(bench.results).rows == ()
    assert bench.run("run", script, "--set", "i=1").returncode == 0


def test_row_18_a_folder_that_can_only_be_read_makes_74_before_any_trial(bench, mounted):
    script = bench.write(HANGING)
    bench.results.mkdir()
    begin = mounted("mount -t tmpfs -o ro none results")
    refused = bench.run("run", script, before=begin)
    assert (refused.returncode, refused.out) == (74, "")
    assert refused.err == "toolkit: results/results.db.lock: Read-only file system\n"
    assert bench.log() == []


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_row_30_an_interrupt_makes_130_and_closes_the_store(bench, eventually, number):
    script = bench.write(HANGING)
    (bench.folder / "hang").touch()
    process = bench.start("run", script)
    eventually((bench.folder / "hanging").exists)
    process.send_signal(number)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert said.endswith(
        "toolkit: interrupted; what is finished is stored, and the same command goes on from there\n"
    )
    assert "Traceback" not in said
    # One file that can be copied: no journal lies beside it.
    assert {path.name for path in bench.results.iterdir()} == {"results.db", "results.db.lock"}
    assert bench.nothing_runs()
    assert list(bench.temporary.iterdir()) == []
    (bench.folder / "hang").unlink()
    again = bench.run("run", script)
    assert again.returncode == 0
    assert "run 1 was cut off and is resumed: 4 trials to run\n" in again.err


@pytest.mark.slow
def test_row_30_at_random_moments_an_interrupt_shows_no_traceback(bench, eventually):
    script = bench.write(FAST.format(count=300))
    moments = random.Random(30)
    for _ in range(15):
        process = bench.start("run", script)
        # The interpreter itself takes Ctrl-C as Python does; numpy is loaded after what heeds it.
        eventually(
            lambda process=process: "_multiarray_umath" in Path(f"/proc/{process.pid}/maps").read_text()
        )
        time.sleep(moments.uniform(0, 3.0))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 130, said
        assert "Traceback" not in said
        assert bench.nothing_runs()


#: Holds the command up where it begins to load a module, and says so.
HELD_UP = """
import sys, time
from pathlib import Path

class Hold:
    def find_spec(name, path=None, target=None):
        if name == {loading!r}:
            Path({told!r}).touch()
            time.sleep(600)

sys.meta_path.insert(0, Hold)
"""


@pytest.mark.parametrize("loading", ["numpy", "toolkit.core.variable", "click", "toolkit.planning"])
@pytest.mark.parametrize("how", ["module", pytest.param("script", marks=pytest.mark.slow)])
def test_an_interrupt_while_the_command_is_still_loading_makes_130_in_silence(
    bench, eventually, loading, how
):
    told, place = bench.folder / "told", bench.folder / "place"
    place.mkdir()
    # Every interpreter that finds one loads it first.
    (place / "sitecustomize.py").write_text(HELD_UP.format(loading=loading, told=str(told)))
    command = ["-m", "toolkit"] if how == "module" else [Path(sys.executable).with_name("toolkit")]
    process = bench.start("list", program=command, before=["env", f"PYTHONPATH={place}:{REPOSITORY}"])
    eventually(told.exists)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=300) == ("", "")
    assert process.returncode == 130
