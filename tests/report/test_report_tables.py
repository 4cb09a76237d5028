"""The tables of a section: from which trials a number comes, and whether it is an estimate."""

import pytest

from toolkit.analysis.comparison import compare
from toolkit.report import tables
from toolkit.report.names import unique_stems


@pytest.fixture
def medians(make_store, tmp_path, results_of):
    """Return a function that gives the table of medians of trials: (measure, metrics, conditions)."""

    def of(*trials):
        with make_store(tmp_path) as store:
            for replicate, (measure, metrics, conditions) in enumerate(trials):
                made = store.outcome(metrics, conditions=conditions)
                store.add("loop", {"n": 1}, measure, replicate, made)
        return tables.medians(results_of(tmp_path), "medians")

    return of


@pytest.fixture
def headings(medians):
    """Return a function that gives the headings of that table."""
    return lambda *trials: [column.heading for column in medians(*trials).columns]


def test_times_are_of_timed_trials_alone(headings):
    metrics = {"wall_seconds": 1.0, "cpu_seconds": 2.0}
    assert headings(("resident", metrics, {}), ("timed", {"wall_seconds": 0.5}, {})) == ["wall time"]


@pytest.mark.parametrize(
    ("cpu_seconds", "shown"), [(0.003, ["wall time"]), (0.02, ["wall time", "CPU time"])]
)
def test_processor_time_is_shown_where_its_clock_can_tell_it(medians, cpu_seconds, shown):
    metrics = {"wall_seconds": 0.02, "cpu_seconds": cpu_seconds, "cpu_step_seconds": 0.01}
    table = medians(("timed", metrics, {}))
    assert [column.heading for column in table.columns] == shown
    assert [
        note for note in table.notes if note.startswith("CPU time is read off a clock that goes on by 10.0")
    ]


def test_the_measure_is_named_where_the_name_of_the_metric_does_not_tell_it(headings):
    metrics = {"peak_rss_bytes": 1, "visits_count": 2, "gc_collections_count": 3}
    assert headings(("resident", metrics, {})) == [
        "peak RSS", "GC collections (resident)", "visits (resident)"
    ]  # fmt: skip


def test_resident_bytes_of_another_measure_are_no_resident_figures(headings):
    assert headings(("timed", {"import_rss_bytes": 1}, {})) == ["import RSS (timed)"]


def test_estimates_are_labelled(headings):
    conditions = {"exact_probe": False}
    metrics = {"peak_rss_bytes": 1, "visits_count": 1}
    assert headings(("resident", metrics, conditions)) == ["peak RSS (estimate)", "visits (resident)"]


def test_estimates_are_compared_without_a_claim(make_store, tmp_path, results_of):
    with make_store(tmp_path) as store:
        made = store.outcome(
            {"peak_rss_bytes": 800_000, "predicted_peak_bytes": 800_000},
            conditions={"exact_probe": False, "prediction_exact": True, "prediction_array_bytes": 800_000},
        )
        store.add("loop", {"n": 1}, "resident", 0, made)
    (table,) = tables.comparisons(compare(results_of(tmp_path)), "label", unique_stems())
    (row,) = table.rows
    told = dict(zip((column.name for column in table.columns), row, strict=True))
    assert told["quantity"] == "peak RSS (estimate)"
    assert told["verdict"] == "no claim: an estimate on this platform"
