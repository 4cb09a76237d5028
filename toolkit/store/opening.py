"""Opening a file only when it is a store, and letting nothing in it take more than its size can warrant.

A file from elsewhere may be made to harm: by views and triggers, which equality with our own tables keeps out; by
pages that are used again and again, so that a few bytes hold rows without end; by series that unpack to gigabytes.
"""

import os
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from operator import methodcaller
from pathlib import Path

from toolkit.store import BadStore, StoreError, StoreLocked, StoreUnwritable, schema
from toolkit.store.encoding import one_line

__all__ = [
    "bound",
    "check_tables",
    "connect",
    "holding",
    "is_at_rest",
    "looking_at",
    "open_for_reading",
    "open_for_writing",
    "plain_errors",
    "refuse_foreign",
    "store_path",
    "version_of",
]

#: How long one process waits for another that reads or closes the file.
_PATIENCE_SECONDS = 5.0

_MAGIC = b"SQLite format 3\0"
#: Places in the header of a file: https://www.sqlite.org/fileformat.html
_JOURNAL, _USER_VERSION, _APPLICATION_ID, _HEADER_BYTES = slice(18, 20), slice(60, 64), slice(68, 72), 100
_WRITE_AHEAD = b"\2\2"

#: What SQLite may look for beside a file, and the lock of a run.
_COMPANIONS = ("-journal", "-wal", "-shm", ".lock")
#: The last bytes of a journal that names a second one, which SQLite deletes with it; ours never do.
_NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")

#: A scan takes some 25 steps of SQLite for a row of hundreds of bytes, and a row has no fewer than 50.
_STEPS_PER_BYTE, _STEPS_AT_LEAST, _STEPS_AT_ONCE = 1, 2_000_000, 10_000

_UNWRITABLE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def store_path(results_dir: str | Path) -> Path:
    """Return the path of the store in a folder of results: where a link there leads to, if it is one.

    The lock and the journal lie beside that file, so that whoever comes by another way meets them.
    """
    path = Path(results_dir) / "results.db"
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def version_of(path: Path) -> int | None:
    """Return the version of the tables of a file, from its first bytes; None of a file without any.

    Raises
    ------
    BadStore
        When the file is no store, or one of a newer version. Nothing is left beside it.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise BadStore(f"{path} is no ordinary file")
    _check_companions(path)
    with open(path, "rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header:
        return None
    if not header.startswith(_MAGIC):
        raise BadStore(f"{path}: file is not a database")
    if int.from_bytes(header[_APPLICATION_ID], "big") != schema.APPLICATION_ID:
        raise BadStore(f"{path} is a database of another program")
    version = int.from_bytes(header[_USER_VERSION], "big")
    if version > schema.VERSION:
        raise BadStore(
            f"{path} is of version {version}, and this toolkit knows version {schema.VERSION}: update the toolkit"
        )
    return version


def _check_companions(path: Path) -> None:
    """Refuse what would make SQLite wait for ever, or reach for files elsewhere, before it is asked anything."""
    for ending in _COMPANIONS:
        companion = path.with_name(f"{path.name}{ending}")
        if not os.path.lexists(companion):
            continue
        if companion.is_symlink() or not companion.is_file():
            raise BadStore(f"{companion} is no ordinary file")
    journal = path.with_name(f"{path.name}-journal")
    if journal.exists() and journal.stat().st_size >= len(_NAMES_ANOTHER):
        with open(journal, "rb") as file:
            file.seek(-len(_NAMES_ANOTHER), os.SEEK_END)
            if file.read() == _NAMES_ANOTHER:
                raise BadStore(f"{journal} is not of a store: it names another file")


def refuse_foreign(path: Path) -> None:
    """Let pass a store of this version, and a file with nothing in it.

    Raises
    ------
    BadStore
        When the file is anything else. It is left as it was, and nothing is left beside it.
    """
    if version_of(path) is not None:
        with looking_at(path) as connection:
            _is_new(connection, path)


@contextmanager
def looking_at(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection for the first look at a file, which leaves nothing beside it."""
    with closing(connect(path, "ro", alone=is_at_rest(path))) as connection:
        bound(connection, path)
        try:
            yield connection
        except sqlite3.OperationalError as error:
            # Cut off while it changed the journal, a file cannot be read before a writer has mended it.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
                raise


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a store without the means to change it.

    Raises
    ------
    BadStore
        When the file is missing, or is not a store of this version with exactly its tables.
    """
    if not path.is_file():
        if os.path.lexists(path):
            raise BadStore(f"{path} is no ordinary file")
        raise BadStore(f"{path} is not there: `toolkit run` makes it")
    refuse_foreign(path)
    connection = connect(path, "ro")
    try:
        bound(connection, path)
        connection.execute("PRAGMA query_only = ON")
        if _is_new(connection, path):
            raise BadStore(f"{path} holds nothing yet: `toolkit run` fills it")
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open a store to add to it; make it when there is none, or nothing in it.

    Raises
    ------
    BadStore
        When the file is not a store of this version. It is left as it was.
    """
    if path.exists():
        # To open a file for writing may be to change it: SQLite tidies up after a crash.
        refuse_foreign(path)
    connection = connect(path, "rwc")
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # Before the journal is kept beside the file: the first bytes of a store always tell that it is one.
        if _is_new(connection, path):
            _make_tables(connection)
        connection.execute("PRAGMA journal_mode = WAL")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Keep other writers away; the operating system lets them in again however this process ends.

    Raises
    ------
    StoreLocked
        At once, when another one holds the store.
    BadStore
        When the file has two names, of which the other would have a lock of its own.
    """
    # https://www.sqlite.org/howtocorrupt.html, 2.5: it would have a journal of its own as well.
    if path.exists() and path.stat().st_nlink > 1:
        raise BadStore(f"{path} has another name, by a hard link: runs add to copies only")
    # Here, because readers need no lock, nor a system that has this one.
    import fcntl

    # A file of its own, because SQLite locks the store with calls that flock does not see.
    with open(path.with_name(f"{path.name}.lock"), "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreLocked(f"another run is writing to {path}") from None
        yield


@contextmanager
def plain_errors(path: Path, *, writing: bool) -> Iterator[None]:
    """Turn what SQLite and the operating system complain about into one line for people.

    Raises
    ------
    StoreLocked
        When another program holds the file.
    StoreUnwritable
        When writing meets a full disk, a failing one, or a folder that cannot be written to.
    BadStore
        When the file is damaged, or cannot be read.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
        if code in (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISUSE):
            raise
        raise _plain(code, f"{path}: {one_line(str(error))}", writing=writing) from error
    except UnicodeDecodeError as error:
        # What SQLite complains of quotes the file, and that part of it is no text.
        raise BadStore(f"{path}: {one_line(repr(error.object))}") from error
    except OSError as error:
        words = f"{error.filename or path}: {error.strerror or error}"
        raise (StoreUnwritable if writing else BadStore)(words) from error


