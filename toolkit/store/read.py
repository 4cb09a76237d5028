"""What a store holds, as numbers to analyse."""

import gc
import sqlite3
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from toolkit.store import (
    Attempt,
    BadStore,
    Contents,
    Damage,
    DamagedRows,
    Earlier,
    OlderCode,
    Plan,
    Row,
    Run,
)
from toolkit.store.encoding import Samples, unpack_all
from toolkit.store.migrating import reading
from toolkit.store.opening import store_path
from toolkit.store.rows import (
    read_attempts,
    read_row,
    read_rows,
    read_runs,
    read_settings,
    read_statuses,
)
from toolkit.trials.retrying import may_try_again

__all__ = ["damaged_trials", "frame", "load", "read_earlier", "read_store", "series"]

#: The columns that every frame has: before the levels, before the metrics, and after them.
_FIRST = {"experiment": "string"}
_MIDDLE = {"measure": "string", "replicate": "Int64", "status": "string", "exit_code": "Int64"}
_LAST = {
    "key": "string",
    "seed": "Int64",
    "started_at": "float64",
    "elapsed_seconds": "float64",
    "code_digest": "string",
    "run": "Int64",
}


def load(results_dir: str | Path, *, every_code: bool = False) -> pd.DataFrame:
    """Return a row per trial, as `frame` makes it from what `read_store` finds.

    Parameters
    ----------
    results_dir : path
        The folder that holds ``results.db``.
    every_code : bool
        True to have also the trials of code other than that planned last.

    Raises
    ------
    BadStore
        When the file is missing, damaged, foreign or of a newer version.

    Warns
    -----
    DamagedRows
        When rows had to be left out, naming the first ten.
    OlderCode
        When trials of other code were left out.
    """
    path, contents = store_path(results_dir), read_store(results_dir)
    if contents.damaged:
        warnings.warn(_complaint(path, contents.damaged), DamagedRows, stacklevel=2)
    if every_code:
        return frame(_sorted((*contents.rows, *contents.left_out)))
    if contents.left_out:
        words = f"{path}: {len(contents.left_out)} trials of earlier code were left out"
        warnings.warn(words, OlderCode, stacklevel=2)
    return frame(contents.rows)


def read_store(results_dir: str | Path) -> Contents:
    """Return the runs and trials of a store, and name what is damaged.

    Parameters
    ----------
    results_dir : path
        The folder that holds ``results.db``.

    Raises
    ------
    BadStore
        When the file is missing, damaged as a whole, foreign or of a newer version.
    """
    with _without_collections(), reading(store_path(results_dir)) as connection:
        found = [*read_runs(connection), *read_rows(connection), *read_attempts(connection)]
    runs = tuple(one for one in found if isinstance(one, Run))
    rows = _sorted(one for one in found if isinstance(one, Row))
    plans = _last_plans(runs, rows)
    newest = {name: plan.code_digest for name, plan in plans.items()}
    return Contents(
        runs=runs,
        rows=tuple(row for row in rows if row.code_digest == newest[row.experiment]),
        damaged=tuple(one for one in found if isinstance(one, Damage)),
        plans=plans,
        left_out=tuple(row for row in rows if row.code_digest != newest[row.experiment]),
        attempts=tuple(one for one in found if isinstance(one, Attempt)),
    )


def read_earlier(results_dir: str | Path, *, retry_failed: bool) -> Earlier:
    """Return what a run has to know of those before it, in a tenth of the time that `read_store` takes.

    Parameters
    ----------
    results_dir : path
        The folder that holds ``results.db``.
    retry_failed : bool
        False: every trial in the store is finished; a failure is a result too, but for one that says nothing of
        the trial and has not been tried again often enough. Rows are taken at their word: `damaged_trials` tells
        which cannot be. True: only those are that ended as "ok" and whose row is whole; every digest is looked at.

    Raises
    ------
    BadStore
        As `read_store` does.
    """
    with _without_collections(), reading(store_path(results_dir)) as connection:
        runs = tuple(one for one in read_runs(connection) if isinstance(one, Run))
        attempts = Counter(one.key for one in read_attempts(connection) if isinstance(one, Attempt))
        damaged = _damaged_trials(connection) if retry_failed else set()
        finished, failed, tried = set(), set(), Counter[str]()
        for key, status in read_statuses(connection):
            if key in damaged:
                tried[key] = attempts[key]
            elif status == "ok":
                finished.add(key)
            elif retry_failed or may_try_again(status, attempts[key] + 1):
                tried[key] = attempts[key] + 1
            else:
                failed.add(key)
        settings = tuple(read_settings(connection))
    return Earlier(runs=runs, finished=finished | failed, failed=failed, tried=tried, settings=settings)


def damaged_trials(results_dir: str | Path) -> set[str]:
    """Return the keys of the trials whose rows no longer are what was written, after a look at every digest.

    Raises
    ------
    BadStore
        As `read_store` does.
    """
    with _without_collections(), reading(store_path(results_dir)) as connection:
        return _damaged_trials(connection)


def _damaged_trials(connection: sqlite3.Connection) -> set[str]:
    return {one.name for one in read_rows(connection) if isinstance(one, Damage)}


