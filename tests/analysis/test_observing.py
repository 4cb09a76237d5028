"""Twins: what is watched beside what is not, and what follows for the probes of a measure."""

import pytest

from toolkit.analysis.observing import EXPERIMENT, Observed, left_to_collector, twins
from toolkit.analysis.results import Results

ALLOWED = 1000


@pytest.fixture
def observed_loops(make_row):
    """Return a function that makes results of loops: each a watcher, its size, collections and peak."""

    def make(*loops):
        rows = [
            make_row(
                {"watcher": watcher, "n": n},
                {
                    "loop_collections_count": collections,
                    "loop_peak_bytes": peak,
                    "loop_peak_tolerance_bytes": ALLOWED,
                },
                measure="timed",
            )
            for watcher, n, collections, peak in loops
        ]
        return Results(EXPERIMENT, rows, lambda _: {})

    return make


def test_a_twin_is_beside_the_bare_loop_of_its_size(observed_loops):
    found = twins(
        observed_loops(
            ("bare", 1, 3, 10_000), ("bare", 2, 3, 50_000), ("ledger", 1, 5, 8_000), ("ledger", 2, 3, 50_000)
        )
    )
    assert [(twin.watcher, twin.levels, twin.higher_bytes, twin.changes) for twin in found] == [
        ("ledger", {"n": 1}, -2_000, True),
        ("ledger", {"n": 2}, 0, False),
    ]


@pytest.mark.parametrize(
    ("collections", "peak", "changes"),
    [(3, 10_000, False), (3, 11_000, False), (3, 11_001, True), (3, 8_999, True), (2, 10_000, True)],
)
def test_another_count_or_a_peak_beyond_what_is_allowed_is_a_change(
    observed_loops, collections, peak, changes
):
    (twin,) = twins(observed_loops(("bare", 1, 3, 10_000), ("traced", 1, collections, peak)))
    assert twin.changes is changes


def test_without_a_bare_loop_nothing_is_known(observed_loops):
    assert twins(observed_loops(("ledger", 1, 5, 8_000))) == ()
    assert twins(Results(EXPERIMENT, [], lambda _: {})) == ()


def test_a_measure_is_changed_by_any_of_its_probes_and_known_by_all(observed_loops):
    found = twins(observed_loops(("bare", 1, 3, 10_000), ("ledger", 1, 5, 8_000), ("events", 1, 3, 10_000)))
    observed = Observed(found)
    assert [twin.watcher for twin in observed.changing("ledger")] == ["ledger"]
    assert observed.changing("traced") == ()
    assert observed.unknown("ledger") == ("clock", "collector")
    assert "traced" in observed.unknown("traced") and "events" not in observed.unknown("traced")
    assert Observed().unknown("timed") == ("clock", "collector") and Observed().changing("ledger") == ()


def test_a_probe_that_changes_one_size_is_known_to_change(observed_loops):
    sizes = ("bare", 1, 3, 10_000), ("bare", 2, 3, 10_000), ("ledger", 1, 3, 10_000), ("ledger", 2, 4, 10_000)
    (twin,) = Observed(twins(observed_loops(*sizes))).of("ledger")
    assert twin.levels == {"n": 2}


@pytest.mark.parametrize(
    ("levels", "exact", "left"),
    [
        ({"references": "strong"}, None, True),
        ({"references": "strong", "gc": "frozen"}, False, True),
        ({"references": "strong", "gc": "threshold=100"}, False, True),
        ({"references": "strong"}, True, False),
        ({"references": "strong", "gc": "off"}, None, False),
        ({"references": "strong", "gc": "every=10"}, None, False),
        ({"references": "weak"}, None, False),
        ({}, None, False),
        ({}, False, True),
    ],
)
def test_a_trial_is_left_to_the_collector_where_that_runs_by_itself_and_theory_is_no_more_than_a_model(
    make_row, levels, exact, left
):
    conditions = {} if exact is None else {"prediction_exact": exact}
    assert left_to_collector(make_row(levels, {}, conditions=conditions)) is left