def _plain(code: int, words: str, *, writing: bool) -> StoreError:
    if code in _BUSY:
        return StoreLocked(f"{words} (another program holds it)")
    if writing and code in _UNWRITABLE:
        return StoreUnwritable(words)
    if code == sqlite3.SQLITE_READONLY:
        return BadStore(f"{words} (it was cut off while it was written: `toolkit run` mends it)")
    if code == sqlite3.SQLITE_INTERRUPT:
        return BadStore(f"{words} (it takes more work than a file of its size can need)")
    return BadStore(words)


def connect(path: Path | None, mode: str = "rwc", *, alone: bool = False) -> sqlite3.Connection:
    """Return a connection to a file that may be hostile, in a mode of SQLite: "ro", "rw" or "rwc".

    Parameters
    ----------
    path : path or None
        None: a database of the connection's own.
    alone : bool
        Whether to take it that nobody changes the file meanwhile: then nothing is made beside it.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}{'&immutable=1' if alone else ''}" if path else "",
        uri=path is not None,
        timeout=_PATIENCE_SECONDS,
        isolation_level=None,
    )
    # Damaged text must reach the check of the digest instead of ending the query. In C all the way: a large
    # store has millions of texts.
    connection.text_factory = methodcaller("decode", "utf-8", "surrogateescape")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def is_at_rest(path: Path) -> bool:
    """Tell whether a file keeps its journal beside it and has none: to look at it would leave one behind."""
    with open(path, "rb") as file:
        header = file.read(_HEADER_BYTES)
    return header[_JOURNAL] == _WRITE_AHEAD and not path.with_name(f"{path.name}-wal").exists()


def bound(connection: sqlite3.Connection, path: Path) -> None:
    """End every query that takes more steps in all than a whole file of this size can need."""
    parts = [path, path.with_name(f"{path.name}-wal")]
    size = sum(os.stat(part).st_size for part in parts if part.exists())
    left = (_STEPS_AT_LEAST + _STEPS_PER_BYTE * size) // _STEPS_AT_ONCE

    def is_spent() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    connection.set_progress_handler(is_spent, _STEPS_AT_ONCE)


def _is_new(connection: sqlite3.Connection, path: Path) -> bool:
    """Tell a file with nothing in it from a store; refuse everything else."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application_id == version == 0 and not _statements(connection):
        return True
    check_tables(connection, path, schema.VERSION, schema.TABLES)
    return False


def check_tables(connection: sqlite3.Connection, path: Path, version: int, tables: Collection[str]) -> None:
    """Let pass a whole store of that version with exactly these tables.

    Raises
    ------
    BadStore
        When it has another version, lacks a table, has anything else besides, or is cut short.
    """
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    # Equality leaves no room for the views, triggers and computed columns of a file from elsewhere.
    if found != version or _statements(connection) != sorted(tables):
        raise BadStore(f"{path} does not have the tables of a store of version {version}")
    _check_length(connection, path)


def _statements(connection: sqlite3.Connection) -> list[str]:
    # SQLite's own indexes have no text, and its statistics come from looking at a store with other tools.
    found = connection.execute(
        "SELECT sql FROM sqlite_master"
        " WHERE sql IS NOT NULL AND NOT (type = 'table' AND name LIKE 'sqlite_stat_')"
    )
    # In a damaged file they need not be texts.
    return sorted(str(sql) for (sql,) in found)


def _check_length(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that ends within a page: SQLite misses only whole pages."""
    (journal_mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    # While a run goes on, what is missing here may lie in the file beside it.
    if journal_mode != "wal" and path.stat().st_size % page_bytes:
        raise BadStore(f"{path} is cut short")


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for table in schema.TABLES:
        connection.execute(table)
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")
    connection.execute("COMMIT")
