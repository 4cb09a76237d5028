"""The one writer: what is stored once is never lost, and nobody else writes meanwhile."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from toolkit.store import Row, StoreError
from toolkit.store.bounds import Names
from toolkit.store.cells import check_description, check_levels, check_metrics, check_stored_conditions
from toolkit.store.encoding import (
    Packed,
    canonical_json,
    check_total,
    check_values,
    digest_of,
    pack,
    without_surrogates,
)
from toolkit.store.migrating import bring_up_to_date
from toolkit.store.opening import holding, open_for_writing, plain_errors, refuse_foreign, store_path
from toolkit.store.rows import read_row
from toolkit.store.schema import ATTEMPT_CELLS, RUN_CELLS, TRIAL_CELLS
from toolkit.store.workshop import tidy
from toolkit.trials import Outcome, Trial

__all__ = ["Writer"]

_INSERT_RUN = f"INSERT INTO run ({', '.join(RUN_CELLS)}, digest) VALUES ({'?, ' * len(RUN_CELLS)}?)"
_INSERT_TRIAL = f"INSERT INTO trial ({', '.join(TRIAL_CELLS)}, digest) VALUES ({'?, ' * len(TRIAL_CELLS)}?)"
_INSERT_ATTEMPT = (
    f"INSERT INTO attempt ({', '.join(ATTEMPT_CELLS)}, digest) VALUES ({'?, ' * len(ATTEMPT_CELLS)}?)"
)
_INSERT_SERIES = "INSERT INTO series (trial, name, dtype, count, data) VALUES (?, ?, ?, ?, ?)"


class Writer:
    """Adds runs and trials to the store of a folder; a context manager that holds the store while it is open.

    Each call that writes is one transaction, on the disk when the call returns: kill -9 or a power cut
    afterwards does not lose it. The lock is that of the operating system, which frees it however the process
    ends. On leaving, everything is in the one file, which can be copied. Only the thread that entered may use it.

    Parameters
    ----------
    results_dir : path
        Made on entering if it is not there.

    Raises
    ------
    StoreLocked
        On entering, at once, when another writer holds the store.
    BadStore
        On entering, when the file there is not a store of this version. It is left as it was.
    StoreUnwritable
        From any method, when the folder cannot be written to or the disk is full. What was stored stays.
    """

    def __init__(self, results_dir: str | Path) -> None:
        self.path = store_path(results_dir)
        self._names: Names | None = None

    def __enter__(self) -> "Writer":
        bring_up_to_date(self.path)
        with ExitStack() as opened, plain_errors(self.path, writing=True):
            if self.path.exists():
                # Before the lock is made beside it: a file that is not ours is left alone.
                refuse_foreign(self.path)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            opened.enter_context(holding(self.path))
            tidy(self.path.parent)
            self._connection = opened.enter_context(closing(open_for_writing(self.path)))
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._opened:
            try:
                with plain_errors(self.path, writing=True):
                    self._gather()
            except StoreError:
                # The error on the way out tells more; what was stored is safe in the file beside the store.
                if error is None:
                    raise

    def begin_run(self, description: Mapping[str, Any], planned: Iterable[Trial] = ()) -> int:
        """Note that a run begins, and return its id.

        Parameters
        ----------
        description : mapping
            Who runs what where: see `cells.Description`.
        planned : iterable of Trial
            At least one of each experiment that is asked for, be it finished or not: readers take for the newest
            code of an experiment what was planned last, which need not be what ran last. Of each experiment all
            trials have one code, one seed and one set of constants.

        Raises
        ------
        ValueError
            When a number is infinite or not a number, or something is not as `cells.Description` says.
        """
        check_description(description)
        text, plans = canonical_json(dict(description)), canonical_json(_plans(planned))
        with self._transaction():
            (last,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM run").fetchone()
            cells = (last + 1, time.time(), None, text, plans)
            self._connection.execute(_INSERT_RUN, (*cells, digest_of(cells)))
        return int(last) + 1

    def end_run(self, run_id: int) -> None:
        """Note that a run has ended, now."""
        with self._transaction():
            run = self._connection.execute(f"SELECT {', '.join(RUN_CELLS)} FROM run WHERE id = ?", (run_id,))
            _, started_at, _, *texts = run.fetchone()
            cells = (run_id, started_at, time.time(), *texts)
            self._connection.execute(
                "UPDATE run SET ended_at = ?, digest = ? WHERE id = ?", (cells[2], digest_of(cells), run_id)
            )

    def add(self, run_id: int, trial: Trial, outcome: Outcome) -> None:
        """Store what came of a trial, in place of an earlier failure or a damaged row of the same trial.

        A trial that is stored as "ok" stays as it is. An earlier failure stays as an attempt, for good.

        Raises
        ------
        ValueError
            When a value is infinite or not a number or an integer beyond 64 bits, a metric in bytes or counts
            is no integer, a name is both factor and constant, or a series is too long. Nothing is stored.
        BadStore
            When the store would have more names than it may: see `schema.MOST_NAMES`. Nothing is stored.
        """
        cells = _cells(run_id, trial, outcome)
        series = _packed(outcome)
        digest = digest_of(cells, {name: packed.fingerprint for name, packed in series.items()})
        with self._transaction():
            self._check_names(trial, outcome)
            stored = read_row(self._connection, trial.key)
            if stored is not None and isinstance(stored[0], Row):
                if stored[0].status == "ok":
                    return
                self._keep(stored[0])
            self._connection.execute("DELETE FROM series WHERE trial = ?", (trial.key,))
            self._connection.execute("DELETE FROM trial WHERE key = ?", (trial.key,))
            self._connection.execute(_INSERT_TRIAL, (*cells, digest))
            self._connection.executemany(
                _INSERT_SERIES,
                [(trial.key, name, one.dtype, one.count, one.data) for name, one in series.items()],
            )

    def _check_names(self, trial: Trial, outcome: Outcome) -> None:
        if self._names is None:
            names = Names(str(self.path))
            names.add_stored(self._connection)
            self._names = names
        self._names.add(
            experiment=trial.experiment,
            levels=(*trial.factors, *trial.constants),
            conditions=outcome.conditions,
            metrics=outcome.metrics,
        )

    def _keep(self, row: Row) -> None:
        """Keep what a row tells of an attempt that another one supersedes."""
        (last,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM attempt").fetchone()
        cells = (
            last + 1,
            row.key,
            row.run,
            row.status,
            row.exit_code,
            row.message,
            row.started_at,
            row.elapsed_seconds,
        )
        self._connection.execute(_INSERT_ATTEMPT, (*cells, digest_of(cells)))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with plain_errors(self.path, writing=True):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled back already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _gather(self) -> None:
        """Bring everything into the one file: a copy of it alone would lack the newest rows."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        try:
            self._connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            # Somebody reads just now. Nothing is lost: the companions stay until the next writer has gone.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise


