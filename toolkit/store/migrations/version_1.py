"""The first version had no attempts: what superseded a failure had its place."""

import sqlite3

TABLES = (
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

_ATTEMPT = """\
CREATE TABLE attempt (
    id INTEGER PRIMARY KEY,
    trial TEXT NOT NULL,
    run INTEGER NOT NULL REFERENCES run (id),
    status TEXT NOT NULL,
    exit_code INTEGER,
    message TEXT NOT NULL,
    started_at REAL NOT NULL,
    elapsed_seconds REAL NOT NULL,
    digest TEXT NOT NULL
)"""


def migrate(connection: sqlite3.Connection) -> None:
    """Add the table of attempts, empty: no older store tells of any."""
    connection.execute(_ATTEMPT)
