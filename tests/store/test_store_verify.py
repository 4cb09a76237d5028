"""`toolkit verify` says whether a store is whole, and forged files harm nobody."""

import sqlite3
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from toolkit.store import BadStore, encoding, opening
from toolkit.store.read import read_store, series
from toolkit.store.verify import Verified, verify
from toolkit.store.write import Writer
from toolkit.trials import Outcome, Trial

MakeTrial: TypeAlias = Callable[..., Trial]
MakeOutcome: TypeAlias = Callable[..., Outcome]


def rewrite(results: Path, *statements: str) -> None:
    with closing(sqlite3.connect(results / "results.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_a_whole_store_has_its_counts(filled: Path) -> None:
    assert verify(filled) == Verified(runs=1, trials=6, attempts=0, series=12, problems=())


def test_every_damaged_row_has_a_line(filled: Path, make_trial: MakeTrial) -> None:
    rewrite(
        filled,
        "UPDATE trial SET seed = 8 WHERE replicate IN (1, 3)",
        "UPDATE run SET started_at = 0",
    )
    verified = verify(filled)
    assert (verified.runs, verified.trials) == (0, 4)
    assert verified.problems == (
        "run 1 is not what was written",
        *(f"trial {make_trial(replicate).key[:12]} is not what was written" for replicate in (1, 3)),
    )


def test_a_series_that_does_not_unpack_is_named(filled: Path, make_trial: MakeTrial) -> None:
    key = make_trial(2).key
    rewrite(filled, f"UPDATE series SET data = x'00' WHERE trial = '{key}' AND name = 'rss_bytes'")
    verified = verify(filled)
    assert (verified.trials, verified.series) == (5, 11)
    assert len(verified.problems) == 2
    assert verified.problems[1].startswith(f"series {key[:12]} rss_bytes: a series has another length")


def test_what_the_file_system_lost_is_a_complaint_of_sqlite(filled: Path) -> None:
    content = bytearray((filled / "results.db").read_bytes())
    with closing(sqlite3.connect(filled / "results.db")) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_trial_1'"
        ).fetchone()
    content[4096 * (root - 1) + 4 : 4096 * (root - 1) + 5] = b"\3"
    (filled / "results.db").write_bytes(content)
    assert any(problem.startswith("file: ") for problem in verify(filled).problems)


def page_of(connection: sqlite3.Connection, table: str) -> int:
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return int(page)


def forge_rows_without_end(results: Path, table: str) -> None:
    """Put pages between the root of a table and its rows, each of which names the next one 500 times."""
    path = results / "results.db"
    with closing(sqlite3.connect(path)) as connection:
        root = page_of(connection, table)
    content = bytearray(path.read_bytes())
    pages = len(content) // 4096
    rows = content[4096 * (root - 1) : 4096 * root]

    def interior(child: int) -> bytes:
        cells = [struct.pack(">IB", child, 1)] * 500
        places = [4096 - 5 * (place + 1) for place in range(500)]
        head = struct.pack(">BHHHBI", 5, 0, 500, places[-1], 0, child)
        body = head + b"".join(struct.pack(">H", place) for place in places)
        return body.ljust(places[-1], b"\0") + b"".join(cells)

    content[4096 * (root - 1) : 4096 * root] = interior(pages + 1)
    for place in range(8):
        content += interior(pages + 2 + place)
    content += rows
    content[28:32] = struct.pack(">I", len(content) // 4096)
    path.write_bytes(content)


@pytest.mark.parametrize("table", ["trial", "series", "run"])
@pytest.mark.parametrize("use", [read_store, verify])
def test_rows_without_end_come_to_an_end(filled: Path, table: str, use: Callable[[Path], Any]) -> None:
    forge_rows_without_end(filled, table)
    tracemalloc.start()
    with pytest.raises(BadStore) as refusal:
        use(filled)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(refusal.value) == f"{filled}/results.db: its rows are larger than the file that holds them"
    assert peak < 2**27


def test_a_query_ends_when_it_takes_more_steps_than_the_file_can_need(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_STEPS_AT_LEAST", 600)
    monkeypatch.setattr(opening, "_STEPS_PER_BYTE", 0)
    monkeypatch.setattr(opening, "_STEPS_AT_ONCE", 100)
    with pytest.raises(BadStore, match="it takes more work than a file of its size can need"):
        verify(filled)


def test_cells_that_claim_more_than_they_hold_are_refused(
    results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    with Writer(results) as store:
        run = store.begin_run({})
        for replicate in range(200):
            store.add(run, make_trial(replicate), make_outcome(message="m" * 20_000, series={}))
    path = results / "results.db"
    content = path.read_bytes()
    # The serial type of a message of 20,000 bytes, and of one of 1,000,000 bytes, as three bytes each.
    short, long = (bytes([n >> 14 | 128, n >> 7 & 127 | 128, n & 127]) for n in (40_013, 2_000_013))
    assert content.count(short) == 200
    path.write_bytes(content.replace(short, long))
    with pytest.raises(BadStore) as refusal:
        read_store(results)
    assert str(refusal.value).isprintable()


def test_a_trial_of_many_series_unpacks_to_no_more_than_one_may_have(
    filled: Path, make_trial: MakeTrial, make_outcome: MakeOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(series(filled, make_trial(0).key)) == 2
    monkeypatch.setattr(encoding, "MAX_TRIAL_LENGTH", 5)
    with pytest.raises(BadStore, match="6 samples are more than the 5 that a trial may have"):
        series(filled, make_trial(0).key)
    with Writer(filled) as store, pytest.raises(ValueError, match="more than the 5"):
        store.add(1, make_trial(9), make_outcome(series={"x_bytes": [1] * 6}))


def test_a_series_of_300_kb_that_unpacks_to_300_mb_is_a_line_and_no_memory(filled: Path) -> None:
    bomb = zlib.compress(bytes(300 * 2**20), 9)
    with closing(sqlite3.connect(filled / "results.db")) as connection:
        connection.execute(
            "UPDATE series SET data = ?, count = ? WHERE name = 'rss_bytes'", (bomb, 300 * 2**17)
        )
        connection.commit()
    tracemalloc.start()
    verified = verify(filled)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(verified.problems) == 12 and verified.trials == 0
    assert peak < 2**23


def command(results: Path) -> tuple[int, list[str]]:

    ran = subprocess.run(
        [sys.executable, "-m", "toolkit", "verify", "--results", str(results)],
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, (ran.stdout + ran.stderr).splitlines()


def test_the_command_ends_with_0_or_65(filled: Path, make_trial: MakeTrial) -> None:
    assert command(filled) == (
        0,
        ["1 runs, 6 trials, 0 earlier attempts and 12 series are whole; problems: none"],
    )
    rewrite(filled, "UPDATE trial SET seed = 8 WHERE replicate = 1")
    assert command(filled) == (
        65,
        [
            f"trial {make_trial(1).key[:12]} is not what was written",
            "1 runs, 5 trials, 0 earlier attempts and 12 series are whole; problems: 1",
        ],
    )


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, b"SQLite format 3\0" + bytes(4080)])
def test_the_command_says_in_one_line_what_is_no_store(results: Path, content: bytes) -> None:
    results.mkdir()
    (results / "results.db").write_bytes(content)
    code, lines = command(results)
    assert code == 65 and len(lines) == 1 and lines[0].startswith(f"toolkit: {results}/results.db")
    assert [path.name for path in results.iterdir()] == ["results.db"]
