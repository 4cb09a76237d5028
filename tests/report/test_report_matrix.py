"""The grid of numbers: a metric for each pair of levels."""

from functools import partial

import pytest

from toolkit.analysis.results import Results
from toolkit.report import style
from toolkit.report.charts.matrix import matrix
from toolkit.store.read import read_store, series

WORDS = {"rows": "tool", "columns": "case", "name": "error", "title": "What each tool is off by"}


@pytest.fixture
def errors(tmp_path, make_store):
    """Return results in which one of four pairs was not measured."""
    found = {("ours", "kept"): 0, ("ours", "spike"): 4096, ("theirs", "spike"): -(1 << 20)}
    with make_store(tmp_path) as store:
        for (tool, case), error in found.items():
            levels = {"tool": tool, "case": case}
            store.add("many", levels, "resident", 0, store.outcome({"error_bytes": error}))
    return Results("many", read_store(tmp_path).rows, partial(series, tmp_path))


def test_every_pair_is_written_with_its_sign_and_told_in_words(errors):
    figure = matrix(errors, "error_bytes", "resident", **WORDS)
    with style.applied("test"):
        axes = figure.draw().axes[0]
    assert {label.get_text() for label in axes.texts} == {
        "0\N{NO-BREAK SPACE}B",
        "+4.00\N{NO-BREAK SPACE}KiB",
        "\N{MINUS SIGN}1.00\N{NO-BREAK SPACE}MiB",
    }
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ours", "theirs"]
    assert "theirs, spike: \N{MINUS SIGN}1.00\N{NO-BREAK SPACE}MiB" in figure.alt


def test_without_trials_it_says_what_is_missing(errors):
    figure = matrix(errors, "error_bytes", "traced", **WORDS)
    assert figure.draw is None
    assert "traced trial with error_bytes" in figure.alt
