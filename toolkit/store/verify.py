"""Whether a store is whole: the file, every row, every series."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from toolkit.store import Attempt, Damage, Row, Run
from toolkit.store.encoding import Packed, one_line, unpack
from toolkit.store.migrating import reading
from toolkit.store.opening import store_path
from toolkit.store.rows import read_attempts, read_rows, read_runs, read_series

__all__ = ["Verified", "verify"]

#: SQLite names no more than these.
_MOST_COMPLAINTS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """What a store holds, and what of it is not what was written.

    Attributes
    ----------
    runs, trials, attempts, series : int
        How many are whole; of attempts, those that later ones superseded.
    problems : tuple of str
        One line for each damaged row, and for each of SQLite's complaints about the file.
    """

    runs: int
    trials: int
    attempts: int
    series: int
    problems: tuple[str, ...]


def verify(results_dir: str | Path) -> Verified:
    """Check the file as SQLite does, the digest of every run, trial and attempt, and that every series unpacks.

    Rows and series are read one at a time; what stays in memory, beside the problems, is the number of each trial,
    its levels once, and of each series its name, length and digest.

    Parameters
    ----------
    results_dir : path
        The folder that holds ``results.db``.

    Raises
    ------
    BadStore
        When the file is missing, damaged as a whole, foreign or of a newer version.
    """
    path = store_path(results_dir)
    with reading(path) as connection:
        problems = list(_complaints(connection))
        runs = _count(read_runs(connection), problems)
        trials = _count(read_rows(connection), problems)
        attempts = _count(read_attempts(connection), problems)
        series = _count(_series(connection), problems)
    return Verified(runs=runs, trials=trials, attempts=attempts, series=series, problems=tuple(problems))


def _complaints(connection: sqlite3.Connection) -> Iterator[str]:
    for (told,) in connection.execute(f"PRAGMA integrity_check({_MOST_COMPLAINTS})"):
        if told != "ok":
            yield from (f"file: {one_line(line)}" for line in str(told).splitlines())


def _count(found: Iterable[Run | Row | Attempt | Packed | Damage], problems: list[str]) -> int:
    """Return how many rows are whole, and add a line for each of the others."""
    whole = 0
    for one in found:
        if isinstance(one, Damage):
            problems.append(str(one))
        else:
            whole += 1
    return whole


def _series(connection: sqlite3.Connection) -> Iterator[Packed | Damage]:
    for key, name, packed in read_series(connection):
        try:
            unpack(packed)
        except ValueError as error:
            yield Damage(table="series", name=one_line(str(key)), reason=one_line(f"{name}: {error}"))
        else:
            yield packed
