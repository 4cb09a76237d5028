"""What a run tells of itself and the conditions of a trial have the shapes that readers count on."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from toolkit.store.cells import check_description, check_stored_conditions
from toolkit.store.encoding import canonical_json, digest_of
from toolkit.store.read import read_store
from toolkit.store.schema import RUN_CELLS, TRIAL_CELLS
from toolkit.store.verify import verify
from toolkit.store.write import Writer
from toolkit.trials import Trial
from toolkit.trials.host import host_facts

MakeTrial: TypeAlias = Callable[..., Trial]
MakeOutcome: TypeAlias = Callable[..., Any]

TELLS: list[tuple[str, object, str]] = [
    ("skipped_levels", "abc", "'skipped_levels' is not of the type dict[str, dict[str, str]]"),
    ("skipped_levels", {"e": ["a"]}, "'skipped_levels' is not of the type dict[str, dict[str, str]]"),
    ("arguments", 5, "'arguments' is not of the type list[str]"),
    ("arguments", ["run", None], "'arguments' is not of the type list[str]"),
    ("profile", ["full"], "'profile' is not of the type str"),
    ("order_seed", True, "'order_seed' is not of the type int"),
    ("memory_bytes", 10**4000, "'memory_bytes' does not fit 64 bits"),
    ("load", [0.5, 1e400], "'load' is inf"),
    ("numpy", [[[[["2.0"]]]]], "'numpy' is nested more than 4 deep"),
]


@pytest.mark.parametrize(("name", "value", "words"), TELLS, ids=range(len(TELLS)))
def test_a_run_that_tells_what_is_none_is_named_and_left_out(
    filled: Path, name: str, value: object, words: str
) -> None:
    with closing(sqlite3.connect(filled / "results.db")) as connection, connection:
        (row,) = connection.execute(f"SELECT {', '.join(RUN_CELLS)} FROM run").fetchall()
        # JSON of the standard has no infinity, and Python reads 1e400 as one.
        text = canonical_json({name: value}) if words[-3:] != "inf" else '{"load":[0.5,1e400]}'
        cells = (*row[:3], text, row[4])
        connection.execute("UPDATE run SET description = ?, digest = ?", (text, digest_of(cells)))
    contents = read_store(filled)
    assert (contents.runs, len(contents.rows)) == ((), 6)
    assert list(map(str, contents.damaged)) == [f"run 1 {words}"]
    assert verify(filled).problems == (f"run 1 {words}",)


@pytest.mark.parametrize(("name", "value", "words"), TELLS, ids=range(len(TELLS)))
def test_nothing_is_written_that_readers_would_leave_out(
    results: Path, name: str, value: object, words: str
) -> None:
    with Writer(results) as store, pytest.raises(ValueError) as refusal:
        store.begin_run({name: value})
    assert str(refusal.value) == words


def test_what_hosts_tell_can_be_told() -> None:
    facts = host_facts()
    check_description(facts)
    check_description({name: [fact, fact] for name, fact in facts.items()})


@pytest.mark.parametrize(
    ("cell", "value", "words"),
    [
        ("conditions", '{"page_bytes":"many"}', "'page_bytes' is not of the type int"),
        ("conditions", '{"page_bytes":-1}', "'page_bytes' is -1"),
        ("conditions", '{"prediction_array_bytes":true}', "'prediction_array_bytes' is not of the type int"),
        ("conditions", '{"prediction_exception_percent":""}', "is not of the type int | float"),
        ("conditions", '{"host":["a"]}', "'host' is of type list"),
        ("metrics", '{"peak_rss_bytes":0.5}', "peak_rss_bytes must be an integer, not 0.5"),
        ("measure", "loud", "is replicate 5 of the measure 'loud', ended as 'error'"),
        ("status", "fine", "is replicate 5 of the measure 'resident', ended as 'fine'"),
        ("replicate", -1, "is replicate -1 of the measure 'resident', ended as 'error'"),
    ],
)
def test_a_trial_that_tells_what_is_none_is_named_and_left_out(
    results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome, cell: str, value: object, words: str
) -> None:
    with Writer(results) as store:
        run = store.begin_run({})
        store.add(run, make_trial(0), make_outcome())
        store.add(run, make_trial(5), make_outcome("error", series={}))
    with closing(sqlite3.connect(results / "results.db")) as connection, connection:
        connection.execute(f"UPDATE trial SET {cell} = ? WHERE id = 2", (value,))
        row = connection.execute(f"SELECT {', '.join(TRIAL_CELLS)} FROM trial WHERE id = 2").fetchone()
        connection.execute("UPDATE trial SET digest = ? WHERE id = 2", (digest_of(row),))
    contents = read_store(results)
    (damage,) = contents.damaged
    assert len(contents.rows) == 1 and damage.table == "trial" and words in damage.reason


def test_conditions_that_mean_nothing_to_readers_are_any_levels() -> None:
    check_stored_conditions({"exact": True, "note": "x", "share": 0.5, "page_bytes": 4096, "python": "3.13"})
