"""The listing of a workload, made of what trials of hand-made figures told; and of real trials, in the report."""

from functools import partial

import pytest

from toolkit.analysis.observing import Observed, Twin
from toolkit.analysis.results import Results
from toolkit.report.listing import listings
from toolkit.report.names import unique_stems
from toolkit.store.read import read_store, series

SOURCE = "def workload(trial, *, k):\n    x = make(k)\n    same = k\n"
CONDITIONS = {"workload_source": SOURCE, "workload_first_line": 8}
SPACE = "\N{NO-BREAK SPACE}"
KIB = 1024


def ledger(made, freed):
    return {
        "line_number": [8, 9, 10, 0],
        "line_calls_count": [1, 3, 3, 1],
        "line_ledger_made_bytes": [0, made, 0, 0],
        "line_ledger_freed_bytes": [0, freed, 0, 0],
        "line_ledger_held_bytes": [0, made - freed, made - freed, made - freed],
        "line_ledger_peak_bytes": [0, made, made - freed, made - freed],
    }


def profiler(*increments):
    return {
        "line_number": [8, 9, 10],
        "line_profiler_increment_bytes": list(increments),
        "line_profiler_calls_count": [1, 3, 3],
    }


@pytest.fixture
def make(make_store, tmp_path):
    """Return a function that makes the tables of cells, given the series of each measure for each level of k."""

    def tables(cells, metrics=None, observed=None):
        with make_store(tmp_path) as store:
            for k, told in cells.items():
                for measure, values in told.items():
                    outcome = store.outcome(metrics or {}, series=values, conditions=CONDITIONS)
                    store.add("book", {"k": k, "references": "strong"}, measure, 0, outcome)
        results = Results("book", read_store(tmp_path).rows, partial(series, tmp_path), observed=observed)
        return list(listings(results, "book", unique_stems()))

    return tables


def test_both_listings_stand_side_by_side(make):
    (table,) = make({1: {"lines": ledger(30 * KIB, 0), "profiled": profiler(900 * KIB, 32 * KIB, 0)}})
    assert table.title == "Line by line"
    assert [column.name for column in table.columns] == [
        "line_number",
        "source",
        "line_calls_count",
        *(f"line_ledger_{one}_bytes" for one in ("made", "freed", "held", "peak")),
        "line_profiler_increment_bytes",
        "line_profiler_calls_count",
    ]
    k = 30 * KIB
    assert table.rows == (
        (8, "def workload(trial, *, k):", 1, 0, 0, 0, 0, 900 * KIB, 1),
        (9, "    x = make(k)", 3, k, 0, k, k, 32 * KIB, 3),
        (10, "    same = k", 3, 0, 0, k, k, 0, 3),
        (None, "(return)", 1, 0, 0, k, k, None, None),
    )


@pytest.mark.parametrize(("collections", "flagged"), [(5, True), (3, False)])
def test_a_listing_of_a_probe_that_changes_what_it_watches_says_so(make, collections, flagged):
    twin = Twin(
        watcher="lines",
        levels={},
        collections_count=collections,
        bare_collections_count=3,
        peak_bytes=0,
        bare_peak_bytes=0,
        allowed_bytes=0,
    )
    (table,) = make({1: {"lines": ledger(30 * KIB, 0)}}, observed=Observed([twin]))
    assert ("† Watched by lines." in " ".join(table.notes)) is flagged
    headings = [column.heading for column in table.columns]
    assert headings[:2] == ["line", "source"]
    assert all(heading.endswith(" †") is flagged for heading in headings[2:])


def test_each_cell_has_a_listing_of_what_it_measured(make):
    first, second = make({1: {"lines": ledger(KIB, 0)}, 2: {"profiled": profiler(KIB, 0, 0)}})
    assert (first.title, second.title) == ("Line by line: k=1", "Line by line: k=2")
    assert (first.stem, second.stem) == ("book-lines", "book-lines-2")
    assert (len(first.columns), len(second.columns)) == (7, 4)
    assert not any("memory_profiler" in note for note in first.notes)
    assert not any("ledger" in note for note in second.notes)


def test_without_such_trials_there_is_no_listing(make):
    assert make({1: {"traced": {"event_step": [0]}}}) == []


def test_the_notes_say_what_was_made_and_freed_and_left_to_the_collector(make):
    metrics = {"lines_dropped_bytes": 5 * KIB, "lines_collected_bytes": KIB}
    (table,) = make({1: {"lines": ledger(30 * KIB, 10 * KIB)}}, metrics)
    (note,) = table.notes
    assert note.startswith(
        f"The ledger, to the byte: 30.0{SPACE}KiB of arrays made and 10.0{SPACE}KiB freed until the workload had "
        f"returned, at most 30.0{SPACE}KiB held at a time, on line 9; the collector then freed 4.00{SPACE}KiB that "
        "no line had."
    )


def test_artefacts_are_named_where_they_are(make):
    hidden, again, plain, reused = make(
        {
            1: {"lines": ledger(30 * KIB, 30 * KIB), "profiled": profiler(900 * KIB, 0, 0)},
            2: {"lines": ledger(30 * KIB, 0), "profiled": profiler(900 * KIB, 32 * KIB, -8 * KIB)},
            3: {"lines": ledger(30 * KIB, 0), "profiled": profiler(900 * KIB, 32 * KIB, 0)},
            4: {"lines": ledger(30 * KIB, 10 * KIB), "profiled": profiler(900 * KIB, 0, 0)},
        }
    )
    assert hidden.notes[2:] == (
        "An increment is what a line leaves, not what it makes: on line 9 memory_profiler says 0"
        f"{SPACE}B, where 30.0{SPACE}KiB were made and 30.0{SPACE}KiB freed.",
    )
    (told,) = again.notes[2:]
    assert told.startswith(
        f"Below 0 without a fall: on line 10 memory_profiler says \N{MINUS SIGN}8.00{SPACE}KiB, where nothing was "
        "freed. An increment is counted from the highest reading that the line before ever had"
    )
    assert plain.notes[2:] == ()
    assert reused.notes[2:] == (
        "Pages that stayed resident when they were freed are taken up again without an increment: on line 9 "
        f"memory_profiler says 0{SPACE}B, where 30.0{SPACE}KiB were made and 10.0{SPACE}KiB freed.",
    )
    for table in (hidden, again, plain, reused):
        assert f"900{SPACE}KiB were there when line 8 was over" in table.notes[1]
        assert "ran the body once" in table.notes[1]
