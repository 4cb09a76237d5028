"""The tables of a store, and opening a file only when it is one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from operator import methodcaller
from pathlib import Path

from toolkit.store import BadStore, StoreError, StoreLocked, StoreUnwritable
from toolkit.store.encoding import one_line

__all__ = ["RUN_CELLS", "TRIAL_CELLS", "open_for_reading", "open_for_writing", "plain_errors", "store_path"]

#: "agmt" in ASCII: it stands at byte 68 of the file, where `file` and other tools look for it.
APPLICATION_ID = 0x61676D74
VERSION = 1

_TABLES = (
    """\
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    started_at REAL NOT NULL,
    ended_at REAL,
    description TEXT NOT NULL,
    plans TEXT NOT NULL,
    digest TEXT NOT NULL
)""",
    """\
CREATE TABLE trial (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    run INTEGER NOT NULL REFERENCES run (id),
    experiment TEXT NOT NULL,
    measure TEXT NOT NULL,
    replicate INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    status TEXT NOT NULL,
    exit_code INTEGER,
    message TEXT NOT NULL,
    factors TEXT NOT NULL,
    constants TEXT NOT NULL,
    metrics TEXT NOT NULL,
    conditions TEXT NOT NULL,
    code_digest TEXT NOT NULL,
    started_at REAL NOT NULL,
    elapsed_seconds REAL NOT NULL,
    digest TEXT NOT NULL
)""",
    """\
CREATE TABLE series (
    trial TEXT NOT NULL REFERENCES trial (key),
    name TEXT NOT NULL,
    dtype TEXT NOT NULL,
    count INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (trial, name)
)""",
)

#: What the digest of a row is taken over, in this order.
RUN_CELLS = ("id", "started_at", "ended_at", "description", "plans")
TRIAL_CELLS = (
    "key",
    "run",
    "experiment",
    "measure",
    "replicate",
    "seed",
    "status",
    "exit_code",
    "message",
    "factors",
    "constants",
    "metrics",
    "conditions",
    "code_digest",
    "started_at",
    "elapsed_seconds",
)

#: How long one process waits for another that reads or closes the file.
_PATIENCE_SECONDS = 5.0

_UNWRITABLE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def store_path(results_dir: str | Path) -> Path:
    """Return the path of the store in a folder of results."""
    return Path(results_dir) / "results.db"


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a store without the means to change it.

    Raises
    ------
    BadStore
        When the file is missing, or is not a store of this version with exactly its tables.
    """
    if not path.is_file():
        raise BadStore(f"{path} is not there: `toolkit run` makes it")
    connection = _connect(path, "ro")
    try:
        connection.execute("PRAGMA query_only = ON")
        if _is_new(connection, path):
            raise BadStore(f"{path} holds nothing yet: `toolkit run` fills it")
        _check_length(connection, path)
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
        with closing(_connect(path, "ro")) as connection:
            try:
                _is_new(connection, path)
                _check_length(connection, path)
            except sqlite3.OperationalError as error:
                # Cut off while it changed the journal, a file cannot be read before a writer has mended it.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
                    raise
    connection = _connect(path, "rwc")
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if _is_new(connection, path):
            _make_tables(connection)
    except BaseException:
        connection.close()
        raise
    return connection


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
    return BadStore(words)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=_PATIENCE_SECONDS, isolation_level=None
    )
    # Damaged text must reach the check of the digest instead of ending the query.
    # In C all the way: a large store has millions of texts.
    connection.text_factory = methodcaller("decode", "utf-8", "surrogateescape")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _is_new(connection: sqlite3.Connection, path: Path) -> bool:
    """Tell a file with nothing in it from a store; refuse everything else."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    # SQLite's own indexes have no text, and its statistics come from looking at a store with other tools.
    found = connection.execute(
        "SELECT sql FROM sqlite_master"
        " WHERE sql IS NOT NULL AND NOT (type = 'table' AND name LIKE 'sqlite_stat_')"
    )
    tables = sorted(sql for (sql,) in found)
    if application_id == version == 0 and not tables:
        return True
    if application_id != APPLICATION_ID:
        raise BadStore(f"{path} is a database of another program")
    if version > VERSION:
        raise BadStore(
            f"{path} is of version {version}, and this toolkit knows version {VERSION}: update the toolkit"
        )
    # Equality leaves no room for the views, triggers and computed columns of a file from elsewhere.
    if version != VERSION or tables != sorted(_TABLES):
        raise BadStore(f"{path} does not have the tables of a store of version {VERSION}")
    return False


def _check_length(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that ends within a page: SQLite misses only whole pages."""
    (journal_mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    # While a run goes on, what is missing here may lie in the file beside it.
    if journal_mode != "wal" and path.stat().st_size % page_bytes:
        raise BadStore(f"{path} is cut short")


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for table in _TABLES:
        connection.execute(table)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")
