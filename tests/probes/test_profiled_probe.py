"""memory_profiler's listing, as a trial takes it: its increments, and the artefacts that they are known for."""

import sys
from mmap import PAGESIZE

import numpy as np
import pytest
from memory_profiler import LineProfiler, memory_usage

from toolkit.analysis.predictions import page_rounded
from toolkit.probes import Position
from toolkit.probes.profiled import PROBE

S = page_rounded(800_000)
DEF = 6
#: Of the resident set, what Python itself may take or give back meanwhile.
OWN_BYTES = 16 * PAGESIZE


def by_line(outcome, name):
    return dict(zip(outcome.series["line_number"], outcome.series[f"line_profiler_{name}"], strict=True))


def test_the_loop_of_the_book(measured):
    body = """
    for _ in trial.steps(10):
        x = Variable(trial.rng.standard_normal(100_000))
        y = square(square(square(x)))
    """
    profiled, lines = measured(body, "profiled"), measured(body, "lines")
    increments = by_line(profiled, "increment_bytes")
    assert by_line(profiled, "calls_count") == {DEF: 1, DEF + 1: 11, DEF + 2: 10, DEF + 3: 10}
    # Both name the same lines, but that the ledger has one more for the return.
    assert set(increments) == set(lines.series["line_number"]) - {0}
    assert increments[DEF + 2] == pytest.approx(10 * S, abs=OWN_BYTES)
    # 30 S are made on this line and 36 S freed: the increment is what is left of that.
    assert increments[DEF + 3] == pytest.approx(-6 * S, abs=OWN_BYTES)
    assert profiled.metrics["profiled_executions_count"] == 1
    assert profiled.metrics["profiled_increment_bytes"] == pytest.approx(4 * S, abs=OWN_BYTES)


def test_the_line_of_def_has_the_whole_process_for_its_increment(measured):
    outcome = measured("return None", "profiled")
    increments = by_line(outcome, "increment_bytes")
    assert increments[DEF] > 20 << 20
    assert abs(increments[DEF + 1]) <= OWN_BYTES


def test_a_line_that_makes_as_much_as_it_frees_reads_0(measured):
    body = """
    from toolkit import no_grad
    x = Variable(np.ones(100_000))
    with no_grad():
        for _ in trial.steps(5):
            x = square(x)
    """
    assert abs(by_line(measured(body, "profiled"), "increment_bytes")[DEF + 5]) <= OWN_BYTES
    lines = measured(body, "lines").series
    assert lines["line_ledger_made_bytes"][lines["line_number"].index(DEF + 5)] == 5 * 800_000


def test_one_fall_is_counted_again_on_lines_that_do_nothing(measured):
    """An increment is counted from the highest reading that the line before ever had."""
    body = """
    for i in trial.steps(4):
        big = Variable(np.ones(100_000 if i == 0 else 1))
        same = i
    """
    increments = by_line(measured(body, "profiled"), "increment_bytes")
    # 0 in the first round, and the whole array in each of the other three.
    assert increments[DEF + 3] == pytest.approx(-3 * S, abs=OWN_BYTES)


def test_it_is_what_the_library_itself_tells(capsys):
    def workload():
        arrays = []
        for _ in range(3):
            arrays.append(np.ones(100_000))
        return arrays

    probe = PROBE(Position(code=workload.__code__))
    probe.start()
    workload()
    probe.stop()
    profiler = LineProfiler()
    profiler(workload)()
    (_, listing), *others = profiler.code_map.items()
    assert not others
    theirs = {number: reading[2] for number, reading in listing if reading}
    series = probe.series()
    assert dict(zip(series["line_number"], series["line_profiler_calls_count"], strict=True)) == theirs
    assert not capsys.readouterr().out


def test_line_profiler_runs_the_body_once_and_memory_usage_again_and_again():
    runs = []

    def body():
        runs.append(None)

    LineProfiler()(body)()
    assert len(runs) == 1
    memory_usage((body,), interval=0.01)
    assert len(runs) > 2
    runs.clear()
    memory_usage((body,), interval=0.01, max_iterations=1)
    assert len(runs) == 1


def test_a_workload_that_fails_leaves_no_tracing():
    def workload():
        raise ValueError("on purpose")

    before = sys.gettrace()
    probe = PROBE(Position(code=workload.__code__))
    probe.start()
    try:
        with pytest.raises(ValueError, match="on purpose"):
            workload()
    finally:
        probe.stop()
    assert sys.gettrace() is before
