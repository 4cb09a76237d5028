"""The tables of a store."""

from toolkit.trials.metric import MOST_METRICS

__all__ = [
    "APPLICATION_ID",
    "ATTEMPT_CELLS",
    "MOST_CELLS",
    "MOST_NAMES",
    "RUN_CELLS",
    "TABLES",
    "TRIAL_CELLS",
    "VERSION",
]

#: "agmt" in ASCII: it stands at byte 68 of the file, where `file` and other tools look for it.
APPLICATION_ID = 0x61676D74
#: Counts up with every change of the tables; `migrations` holds the way from each to the next.
VERSION = 2

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
    """\
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
ATTEMPT_CELLS = ("id", "trial", "run", "status", "exit_code", "message", "started_at", "elapsed_seconds")

#: How many names of each kind the trials of a store may have in all: ten times what large grids need. A report has
#: a section for each experiment, and a table a column for each level and metric. No single trial fills a store.
MOST_NAMES = {
    "experiments": 500,
    "factors and constants": 1000,
    "conditions": 2000,
    "metrics": 2 * MOST_METRICS,
}
#: Of a table with a row a trial and a column for each of its levels and metrics: some 2 GB.
MOST_CELLS = 100_000_000