def series(results_dir: str | Path, key: str) -> dict[str, Samples]:
    """Return the series of one trial by name: int64 or float64 arrays.

    Raises
    ------
    KeyError
        When the store has no trial with that key.
    BadStore
        When that trial is damaged, or `read_store` could not read the store either.
    """
    path = store_path(results_dir)
    with reading(path) as connection:
        found = read_row(connection, key)
    if found is None:
        raise KeyError(key)
    row, packed = found
    if isinstance(row, Damage):
        raise BadStore(f"{path}: {row}")
    try:
        return unpack_all(packed)
    except ValueError as error:
        raise BadStore(f"{path}: trial {key[:12]}: {error}") from error


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Return a row per trial, in the order given.

    The columns are experiment, those of the levels (factors and constants), measure, replicate, status,
    exit_code, those of the metrics, key, seed, started_at (seconds since 1970), elapsed_seconds, code_digest
    and run. What a trial does not have is NA.

    Integers are Int64 and never pass through a float; names that end in ``_seconds`` and all other numbers
    are float64; a column of only true and false is boolean, one of only text string; labels mixed with
    numbers stay objects.

    A name that is a level of one trial and a metric of another, or that is one of the fixed columns, has no
    column of its own: the levels go to ``factor.NAME`` and the metrics to ``metric.NAME``.
    """
    levels = [{**row.constants, **row.factors} for row in rows]
    metrics = [row.metrics for row in rows]
    level_names = {name for one in levels for name in one}
    metric_names = {name for one in metrics for name in one}
    taken = {*_FIRST, *_MIDDLE, *_LAST}
    level_columns = _columns("factor", level_names, taken | metric_names)
    metric_columns = _columns("metric", metric_names, taken | level_names | level_columns.keys())
    return pd.DataFrame(
        {
            **_fixed(rows, _FIRST),
            **_gathered(levels, level_columns),
            **_fixed(rows, _MIDDLE),
            **_gathered(metrics, metric_columns),
            **_fixed(rows, _LAST),
        }
    )


def _complaint(path: Path, damaged: Sequence[Damage]) -> str:
    named = "; ".join(map(str, damaged[:10]))
    more = f"; and {len(damaged) - 10} more" if len(damaged) > 10 else ""
    return f"{path}: {len(damaged)} damaged rows were left out: {named}{more}"


@contextmanager
def _without_collections() -> Iterator[None]:
    """Pause the collector where millions of objects are made to be kept: it would look at them again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _columns(kind: str, names: Collection[str], taken: Collection[str]) -> dict[str, str]:
    """Return by the column that it gets the name of each level or metric."""
    columns: dict[str, str] = {}
    for name in sorted(names):
        column = name
        while column in taken or column in columns:
            column = f"{kind}.{column}"
        columns[column] = name
    return columns


def _fixed(rows: Sequence[Row], dtypes: Mapping[str, str]) -> dict[str, "pd.Series[Any]"]:
    return {
        name: pd.Series([getattr(row, name) for row in rows], dtype=dtype) for name, dtype in dtypes.items()
    }


def _gathered(
    mappings: Sequence[Mapping[str, Any]], columns: Mapping[str, str]
) -> dict[str, "pd.Series[Any]"]:
    found: dict[str, list[Any]] = {name: [None] * len(mappings) for name in columns.values()}
    # Mapping by mapping, as they lie in memory: column by column takes three times as long.
    for place, mapping in enumerate(mappings):
        for name, value in mapping.items():
            found[name][place] = value
    return {
        column: pd.Series(found[name], dtype=_dtype(name, set(map(type, found[name])) - {type(None)}))
        for column, name in columns.items()
    }


def _dtype(name: str, kinds: set[type]) -> str:
    if kinds == {bool}:
        return "boolean"
    if kinds == {str}:
        return "string"
    if kinds == {int} and not name.endswith("_seconds"):
        return "Int64"
    return "float64" if kinds <= {int, float} else "object"


def _last_plans(runs: Sequence[Run], rows: Sequence[Row]) -> dict[str, Plan]:
    planned = {name: plan for run in runs for name, plan in run.plans.items()}
    # Of an experiment whose plans are all damaged, the trial that ran last is the best witness.
    orphans = (row for row in rows if row.experiment not in planned)
    return {
        row.experiment: Plan(code_digest=row.code_digest, seed=row.seed, constants=row.constants)
        for row in sorted(orphans, key=lambda row: row.started_at)
    } | planned


def _sorted(rows: Iterable[Row]) -> list[Row]:
    """Return rows in one order, whatever the one in which they were stored."""
    rows = list(rows)
    # Trials of one cell share their mappings: each is compared with the others once.
    mappings = {id(levels): levels for row in rows for levels in (row.factors, row.constants)}
    ordered = {identity: _ordered(levels) for identity, levels in mappings.items()}
    rank = {levels: place for place, levels in enumerate(sorted(set(ordered.values())))}
    places = {identity: rank[levels] for identity, levels in ordered.items()}
    return sorted(
        rows,
        key=lambda row: (
            row.experiment,
            places[id(row.factors)],
            places[id(row.constants)],
            row.measure,
            row.replicate,
            row.key,
        ),
    )


def _ordered(levels: Mapping[str, Any]) -> tuple[tuple[str, bool, Any], ...]:
    return tuple((name, isinstance(level, str), level) for name, level in sorted(levels.items()))
