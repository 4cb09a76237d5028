"""The sampled watcher on real processes: it sees a long plateau, and stands a process that is gone."""

import subprocess
import sys
import time

import pytest

from toolkit.probes.sampled import WATCHER

MIB = 1 << 20


@pytest.fixture
def start():
    started = []

    def begin(program):
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.stdin.close()
        process.stdout.close()
        process.wait()


def test_it_sees_a_long_plateau(start):
    process = start("held = b'x' * (200 << 20); print(flush=True); input()")
    watcher = WATCHER()
    process.stdout.readline()
    began = time.time()
    watcher.start(process)
    while len(watcher._polls(began, time.time())) < 3:
        time.sleep(0.05)
    ended = time.time()
    process.communicate(b"\n")
    watcher.stop()

    metrics = watcher.metrics(began, ended, 10 * MIB)
    assert metrics["sampled_polls_count"] >= 3
    assert 190 * MIB < metrics["sampled_peak_rss_bytes"] < 230 * MIB
    series = watcher.series(began, ended, 10 * MIB)
    assert len(series["sampled_rss_bytes"]) == metrics["sampled_polls_count"]
    assert max(series["sampled_rss_bytes"]) == metrics["sampled_peak_rss_bytes"]
    assert series["sampled_seconds"] == sorted(series["sampled_seconds"])
    assert all(0 <= seconds <= ended - began for seconds in series["sampled_seconds"])
    assert {type(value) for value in series["sampled_rss_bytes"]} == {int}


def test_it_leaves_out_what_lies_before_and_after(start):
    process = start("input()")
    watcher = WATCHER()
    watcher.start(process)
    process.communicate(b"\n")
    watcher.stop()
    later = time.time() + 1000
    assert watcher.metrics(later, later + 1, 0) == {"sampled_polls_count": 0}
    assert watcher.series(later, later + 1, 0) == {"sampled_rss_bytes": [], "sampled_seconds": []}


@pytest.mark.parametrize("reaped", [True, False], ids=["and is reaped", "and waits to be reaped"])
def test_it_stands_a_process_that_ends_between_two_polls(start, reaped):
    process = start("input()")
    watcher = WATCHER()
    process.stdin.write(b"\n")
    process.stdin.flush()
    if reaped:
        process.wait()
    else:
        process.stdout.read()
    watcher.start(process)
    watcher.stop()
    assert watcher.metrics(0.0, 1.0, 0) == {"sampled_polls_count": 0}


def test_it_adds_its_polls_to_the_resident_trial(measured, until_polled):
    outcome = measured(f"held = np.ones(4 << 20)\n{until_polled}\nreturn held", "resident")
    assert outcome.metrics["sampled_polls_count"] >= 1
    # psutil reads what the kernel reads; memory_profiler writes four decimals of a MiB.
    assert abs(outcome.metrics["sampled_peak_rss_bytes"] - outcome.metrics["peak_rss_bytes"]) < MIB
