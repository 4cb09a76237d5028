"""What a probe is: it reads one source of truth during a trial. A file's name is the name of its probe."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import CodeType
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, get_args, runtime_checkable

if TYPE_CHECKING:
    import subprocess

#: When a reading is taken after the workload: its result held, its result dropped, garbage collected, the room for
#: small objects taken back, the allocator trimmed, what was frozen shown to the collector, known caches emptied.
Moment: TypeAlias = Literal["end", "dropped", "collected", "retaken", "trimmed", "unfrozen", "cleared"]
MOMENTS: tuple[Moment, ...] = get_args(Moment)


@dataclass(frozen=True, kw_only=True)
class Datasheet:
    """What a probe's readings are worth, for people.

    Attributes
    ----------
    includes, excludes : str
        What the reading counts, and what it leaves out.
    keeps_alive : str
        What the probe itself holds during the trial.
    unit : str
        Of the readings.
    error : str
        How far a reading may be from the truth.
    cost : str
        Of one reading.
    exact_on : str
        The platforms on which this holds; elsewhere the probe falls back to an estimate and says so.
    disturbs : str
        Which other readings it makes wrong.
    """

    includes: str
    excludes: str
    keeps_alive: str
    unit: str
    error: str
    cost: str
    exact_on: str
    disturbs: str


@dataclass(slots=True)
class Position:
    """Where the workload is.

    Attributes
    ----------
    step : int
        Of its loop, from 0; -1 before the first and in workloads without a loop.
    code : code or None
        That of the workload itself, by which its frames are known; None where there is no workload, as in a
        calibration of the probe alone.
    """

    step: int = -1
    code: CodeType | None = None


class Probe(Protocol):
    """Reads one source of truth between `start` and `stop`, and at the moments after.

    A module of this folder offers its probe class as `PROBE`, its `Datasheet` as `DATASHEET`, and, as tuples of
    names, the `MEASURES` in whose trials it takes part, its `METRICS`, and, as `DETAILS`, those that tables of
    the report leave to the store. Its `RANK` says when it starts: a higher one later, and it stops earlier, so
    that what the others do then is not among its readings.

    A probe is made with the `Position` of the trial, whose arrays of readings it allocates and touches before
    `start`, so that recording does not move what is recorded.
    """

    #: Whether this platform gives the readings that the datasheet describes, or an estimate in their place.
    exact: bool
    #: Of which its figures tell, in order. What a trial does to come to one that none of its probes tells of, it
    #: leaves out.
    moments: tuple[Moment, ...]

    def start(self) -> None:
        """Begin: everything before this is not counted."""

    def stop(self) -> None:
        """End: the workload has returned, and its result is still alive."""

    def observe(self) -> None:
        """Take a reading now, because the workload asks for one."""

    def read(self, moment: Moment) -> None:
        """Take a reading after the end."""

    def metrics(self) -> Mapping[str, int | float]:
        """Return the metrics, by names that end with their unit."""

    def series(self) -> Mapping[str, list[int] | list[float]]:
        """Return the series, all of one length; an empty mapping where there is none."""


@runtime_checkable
class Telling(Protocol):
    """A probe that tells under what its figures were taken, beside what every trial tells of that."""

    def conditions(self) -> Mapping[str, str | int]:
        """Return the conditions, by names that no other has."""


class Watcher(Protocol):
    """Watches the process of a trial from outside, from its start to its end.

    A module of this folder offers its watcher class as `WATCHER`, and the rest as that of a probe does, but for
    the rank. The baseline is 0 in measures that have none.
    """

    def start(self, process: "subprocess.Popen[bytes]") -> None:
        """Begin to watch."""

    def stop(self) -> None:
        """End: the process has ended."""

    def metrics(self, began: float, ended: float, baseline_rss_bytes: int) -> Mapping[str, int | float]:
        """Return the metrics between two times, in seconds since 1970, less the baseline."""

    def series(
        self, began: float, ended: float, baseline_rss_bytes: int
    ) -> Mapping[str, list[int] | list[float]]:
        """Return the series between two times, in seconds since 1970, less the baseline."""
