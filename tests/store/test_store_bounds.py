"""A store with more names than tables and reports can hold is refused in one line, by readers and by the writer."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from toolkit.store import BadStore, schema
from toolkit.store.read import load, read_store
from toolkit.store.verify import verify
from toolkit.store.write import Writer
from toolkit.trials import Outcome, Trial

MakeTrial: TypeAlias = Callable[..., Trial]
MakeOutcome: TypeAlias = Callable[..., Outcome]

#: What makes the names of each kind, half of the most and one more in each of two trials.
WIDE: dict[str, Callable[[int], tuple[dict[str, Any], dict[str, Any]]]] = {
    "factors and constants": lambda place: ({"factors": names(place, 501)}, {}),
    "conditions": lambda place: ({}, {"conditions": names(place, 1001)}),
    "metrics": lambda place: ({}, {"metrics": names(place, 1001)}),
}


def names(place: int, count: int) -> dict[str, int]:
    return {f"name{place}.{number}": number for number in range(count)}


@pytest.mark.parametrize("kind", WIDE)
def test_more_names_than_a_store_may_have_are_neither_read_nor_written(
    results: Path,
    make_trial: MakeTrial,
    make_outcome: MakeOutcome,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    trials = [(make_trial(place, **WIDE[kind](place)[0]), WIDE[kind](place)[1]) for place in range(2)]
    most = f"{schema.MOST_NAMES[kind]:,} {kind}"
    line = f"{results / 'results.db'} holds more than {most}, the most that a store may have"
    with Writer(results) as store:
        run = store.begin_run({})
        store.add(run, trials[0][0], make_outcome(**trials[0][1]))
    with Writer(results) as store:
        # By a writer that was not there when the first came.
        with pytest.raises(BadStore) as refusal:
            store.add(run, trials[1][0], make_outcome(**trials[1][1]))
        assert str(refusal.value) == line
        assert len(read_store(results).rows) == 1
        with monkeypatch.context() as patched:
            patched.setitem(schema.MOST_NAMES, kind, 10**6)
            store.add(run, trials[1][0], make_outcome(**trials[1][1]))
    for use in (read_store, load, verify):
        with pytest.raises(BadStore) as refusal:
            use(results)
        assert str(refusal.value) == line


def test_more_experiments_than_a_report_can_have_are_refused(
    results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert schema.MOST_NAMES["experiments"] == 500
    with Writer(results) as store:
        run = store.begin_run({})
        for place in range(4):
            store.add(run, make_trial(experiment=f"experiment{place}"), make_outcome())
    monkeypatch.setitem(schema.MOST_NAMES, "experiments", 4)
    assert len(read_store(results).rows) == 4
    monkeypatch.setitem(schema.MOST_NAMES, "experiments", 3)
    with pytest.raises(BadStore, match="holds more than 3 experiments, the most that a store may have"):
        read_store(results)


def test_a_table_of_more_cells_than_memory_can_hold_is_refused(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Six trials with three levels and two metrics each.
    monkeypatch.setattr(schema, "MOST_CELLS", 30)
    assert len(load(filled)) == 6
    monkeypatch.setattr(schema, "MOST_CELLS", 29)
    with pytest.raises(BadStore, match="would make a table of 30 cells, and 29 are the most"):
        load(filled)


@pytest.mark.parametrize("text", ["no JSON", "[1, 2]", "null", '"name"', b"\x00", 7, "[" * 100_000])
def test_a_row_whose_names_cannot_be_read_keeps_no_writer_out(
    filled: Path, make_trial: MakeTrial, make_outcome: MakeOutcome, text: object
) -> None:
    with closing(sqlite3.connect(filled / "results.db")) as connection:
        cells = ", ".join(f"{cell} = ?" for cell in ("factors", "constants", "conditions", "metrics"))
        connection.execute(f"UPDATE trial SET {cells} WHERE replicate = 2", [text] * 4)
        connection.commit()
    with Writer(filled) as store:
        store.add(1, make_trial(6), make_outcome())
    assert len(read_store(filled).rows) == 6
