"""The lines of a workload with the figures of two trials, and the artefacts that stand in them."""

from types import SimpleNamespace

import numpy as np
import pytest

from toolkit.analysis.lines import Counted, Line, Sampled, annotated, hidden, highest, reused, twofold

SOURCE = "def workload(trial):\n    x = make()\n\n    y = x\n"


def trial(first, series, source=SOURCE):
    row = SimpleNamespace(conditions={"workload_source": source, "workload_first_line": first})
    return row, {name: np.array(values) for name, values in series.items()}


LEDGER = {
    "line_number": [10, 11, 13, 0],
    "line_calls_count": [1, 2, 2, 1],
    "line_ledger_made_bytes": [0, 80, 0, 0],
    "line_ledger_freed_bytes": [0, 40, 0, 40],
    "line_ledger_held_bytes": [0, 40, 40, 0],
    "line_ledger_peak_bytes": [0, 80, 40, 40],
}
PROFILER = {
    "line_number": [30, 31, 33],
    "line_profiler_increment_bytes": [9000, 0, -4096],
    "line_profiler_calls_count": [1, 2, 2],
}


def test_lines_meet_by_their_place_in_the_function_wherever_it_stands_in_the_file():
    lines = annotated(trial(10, LEDGER), trial(30, PROFILER))
    assert lines == (
        Line(10, "def workload(trial):", Counted(1, 0, 0, 0, 0), Sampled(9000, 1)),
        Line(11, "    x = make()", Counted(2, 80, 40, 40, 80), Sampled(0, 2)),
        Line(12, "", None, None),
        Line(13, "    y = x", Counted(2, 0, 0, 40, 40), Sampled(-4096, 2)),
        Line(None, "", Counted(1, 0, 40, 0, 40), None),
    )


def test_one_trial_is_enough():
    alone = annotated(trial(10, LEDGER), None)
    assert [line.number for line in alone] == [10, 11, 12, 13, None]
    assert {line.sampled for line in alone} == {None}
    other = annotated(None, trial(30, PROFILER))
    assert [line.number for line in other] == [30, 31, 32, 33]
    assert {line.counted for line in other} == {None}


@pytest.mark.parametrize(
    "damaged", [{}, {"workload_source": 5, "workload_first_line": 1}, {"workload_source": "x"}]
)
def test_without_the_text_there_are_no_lines(damaged):
    assert annotated((SimpleNamespace(conditions=damaged), LEDGER), None) == ()
    assert annotated(None, None) == ()


def test_figures_that_are_missing_leave_the_text():
    (row, _) = trial(10, LEDGER)
    assert {line.counted for line in annotated((row, {}), None)} == {None}


def test_a_form_feed_within_a_line_ends_none():
    source = "def workload(trial):\n    x = '\x0c\x85\u2028'\n    y = x\n"
    lines = annotated(trial(10, LEDGER, source), None)
    assert [line.text for line in lines[1:3]] == ["    x = '\x0c\x85\u2028'", "    y = x"]


def line(number, made, freed, increment, peak=0):
    return Line(number, "", Counted(1, made, freed, 0, peak), Sampled(increment, 1))


def test_the_highest_is_a_line_that_made_something():
    lines = [line(1, 0, 0, 0, peak=90), line(2, 10, 0, 10, peak=90), line(3, 5, 0, 5, peak=90)]
    assert highest(lines).number == 2
    assert highest([line(1, 0, 0, 0, peak=90)]) is None


def test_what_an_increment_hides_takes_up_again_and_counts_again_are_three_things():
    lines = [
        line(1, 100, 0, 100),
        line(2, 100, 100, 0),
        line(3, 100, 150, -50),
        line(4, 0, 50, -50),
        line(5, 0, 0, -50),
        line(6, 100, 100, -50),
        line(7, 0, 0, 0),
        line(8, 100, 0, 0),
        line(9, 100, 40, 0),
        line(10, 100, 40, 60),
    ]
    assert [one.number for one in hidden(lines)] == [2, 3]
    assert [one.number for one in twofold(lines)] == [5, 6]
    assert [one.number for one in reused(lines)] == [8, 9]
