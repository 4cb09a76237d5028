"""The ledger line by line: exact bytes of real trials, and that nothing is left behind or held by tracing."""

import gc
import sys
import weakref
from textwrap import dedent

import numpy as np
import pytest

from toolkit import Variable, square, using_config
from toolkit.probes import Position
from toolkit.probes.lines import PROBE, RETURNING

N = 100_000
S = 8 * N
#: The line of def in the scripts of the fixture `measured`.
DEF = 6

BOOK = """
for _ in trial.steps(10):
    x = Variable(trial.rng.standard_normal(100_000))
    y = square(square(square(x)))
"""


def by_line(series):
    """Return runs, made, freed, held after and most held, the bytes in S, by number of line."""
    names = ("made", "freed", "held", "peak")
    columns = [np.array(series[f"line_ledger_{name}_bytes"]) / S for name in names]
    rows = zip(series["line_calls_count"], *columns, strict=True)
    return dict(zip(series["line_number"], rows, strict=True))


@pytest.fixture
def lines(watched):
    """Return a function that runs a workload under a new probe of its lines and returns that."""
    return lambda workload: watched(PROBE(Position(code=workload.__code__)), workload)


def places(probe, workload):
    """Return the rows by the place of their line, the def at 0."""
    first = workload.__code__.co_firstlineno
    return {number - first if number else "return": row for number, row in by_line(probe.series()).items()}


def test_the_loop_of_the_book_to_the_byte(measured):
    outcome = measured(BOOK, "lines")
    assert by_line(outcome.series) == {
        DEF: (1, 0, 0, 0, 0),
        DEF + 1: (11, 0, 0, 4, 4),
        # The last graph is still held by y, and the new x beside it.
        DEF + 2: (10, 10, 0, 5, 5),
        # Binding y frees the graph before, with its x: four arrays in each round but the first.
        DEF + 3: (10, 30, 36, 4, 8),
        RETURNING: (1, 0, 4, 0, 4),
    }
    assert outcome.metrics["lines_made_bytes"] == outcome.metrics["lines_freed_bytes"] == 40 * S
    assert outcome.metrics["lines_peak_bytes"] == 8 * S
    assert outcome.metrics["lines_end_bytes"] == 0


def test_under_strong_references_no_line_frees_anything(measured):
    loop = "\n".join(f"    {line}" for line in BOOK.strip().splitlines())
    outcome = measured(
        f"from toolkit import using_config\nwith using_config(references='strong'):\n{loop}", "lines"
    )
    rows = by_line(outcome.series)
    assert {freed for _, _, freed, _, _ in rows.values()} == {0}
    assert rows[DEF + 4] == (10, 10, 0, 37, 37)
    assert rows[DEF + 5] == (10, 30, 0, 40, 40)
    metrics = outcome.metrics
    assert metrics["lines_end_bytes"] == metrics["lines_dropped_bytes"] == 40 * S
    assert metrics["lines_collected_bytes"] == 0


def test_the_highest_is_what_other_trials_measure(measured):
    body = """
    x = Variable(trial.rng.standard_normal(100_000))
    y = square(square(square(x)))
    y.backward()
    return x, y
    """
    peaks = {
        measure: measured(body, measure).metrics[name]
        for measure, name in (
            ("lines", "lines_peak_bytes"),
            ("ledger", "ledger_peak_bytes"),
            ("traced", "peak_traced_bytes"),
        )
    }
    assert peaks == {"lines": 6 * S, "ledger": 6 * S, "traced": 6 * S}


def test_gradients_are_made_on_the_line_of_backward(lines):
    def workload():
        x = Variable(np.ones(N))
        y = square(square(x))
        y.backward()
        x.cleargrad()
        return x, y

    rows = places(lines(workload), workload)
    assert [rows[place][1:4] for place in (1, 2, 3, 4)] == [(1, 0, 1), (2, 0, 3), (3, 2, 4), (0, 1, 3)]


