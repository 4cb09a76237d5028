"""What the store hands out, and how it fails."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.trials import Level


class StoreError(Exception):
    """The store cannot do what it was asked to; the message is one line for people."""


class StoreLocked(StoreError):
    """Another run holds the store (exit code 75)."""


class BadStore(StoreError):
    """A file that is missing, damaged, foreign or of a newer version (exit code 65)."""


class StoreUnwritable(StoreError):
    """A folder that cannot be written to, a full disk or a failing one (exit code 74)."""


class DamagedRows(UserWarning):
    """Some rows no longer are what was written; they were left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One trial and what came of it, as they are stored; the fields are those of `Trial` and `Outcome`.

    Attributes
    ----------
    run : int
        The `id` of the `Run` that it belongs to.
    """

    key: str
    run: int
    experiment: str
    measure: str
    replicate: int
    seed: int
    status: str
    exit_code: int | None
    message: str
    factors: Mapping[str, Level]
    constants: Mapping[str, Level]
    metrics: Mapping[str, int | float]
    conditions: Mapping[str, Level]
    code_digest: str
    started_at: float
    elapsed_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of the command.

    Attributes
    ----------
    id : int
        Counts up from 1.
    started_at : float
        Seconds since 1970.
    ended_at : float or None
        Seconds since 1970; None when it was cut off or is still going on.
    description : mapping
        Who ran what where, as the runner told it.
    """

    id: int
    started_at: float
    ended_at: float | None
    description: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """A row that no longer is what was written, or never was what the store writes.

    Attributes
    ----------
    table : {"run", "trial"}
        Where it lies.
    name : str
        The number of the run, or the key of the trial: as far as it can be trusted.
    reason : str
        What is wrong with it.
    """

    table: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.table} {self.name[:12]} {self.reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """All that a store holds but the series.

    Attributes
    ----------
    runs : tuple of Run
        In the order in which they began.
    rows : tuple of Row
        By experiment, then by the levels of the factors and constants, measure and replicate.
    damaged : tuple of Damage
        What had to be left out of both.
    """

    runs: tuple[Run, ...]
    rows: tuple[Row, ...]
    damaged: tuple[Damage, ...]

    @property
    def failed(self) -> tuple[Row, ...]:
        """The trials that did not end well."""
        return tuple(row for row in self.rows if row.status != "ok")
