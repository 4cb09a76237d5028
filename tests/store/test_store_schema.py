"""A file is opened only when it is a store: everything else gets one line."""

import os
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from toolkit.store import BadStore
from toolkit.store.opening import open_for_reading
from toolkit.store.read import load, read_store
from toolkit.store.write import Writer


def changed(sql: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(sql)

    return change


def made_of(content: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(content)

    return make


def with_fifo(ending: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        companion = path.with_name(path.name + ending)
        companion.unlink(missing_ok=True)
        os.mkfifo(companion)

    return make


def with_journal_of_another(path: Path) -> None:
    """Add a journal that SQLite would take back, and then delete the file that it names."""
    path.with_name(f"{path.name}.precious").write_text("kept")
    page = path.read_bytes()[:4096]
    nonce = 7
    check = (nonce + sum(page[place] for place in range(4096 - 200, 0, -200))) & 0xFFFFFFFF
    magic = bytes.fromhex("d9d505f920a163d7")
    pages = path.stat().st_size // 4096
    journal = (magic + struct.pack(">IIIII", 1, nonce, pages, 512, 4096)).ljust(512, b"\0")
    journal += struct.pack(">I", 1) + page + struct.pack(">I", check)
    name = str(path.with_name(f"{path.name}.precious")).encode()
    journal += (
        struct.pack(">I", 0x40000000 // 4096 + 1) + name + struct.pack(">II", len(name), sum(name)) + magic
    )
    path.with_name(f"{path.name}-journal").write_bytes(journal)


def in_place_of(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (Path.unlink, "is not there: `toolkit run` makes it"),
        (in_place_of, "is no ordinary file"),
        (with_fifo(""), "is no ordinary file"),
        (made_of(b""), "holds nothing yet: `toolkit run` fills it"),
        (made_of(b"garbage\n" * 4096), "file is not a database"),
        (made_of(b"SQLite format 3\0" + bytes(4080)), ""),
        (made_of(b"PAR1" + bytes(2000)), "file is not a database"),
        (changed("PRAGMA user_version = 3"), "is of version 3, and this toolkit knows version 2: update"),
        (changed("PRAGMA user_version = 0"), "does not have the tables of a store of version 2"),
        (changed("PRAGMA application_id = 1"), "is a database of another program"),
        (with_fifo("-journal"), "is no ordinary file"),
        (with_fifo("-wal"), "is no ordinary file"),
        (with_fifo(".lock"), "is no ordinary file"),
        (with_journal_of_another, "it names another file"),
        (changed("DROP TABLE series"), "does not have the tables"),
        (changed("ALTER TABLE trial ADD COLUMN host TEXT"), "does not have the tables"),
        (changed("CREATE TABLE other (x)"), "does not have the tables"),
        (
            changed(
                "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = CAST(sql AS BLOB) WHERE name = 'run'"
            ),
            "does not have the tables",
        ),
        (changed("CREATE INDEX other ON trial (seed)"), "does not have the tables"),
        (changed("CREATE VIEW v AS SELECT * FROM trial"), "does not have the tables"),
        (
            changed("CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM run; END"),
            "does not have the tables",
        ),
        (
            changed(
                "ALTER TABLE trial RENAME TO old; CREATE VIEW trial AS"
                " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id FROM n"
            ),
            "does not have the tables",
        ),
    ],
)
def test_a_file_that_is_no_store_gets_one_line(
    filled: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(filled / "results.db")
    with pytest.raises(BadStore) as refusal:
        load(filled)
    assert str(refusal.value).startswith(str(filled / "results.db"))
    assert words in str(refusal.value) and str(refusal.value).isprintable()


def test_a_complaint_that_is_no_text_becomes_one_line(filled: Path) -> None:
    content = bytearray((filled / "results.db").read_bytes())
    # SQLite quotes the broken name of the column as it stands in the file.
    content[content.index(b"(trial, name)") + 3] ^= 0x80
    (filled / "results.db").write_bytes(content)
    for use in (load, lambda results: Writer(results).__enter__()):
        with pytest.raises(BadStore, match="malformed database schema") as refusal:
            use(filled)
        assert str(refusal.value).isprintable()


def test_a_store_of_a_newer_version_is_not_touched(filled: Path) -> None:
    changed("PRAGMA user_version = 99")(filled / "results.db")
    before = (filled / "results.db").read_bytes()
    with pytest.raises(BadStore):
        load(filled)
    assert (filled / "results.db").read_bytes() == before


def test_a_truncated_file_never_loses_rows_in_silence(filled: Path) -> None:
    content = (filled / "results.db").read_bytes()
    for size in range(0, len(content), 1000):
        (filled / "results.db").write_bytes(content[:size])
        with pytest.raises(BadStore):
            read_store(filled)


def test_a_writer_does_not_build_on_a_truncated_file(filled: Path) -> None:
    content = (filled / "results.db").read_bytes()
    for size in (100, 4096, len(content) - 4096, len(content) - 1):
        (filled / "results.db").write_bytes(content[:size])
        with pytest.raises(BadStore), Writer(filled):
            pass
        assert (filled / "results.db").read_bytes() == content[:size]


def test_a_look_with_another_tool_does_no_harm(filled: Path) -> None:
    before = read_store(filled)
    changed("ANALYZE; VACUUM; REINDEX")(filled / "results.db")
    assert read_store(filled) == before


def test_a_reader_can_change_nothing(filled: Path) -> None:
    with closing(open_for_reading(filled / "results.db")) as connection:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM trial")
        assert connection.execute("PRAGMA trusted_schema").fetchone() == (0,)
    assert sorted(path.name for path in filled.iterdir()) == ["results.db", "results.db.lock"]