def _plans(planned: Iterable[Trial]) -> dict[str, dict[str, object]]:
    return {
        without_surrogates(trial.experiment): {
            "code_digest": trial.code_digest,
            "seed": trial.seed,
            "constants": dict(trial.constants),
        }
        for trial in planned
    }


def _cells(run_id: int, trial: Trial, outcome: Outcome) -> tuple[object, ...]:
    """Return the `TRIAL_CELLS` of a trial."""
    if both := trial.factors.keys() & trial.constants.keys():
        raise ValueError(f"{min(both)} is both a factor and a constant")
    for values in (trial.factors, trial.constants):
        check_levels(values)
    check_stored_conditions(outcome.conditions)
    check_metrics(outcome.metrics)
    times = {"started_at": float(outcome.started_at), "elapsed_seconds": float(outcome.elapsed_seconds)}
    check_values(times, (float,))
    check_values({"seed": trial.seed}, (int,))
    return (
        trial.key,
        run_id,
        without_surrogates(trial.experiment),
        trial.measure,
        trial.replicate,
        trial.seed,
        outcome.status,
        outcome.exit_code,
        without_surrogates(outcome.message),
        canonical_json(dict(trial.factors)),
        canonical_json(dict(trial.constants)),
        canonical_json(dict(outcome.metrics)),
        canonical_json(dict(outcome.conditions)),
        trial.code_digest,
        # SQLite keeps no negative zero.
        times["started_at"] + 0.0,
        times["elapsed_seconds"] + 0.0,
    )


def _packed(outcome: Outcome) -> dict[str, Packed]:
    packed = {}
    check_total(map(len, outcome.series.values()))
    for name, values in outcome.series.items():
        try:
            packed[without_surrogates(name)] = pack(values)
        except ValueError as error:
            raise ValueError(f"series {name}: {error}") from None
    return packed
