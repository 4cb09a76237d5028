"""A probe that changes what it watches is flagged wherever its figures are; of one never watched, that is said."""

from functools import partial

import pytest

from toolkit.analysis.observing import Observed, twins
from toolkit.analysis.results import Results
from toolkit.report import claims
from toolkit.report.build import document, write_report
from toolkit.report.charts.bars import bars
from toolkit.report.charts.matrix import matrix
from toolkit.report.charts.roles import roles
from toolkit.report.charts.waterfall import waterfall
from toolkit.report.holding import held, table
from toolkit.report.observers import FLAG, MARK, state, told_of
from toolkit.report.tables import medians
from toolkit.store.read import read_store, series

MIB = 1 << 20
REMARK = "† Watched by {}."
PROBES = {
    "ledger": ("clock", "collector", "events", "ledger"),
    "traced": ("clock", "collector", "events", "traced"),
}
CONDITIONS = {"prediction_array_bytes": MIB, "page_bytes": 4096}


def metrics(measure):
    if measure == "ledger":
        roles = ("parameter", "input", "activation", "saved", "gradient", "temporary")
        return {
            "ledger_peak_bytes": 6 * MIB,
            **{f"ledger_{role}_at_peak_bytes": MIB for role in roles},
            **dict.fromkeys(
                [f"ledger_{phase}_peak_bytes" for phase in ("forward", "backward", "release")], MIB
            ),
            "ledger_arrays_count": 6,
            "gc_collections_count": 5,
        }
    name = {"traced": "traced", "resident": "rss"}[measure]
    moments = ("end", "dropped", "collected", "trimmed", "unfrozen", "cleared")
    return {
        f"peak_{name}_bytes": 6 * MIB,
        **{f"{moment}_{name}_bytes": 2 * MIB if moment in ("end", "dropped") else 0 for moment in moments},
        "predicted_peak_bytes": 6 * MIB,
        **({"heap_anonymous_rss_bytes": 6 * MIB, "heap_file_rss_bytes": 0} if name == "rss" else {}),
    }


LEDGER_SERIES = {
    "event_step": [0, 0],
    "event_phase": [0, 1],
    **{
        f"event_{role}_bytes": [MIB, MIB]
        for role in ("parameter", "input", "activation", "saved", "gradient", "temporary")
    },
}


@pytest.fixture
def make(make_store, tmp_path):
    """Return a function that fills a store with a loop in three measures and the twins of some probes."""

    def stored(changing=(), same=(), references="strong"):
        with make_store(tmp_path) as store:
            for k in (1, 2):
                for measure in ("resident", "traced", "ledger"):
                    told = LEDGER_SERIES if measure == "ledger" else {}
                    outcome = store.outcome(metrics(measure), series=told, conditions=CONDITIONS)
                    store.add("loop", {"k": k, "references": references}, measure, 0, outcome)
            for watcher in ("bare", *changing, *same) if changing or same else ():
                found = {
                    "loop_collections_count": 5 if watcher in changing else 3,
                    "loop_peak_bytes": 100 * MIB,
                    "loop_peak_tolerance_bytes": MIB,
                }
                store.add("observer_effect", {"watcher": watcher}, "timed", 0, store.outcome(found))
        rows = read_store(tmp_path).rows
        observed = Observed(
            twins(Results("observer_effect", [r for r in rows if "watcher" in r.factors], lambda _: {}))
        )
        mine = [row for row in rows if row.experiment == "loop"]
        return Results("loop", mine, partial(series, tmp_path), observed=observed)

    return stored


def parts(results, folder):
    """Return the words beside the figures of each measure, by where they stand."""
    (section, *_) = document(folder, {}).sections
    by_title = {one.title.partition(":")[0]: one for one in section.tables}
    words = {"name": "figure", "title": "Title"}
    told = {f"table {title}": " ".join(one.notes) for title, one in by_title.items()}
    return told | {
        "roles": roles(results, **words).caption,
        "waterfall": waterfall(results, **words).caption,
        "bars of traced": bars(results, "peak_traced_bytes", "traced", **words).caption,
        "bars of ledger": bars(results, "gc_collections_count", "ledger", **words).caption,
        "matrix": matrix(results, "ledger_peak_bytes", "ledger", rows="k", columns="k", **words).caption,
        "finding": claims.same(results, {"gc_collections_count": 5}, "ledger", "collections", k=1).sentence,
        "finding of theory": claims.agreement(
            results, ["peak_traced_bytes"], "traced", "traced peak"
        ).sentence,
    }


OF_LEDGER = {"table Composition at the peak", "roles", "bars of ledger", "matrix", "finding"}
OF_TRACED = {
    "table Measured against predicted",
    "table Why bytes are still held at the end",
    "bars of traced",
    "finding of theory",
}


def flagged(told, probe):
    return {where for where, words in told.items() if REMARK.format(probe) in words}


def test_a_changing_ledger_is_flagged_wherever_its_figures_are_and_nowhere_else(make, tmp_path):
    results = make(changing=["ledger"], same=["traced", "events", "clock", "collector", "heap", "resident"])
    told = parts(results, tmp_path)
    # The waterfall begins with the ledger's bytes, and the medians take collections from where they are.
    assert flagged(told, "ledger") - {"waterfall", "table Medians of each cell"} == OF_LEDGER
    assert "waterfall" in flagged(told, "ledger")


