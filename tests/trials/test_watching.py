"""The watch: what it counts, what it keeps, and that a trial does not notice it."""

import compileall
import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import toolkit
from toolkit.trials import watching
from toolkit.trials.descendants import Descendants
from toolkit.trials.output import OUTPUT_LIMIT_BYTES, TAIL_BYTES, Output
from toolkit.trials.supervisor import supervise
from toolkit.trials.watching import Samples, _memory_of, watch


@pytest.fixture
def started():
    """Return a function that starts a Python program with an `Output`, and ends it after the test."""
    processes = []

    def start(program, output):
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", program], stdout=output.writer, stdin=subprocess.PIPE
        )
        output.close_writer()
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def watched(process, output, *, deadline_seconds=60.0, memory_limit_bytes=1 << 40):
    samples = Samples()
    watch_end = watch(
        process,
        output,
        samples,
        Descendants(),
        deadline_seconds=deadline_seconds,
        memory_limit_bytes=memory_limit_bytes,
    )
    return watch_end, samples


def test_samples_stay_bounded_and_keep_the_highest(monkeypatch):
    monkeypatch.setattr(watching, "_MOST_SAMPLES", 8)
    samples = Samples()
    for number in range(1000):
        samples.add(number / 100, 7777 if number == 501 else number)
    assert len(samples.seconds) == len(samples.resident_bytes) <= 8
    assert max(samples.resident_bytes) == 7777
    assert samples.seconds == sorted(samples.seconds)
    # Each sample stands for as many looks as every other, but for the last.
    assert len({round(b - a, 6) for a, b in itertools.pairwise(samples.seconds)}) == 1


def test_few_samples_are_kept_as_they_are():
    samples = Samples()
    for number in range(100):
        samples.add(number, number % 7)
    assert samples.seconds == list(range(100))
    assert samples.resident_bytes == [number % 7 for number in range(100)]


def test_a_process_that_has_ended_takes_no_memory(started):
    with Output() as output:
        process = started("", output)
        with _memory_of(process.pid, Descendants()) as resident:
            process.wait()
            assert resident() == 0
    with _memory_of(process.pid, Descendants()) as resident:
        assert resident() == 0


def test_descendants_of_every_thread_count(started, eventually):
    program = """
import subprocess, sys, threading
held = "held = bytearray(50 << 20); print('.', flush=True); input()"
inner = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {held!r}])"
threading.Thread(target=subprocess.run, args=([sys.executable, "-S", "-c", inner],)).start()
subprocess.run([sys.executable, "-S", "-c", held])
"""
    with Output() as output:
        process = started(program, output)
        with _memory_of(process.pid, Descendants()) as resident:

            def both_hold():
                output.read()
                return output.count == len(".\n") * 2

            eventually(both_hold)
            assert 100 << 20 <= resident() < 200 << 20
        process.stdin.close()


def test_what_is_written_is_read_while_it_comes_and_its_end_is_kept(started):
    with Output() as output:
        process = started("print('x' * 5_000_000, 'the end')", output)
        watch_end, _ = watched(process, output)
        assert watch_end == "ended"
        assert output.count == 5_000_000 + len(" the end\n")
        assert output.tail.endswith("x the end")
        assert len(output.tail) < TAIL_BYTES


def test_too_much_is_noticed_also_where_it_is_all_written_at_once(started, monkeypatch):
    monkeypatch.setattr("toolkit.trials.output.OUTPUT_LIMIT_BYTES", 1000)
    with Output() as output:
        process = started("print('x' * 2000)", output)
        process.wait()
        assert watched(process, output)[0] == "output-limit"


def test_no_more_than_the_limit_and_a_pipe_is_ever_read(started):
    with Output() as output:
        process = started("while True: print('x' * 100_000)", output)
        assert watched(process, output)[0] == "output-limit"
        output.read()
        assert OUTPUT_LIMIT_BYTES < output.count <= OUTPUT_LIMIT_BYTES + (1 << 20)


def test_without_the_right_to_larger_pipes_the_usual_ones_do(started, monkeypatch):
    monkeypatch.setattr("toolkit.trials.output._PIPE_BYTES", 1 << 40)
    with Output() as output:
        process = started("print('x' * 300_000)", output)
        monkeypatch.undo()
        assert watched(process, output)[0] == "ended"
        assert output.count == 300_001


BODY = """
for _ in trial.steps(20):
    x = Variable(trial.rng.standard_normal(200_000))
    y = square(square(square(x)))
    y.backward()
    time.sleep(0.01)
return y
"""


@pytest.fixture(scope="module")
def compiled():
    """Let no trial be the first after a change, which compiles what the next one only reads."""
    compileall.compile_dir(Path(toolkit.__file__).parent, quiet=1)


@pytest.mark.usefixtures("compiled")
@pytest.mark.skipif(sys.platform != "linux", reason="pages are exact on Linux")
@pytest.mark.parametrize("measure", ["resident", "traced"])
def test_watching_does_not_change_a_byte_of_what_is_measured(make_trial, monkeypatch, tmp_path, measure):
    trial, looks, gate = make_trial(BODY, measure), [], tmp_path / "gate"
    # It does not begin before it was looked at many times, and does the same, to the call, where it need not wait.
    os.mkfifo(gate)
    with open(trial.script, "a") as script:
        script.write("\nopen(FOLDER + '/gate').close()\n")
    add, opened = Samples.add, []

    def counted(*arguments):
        looks.append(1)
        add(*arguments)
        if len(looks) > 10 and not opened:
            opened.append(os.open(gate, os.O_RDWR))

    monkeypatch.setattr(Samples, "add", counted)
    watched_often = supervise(trial)
    seen = len(looks)
    monkeypatch.setattr(watching, "INTERVAL_SECONDS", 60.0)
    not_watched = supervise(trial)
    os.close(*opened)
    assert (watched_often.status, not_watched.status) == ("ok", "ok")
    assert seen > 10 and len(looks) == seen
    exact = [name for name in not_watched.metrics if name.endswith("_bytes")]
    exact = [name for name in exact if not name.startswith(("sampled_", "hwm_", "heap_"))]
    assert {name: watched_often.metrics[name] for name in exact} == {
        name: not_watched.metrics[name] for name in exact
    }
    assert {"resident": "peak_rss_bytes", "traced": "peak_traced_bytes"}[measure] in exact
    if measure == "resident":
        # Malloc counts the freed blocks that a thread keeps at hand, of up to 1 KiB.
        heaps = [one.metrics["heap_in_use_bytes"] for one in (watched_often, not_watched)]
        assert max(heaps) - min(heaps) <= 1024


@pytest.mark.usefixtures("compiled")
def test_another_limit_does_not_change_a_byte_of_what_is_measured(make_trial):
    trial = make_trial(BODY, "resident")
    figures = []
    for limit in (600 << 20, 20 << 30):
        outcome = supervise(replace(trial, memory_limit_bytes=limit))
        assert outcome.status == "ok", outcome.message
        figures.append({name: outcome.metrics[name] for name in ("baseline_rss_bytes", "peak_rss_bytes")})
    assert figures[0] == figures[1]
