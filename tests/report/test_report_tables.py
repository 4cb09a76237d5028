"""The tables of a section: from which trials a number comes, and whether it is an estimate."""

import pytest

from toolkit.analysis.comparison import compare
from toolkit.analysis.predictions import backward
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


def test_a_formula_stands_with_its_product_and_the_meaning_of_its_letters(make_store, tmp_path, results_of):
    theory = backward(1, 80_000, retain_grad=False)
    with make_store(tmp_path) as store:
        for measure, name in (("resident", "rss"), ("traced", "traced")):
            metrics = {
                f"peak_{name}_bytes": theory.peak_bytes(measure),
                "predicted_peak_bytes": theory.peak_bytes(measure),
                f"end_{name}_bytes": theory.end_bytes(measure),
                "predicted_end_bytes": theory.end_bytes(measure),
            }
            conditions = {
                "prediction_basis": theory.basis,
                "prediction_basis_end": theory.other_bases["end"],
                "prediction_array_bytes": 80_000,
                "page_bytes": 4096,
            }
            store.add("loop", {"n": 1}, measure, 0, store.outcome(metrics, conditions=conditions))
    (table,) = tables.comparisons(compare(results_of(tmp_path)), "label", unique_stems())
    names = [column.name for column in table.columns]
    places = [names.index(name) for name in ("quantity", "formula", "product")]
    assert [
        tuple(row[place].replace("\N{NO-BREAK SPACE}", " ") for place in places) for row in table.rows
    ] == [
        ("peak RSS", "(k+3+τ) S, k=1, τ=1", "4 × 80.0 KiB"),
        ("peak traced", "(k+3+τ) S, k=1, τ=1", "5 × 78.1 KiB"),
        ("end RSS", "(k+2) S, k=1", "3 × 80.0 KiB"),
        ("end traced", "(k+2) S, k=1", "3 × 78.1 KiB"),
    ]
    (note,) = table.notes
    assert [symbol in note for symbol in (" S: ", " k: ", " τ: ", " T: ")] == [True, True, True, False]


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
    assert told["agreement"] == "no claim: an estimate on this platform"