def test_the_mark_is_explained_once(make, tmp_path):
    make(changing=["ledger", "events"])
    told = [one.sentence for one in document(tmp_path, {}).trust.findings if MARK in one.sentence]
    assert len(told) == 1 and "5 beside 3 bare" in told[0]
    assert "The probes events and ledger change what they watch" in told[0]
    text = (write_report(tmp_path, document(tmp_path, {})).parent / "report.md").read_text(encoding="utf-8")
    assert text.count("5 beside 3 bare") == 4  # of each probe: here, and with its methods


def test_where_no_collector_decides_nothing_is_flagged(make, tmp_path):
    results = make(changing=["ledger", "traced"], references="weak")
    told = parts(results, tmp_path)
    assert not [where for where, words in told.items() if MARK in words or FLAG in words]
    (section, *_) = document(tmp_path, {}).sections
    (composition,) = [one for one in section.tables if one.title.startswith("Composition")]
    assert {row[-1] for row in composition.rows} == {"none"}


def test_a_changing_tracer_is_flagged_in_traced_figures(make, tmp_path):
    told = parts(make(changing=["traced"], same=["ledger", "events"]), tmp_path)
    assert flagged(told, "traced") >= {*OF_TRACED, "waterfall"}
    assert not OF_LEDGER & flagged(told, "traced")
    assert not flagged(told, "ledger")


def test_headings_and_rows_tell_it_too(make, tmp_path):
    results = make(changing=["ledger", "traced"])
    headings = [column.heading for column in medians(results, "stem").columns]
    assert f"peak traced ({FLAG}) {MARK}" in headings
    assert "peak RSS" in headings
    (section, *_) = document(tmp_path, {}).sections
    (compared,) = [one for one in section.tables if one.title == "Measured against predicted"]
    quantities = {row[1] for row in compared.rows}
    assert {"peak RSS", f"peak traced ({FLAG}) {MARK}"} <= quantities


@pytest.mark.parametrize("changing", [["ledger"], ["traced"], ["ledger", "traced"], []])
def test_a_remark_stands_under_a_table_where_a_mark_is_in_it_and_nowhere_else(make, tmp_path, changing):
    make(changing=changing, same=["events", "clock", "collector", "heap", "resident"])
    (section, *_) = document(tmp_path, {}).sections
    for one in section.tables:
        inside = [
            *(column.heading for column in one.columns),
            *(str(value) for row in one.rows for value in row),
        ]
        assert any(MARK in words for words in inside) is any(MARK in note for note in one.notes), one.title
    assert any(MARK in note for one in section.tables for note in one.notes) is bool(changing)


def test_where_nothing_changes_there_is_no_flag(make, tmp_path):
    results = make(same=["ledger", "traced", "events", "clock", "collector", "heap", "resident"])
    assert not [words for words in parts(results, tmp_path).values() if FLAG in words]
    assert {state(results.observed, measure) for measure in results.measures} == {"none"}


def test_where_no_twin_ran_it_is_said_that_nothing_is_known(make, tmp_path):
    results = make()
    assert not [words for words in parts(results, tmp_path).values() if FLAG in words]
    (section,) = document(tmp_path, {}).sections
    (composition,) = [one for one in section.tables if one.title.startswith("Composition")]
    not_known = "not known of {}"
    assert {row[-1] for row in composition.rows} == {not_known.format(", ".join(PROBES["ledger"]))}
    method = dict(section.method)["observer effect"]
    assert f"traced: {not_known.format(', '.join(PROBES['traced']))}" in method
    assert told_of(results.observed, "ledger").startswith("not known")


def test_what_is_known_in_part_is_said_of_that_part(make):
    results = make(changing=["ledger"], same=["clock"])
    assert state(results.observed, "ledger") == f"ledger {FLAG}; not known of collector, events"


def test_page_markdown_and_tables_have_the_flags(make, tmp_path):
    make(changing=["ledger"])
    folder = write_report(tmp_path, document(tmp_path, {})).parent
    for name in ("index.html", "report.md"):
        assert (folder / name).read_text(encoding="utf-8").count(REMARK.format("ledger")) >= 1
    csv = (folder / "tables" / "loop-composition.csv").read_text(encoding="utf-8")
    assert "observer_effect" in csv and csv.count(f"ledger {FLAG}") == 2
    methods = {one.probe: dict(one.rows)["observer effect"] for one in document(tmp_path, {}).methods}
    assert methods["ledger"].startswith(FLAG) and methods["traced"].startswith("not known")


def test_a_report_of_one_experiment_knows_the_twins_of_another(make, tmp_path):
    make(changing=["ledger"])
    (section,) = document(tmp_path, {}, ["loop"]).sections
    assert REMARK.format("ledger") in " ".join(note for one in section.tables for note in one.notes)


def test_why_bytes_are_held_tells_of_both_measures(make):
    results = make(changing=["traced"])
    assert REMARK.format("traced") in " ".join(table(results, held(results), "stem").notes)


def test_whether_theory_holds_is_told_with_the_flag(make, tmp_path):
    make(changing=["traced"])
    sentences = [one.sentence for one in document(tmp_path, {}).findings]
    assert [REMARK.format("traced") in one for one in sentences if "traced trials" in one] == [True]
    assert [REMARK.format("traced") in one for one in sentences if "resident trials" in one] == [False]