def test_what_a_line_leads_to_counts_for_that_line(lines):
    def helper(array):
        x = Variable(array)
        return [square(x) for _ in range(3)]

    def workload():
        several = helper(np.ones(N))
        several.clear()
        return several

    rows = places(lines(workload), workload)
    assert rows[1][1:4] == (4, 0, 4)
    assert rows[2][1:4] == (0, 4, 0)


def test_the_highest_of_the_runs_of_a_line_is_told(lines):
    def workload():
        for n in (N, 3 * N, 2 * N):
            x = Variable(np.ones(n))
            del x

    rows = places(lines(workload), workload)
    assert rows[2] == (3, 6, 0, 3, 3)
    assert rows[3] == (3, 0, 6, 0, 3)


def test_a_view_counts_for_the_array_that_owns_its_memory_once(lines):
    whole = np.ones(2 * N)

    def workload():
        first = Variable(whole[:N])
        second = Variable(whole[N:])
        return first, second

    rows = places(lines(workload), workload)
    assert (rows[1][1], rows[2][1]) == (2, 0)


def test_what_the_collector_frees_counts_for_the_line_on_which_it_runs(lines):
    def workload():
        with using_config(references="strong"):
            square(Variable(np.ones(N)))
        gc.collect()

    rows = places(lines(workload), workload)
    assert rows[2][1:3] == (2, 0)
    assert rows[3][1:3] == (0, 2)


def test_a_workload_that_calls_itself(lines):
    def workload(depth=2):
        x = Variable(np.ones(N))
        if depth:
            workload(depth - 1)
        y = square(x)
        return y

    rows = places(lines(workload), workload)
    assert rows[0][0] == rows[1][0] == rows[4][0] == 3
    assert rows[1][1] == rows[4][1] == 3
    # What an inner call leaves behind goes on the line that made the call.
    assert rows[3][2] == 4
    assert rows["return"][2] == 0  # y is the result, and holds x


def test_tracing_keeps_nothing_alive_that_would_be_gone_without_it(lines):
    deaths = []

    def source():
        for place in range(3):
            x = Variable(np.ones(N))
            weakref.finalize(x, deaths.append, f"died {place}")
            yield x

    def workload():
        for place, x in enumerate(source()):
            deaths.append(f"round {place}")
            del x
        deaths.append("over")

    workload()
    untraced = deaths.copy()
    deaths.clear()
    lines(workload)
    assert deaths == untraced


def test_a_workload_that_fails_leaves_the_process_as_it_was(lines):
    before = Variable.__init__, sys.gettrace()

    def workload():
        x = Variable(np.ones(N))
        raise ValueError(x.shape)

    with pytest.raises(ValueError, match="100000"):
        lines(workload)
    assert (Variable.__init__, sys.gettrace()) == before


def test_what_traced_before_traces_again_after(lines):
    def someone(*_):
        return None

    before = sys.gettrace()
    sys.settrace(someone)
    try:
        lines(lambda: None)
        assert sys.gettrace() is someone
    finally:
        sys.settrace(before)


def test_without_it_the_ledger_tells_the_same_as_before(measured):
    """The hooks are of this trial alone: the ledger's own trial hears of an array when a function is given it."""
    outcome = measured("x = Variable(np.ones(100_000))\ny = Variable(np.ones(100_000))\nsquare(x)", "ledger")
    assert outcome.metrics["ledger_arrays_count"] == 2
    assert "workload_source" not in outcome.conditions
    assert not set(outcome.series) & {"line_number", "line_ledger_made_bytes"}


def test_the_source_is_kept_beside_the_figures(measured):
    conditions = measured(BOOK, "lines").conditions
    assert conditions["workload_first_line"] == DEF
    assert conditions["workload_source"].splitlines() == [
        "def workload(trial):",
        *(f"    {line}" for line in BOOK.strip().splitlines()),
    ]


@pytest.mark.parametrize("measure", ["lines", "profiled"])
def test_the_source_is_the_one_that_ran_though_the_script_is_edited_meanwhile(measured, measure):
    body = """
    with open(__file__, "w") as script:
        script.write("# another text" * 30)
    """
    source = measured(body, measure).conditions["workload_source"]
    assert source.splitlines()[1:] == [f"    {line}" for line in dedent(body).strip().splitlines()]
