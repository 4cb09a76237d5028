"""An older store made one of this version: by writers after a backup, at one stroke; by readers in a copy."""

import filecmp
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from importlib import import_module
from itertools import chain, count
from pathlib import Path
from types import ModuleType

from toolkit.store import migrations, opening, schema
from toolkit.store.workshop import workshop

__all__ = ["bring_up_to_date", "reading"]


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that reads a store as it is now, also while a run goes on; leave the file as it is.

    One of an older version is migrated in a private copy, which goes with the connection.

    Raises
    ------
    BadStore
        When the file is missing, damaged as a whole, foreign or of a newer version.
    """
    with opening.plain_errors(path, writing=False):
        version = opening.version_of(path) if path.is_file() else None
        is_older = version is not None and _is_older(version)
        with closing(_migrated_copy(path) if is_older else opening.open_for_reading(path)) as connection:
            connection.execute("PRAGMA query_only = ON")
            # One transaction, so that a run that is going on changes nothing between two queries.
            connection.execute("BEGIN")
            yield connection


def _migrated_copy(path: Path) -> sqlite3.Connection:
    # Without a name: SQLite keeps it in memory, what is large in a file that nobody sees, and no file is left.
    copy = opening.connect(None)
    try:
        with closing(opening.connect(path, "ro", alone=opening.is_at_rest(path))) as connection:
            opening.bound(connection, path)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            steps = _steps(version)
            opening.check_tables(connection, path, version, steps[0].TABLES if steps else schema.TABLES)
            connection.backup(copy)
        opening.bound(copy, path)
        copy.execute("BEGIN")
        _take(copy, path, steps)
        copy.execute("COMMIT")
        opening.bound(copy, path)
    except BaseException:
        copy.close()
        raise
    return copy


def bring_up_to_date(path: Path) -> None:
    """Give a store of an older version the tables of this one; leave every other file as it is.

    The old file is kept beside it as ``results.db.version-N``, or ``results.db.version-N.2`` and so on where that
    is the copy of another store.

    Raises
    ------
    BadStore
        When the file does not have the tables of the version that it claims. It is left as it was.
    StoreLocked
        When another run holds the store.
    StoreUnwritable
        When the disk is full or may not be written to. The store is left as it was.
    """
    with opening.plain_errors(path, writing=True):
        version = opening.version_of(path) if path.is_file() else None
        if version is None or not _is_older(version):
            return
        steps = _steps(version)
        # Before the lock is made beside it: a file that is not ours is left alone.
        with opening.looking_at(path) as connection:
            opening.check_tables(connection, path, version, steps[0].TABLES)
        with opening.holding(path), closing(opening.connect(path, "rw")) as connection:
            opening.bound(connection, path)
            _migrate(connection, path, version, steps)


def _is_older(version: int) -> bool:
    return 0 < version < schema.VERSION


def _migrate(connection: sqlite3.Connection, path: Path, version: int, steps: Sequence[ModuleType]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if not _is_older(found):
            # Another process has done it meanwhile.
            connection.execute("ROLLBACK")
            return
        opening.check_tables(connection, path, version, steps[0].TABLES)
        _back_up(path, path.with_name(f"{path.name}.version-{version}"))
        _take(connection, path, steps)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _steps(version: int) -> list[ModuleType]:
    return [_step(number) for number in range(version, schema.VERSION)]


def _take(connection: sqlite3.Connection, path: Path, steps: Sequence[ModuleType]) -> None:
    for step in steps:
        step.migrate(connection)
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")
    opening.check_tables(connection, path, schema.VERSION, schema.TABLES)


def _step(version: int) -> ModuleType:
    return import_module(f"{migrations.__name__}.version_{version}")


def _back_up(path: Path, backup: Path) -> None:
    """Copy a store, with what lies in the journal beside it, whole or not at all; keep every earlier copy."""
    with workshop(path.parent) as place:
        part = place / backup.name
        with closing(opening.connect(path, "ro")) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        for name in chain([backup.name], (f"{backup.name}.{number}" for number in count(2))):
            copied = backup.with_name(name)
            if not copied.exists():
                os.replace(part, copied)
                return
            if filecmp.cmp(part, copied, shallow=False):
                # Of a migration that was cut off.
                return
