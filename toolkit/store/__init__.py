"""What the store hands out, and how it fails."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Set
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


class OlderCode(UserWarning):
    """Trials of code that has changed since were left out."""


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
class Plan:
    """What a run planned of one experiment, be it finished before or not.

    Attributes
    ----------
    code_digest : str
        Of the code that its trials run.
    seed : int
        Of their random generator.
    constants : mapping of str to level
        What it did not vary.
    """

    code_digest: str
    seed: int
    constants: Mapping[str, Level]

    def differing(self, row: Row) -> dict[str, Level | None]:
        """Return by name the levels of a trial that are not the constants and the seed planned; None for no level.

        What is a constant here may have been a factor there: a trial at the level planned does not differ.
        """
        # With a space, which the name of no level has.
        levels = {"random seed": row.seed, **row.constants, **row.factors}
        planned = {"random seed": self.seed, **self.constants}
        return {name: levels.get(name) for name in planned if not _same(levels.get(name), planned[name])}


def _same(one: Level | None, other: Level) -> bool:
    # As levels, 1, 1.0 and True are three.
    return type(one) is type(other) and one == other


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
    plans : mapping of str to Plan
        What it planned of each experiment, by name.
    """

    id: int
    started_at: float
    ended_at: float | None
    description: Mapping[str, Any]
    plans: Mapping[str, Plan]


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """An earlier attempt at a trial, which failed: the row of the trial tells of the last one.

    Attributes
    ----------
    id : int
        Counts up from 1, in the order in which attempts were superseded.
    key : str
        Of the trial.
    run, status, exit_code, message, started_at, elapsed_seconds
        As the row of the trial had them.
    """

    id: int
    key: str
    run: int
    status: str
    exit_code: int | None
    message: str
    started_at: float
    elapsed_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """A row that no longer is what was written, or never was what the store writes.

    Attributes
    ----------
    table : {"run", "trial", "attempt"}
        Where it lies.
    name : str
        The number of the run or attempt, or the key of the trial: as far as it can be trusted.
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
    plans : mapping of str to Plan
        The last one of each experiment: its code is the newest, whenever trials of it ran.
    left_out : tuple of Row
        Whole trials of other code than the newest, in the order of `rows`.
    attempts : tuple of Attempt
        Earlier ones at trials, in their order.
    """

    runs: tuple[Run, ...]
    rows: tuple[Row, ...]
    damaged: tuple[Damage, ...]
    plans: Mapping[str, Plan]
    left_out: tuple[Row, ...]
    attempts: tuple[Attempt, ...] = ()

    @property
    def failed(self) -> tuple[Row, ...]:
        """The trials that did not end well."""
        return tuple(row for row in self.rows if row.status != "ok")

    @property
    def earlier_endings(self) -> Mapping[str, tuple[str, ...]]:
        """How the attempts before the last one ended, by the key of each trial that was tried more than once.

        The last one may have been begun more than once by itself: a cluster does so where a worker is lost.
        """
        endings: defaultdict[str, list[str]] = defaultdict(list)
        for attempt in self.attempts:
            endings[attempt.key].append(attempt.status)
        for row in (*self.rows, *self.left_out):
            begun = row.conditions.get("attempts", 1)
            if isinstance(begun, int) and begun > 1:
                endings[row.key] += ["worker-lost"] * (begun - 1)
        return {key: tuple(statuses) for key, statuses in endings.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """Under what trials ended well: those of one run that agree in it are told of once.

    Attributes
    ----------
    run, experiment, code_digest, conditions, constants
        As `Row` has them.
    factors : mapping of str to level
        Empty where none of them is the interpreter.
    """

    run: int
    experiment: str
    code_digest: str
    conditions: Mapping[str, Level]
    constants: Mapping[str, Level]
    factors: Mapping[str, Level]


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """What a run has to know of those before it.

    Attributes
    ----------
    runs : tuple of Run
        In the order in which they began.
    finished : set of str
        The keys of the trials, of any code, that need not run again.
    failed : set of str
        Those among them that did not end well.
    tried : counter of str
        How often each of the others was tried, by key; 0 where it never was.
    settings : tuple of Setting
        Where figures were taken.
    """

    runs: tuple[Run, ...]
    finished: Set[str]
    failed: Set[str]
    tried: Counter[str]
    settings: tuple[Setting, ...]
