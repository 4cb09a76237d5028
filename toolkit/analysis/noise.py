"""What a difference must exceed before it is one: the noise floor of a run, and the size of an effect.

An A/A comparison is one of a thing with itself. Replicates of one cell are such pairs, so every run measures its
own noise: what two halves of them differ by, though nothing was changed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolkit.analysis.statistics import Estimate, shift
from toolkit.store import Row

__all__ = [
    "READING_ERROR_PAGES",
    "USUAL_PAGE_BYTES",
    "Effect",
    "Floor",
    "cliffs_delta",
    "effect",
    "noise_floor",
    "resolution",
]

#: Readings of the resident set at an event: a page of the kernel's count, a page of the interpreter's own objects.
READING_ERROR_PAGES = 2
#: A short cell has more noise in percent than a long one: the floor is that of cells whose medians lie within this
#: factor of the larger one of the two that are compared, where there are any.
_COMPARABLE_FACTOR = 4
#: A page, where a trial does not tell.
USUAL_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Floor:
    """What halves of one cell differ by, at most.

    Attributes
    ----------
    fraction : float or None
        Of the median, such as 0.02; None where no median lies off 0.
    around_zero : float or None
        In the unit of the readings, of cells whose median is 0: no fraction can be told of them. None where there
        are none.
    """

    fraction: float | None = None
    around_zero: float | None = None

    def at(self, scale: float) -> float:
        """Return the floor of readings of that size, in their unit."""
        return max((self.fraction or 0.0) * scale, self.around_zero or 0.0)


@dataclass(frozen=True, slots=True)
class Effect:
    """How two cells differ.

    Attributes
    ----------
    shift : Estimate
        By how much the second lies above the first, in the unit of the readings.
    delta : float
        Cliff's delta, from -1 to 1: how much more often a reading of the second is the larger one.
    floor : float or None
        The noise floor in the same unit; None where no cell was run twice.
    resolution : float
        How far a reading may be off, in the same unit, whatever replicates agree on.
    """

    shift: Estimate
    delta: float
    floor: float | None
    resolution: float = 0.0

    @property
    def resolved(self) -> bool:
        """Whether the difference is more than readings may be off."""
        return not self.resolution or abs(self.shift.median) > self.resolution

    @property
    def stands_out(self) -> bool:
        """Whether the difference may be stated: its interval leaves out 0, it exceeds floor and resolution.

        Where either cell was run once there is no interval and nothing may be stated of it, unless the floor is
        known to be 0, as it is for bytes that every replicate agrees on.
        """
        if self.floor is None or not self.resolved:
            return False
        beyond = abs(self.shift.median) > self.floor
        if self.shift.low is None or self.shift.high is None:
            return beyond and self.floor == 0
        return beyond and not self.shift.low <= 0 <= self.shift.high


def effect(
    base: Sequence[float],
    new: Sequence[float],
    alike: Iterable[Sequence[float]],
    off_by: float = 0.0,
) -> Effect:
    """Return how `new` differs from `base`.

    Parameters
    ----------
    base, new : sequence of float
        Readings of the replicates of two cells, in one unit.
    alike : iterable of sequences of float
        Readings of the replicates of cells of the same run, in the order in which they ran: what the noise floor
        is measured on. It is scaled to the larger of the two medians, and taken of cells of comparable size; that
        of cells around 0 is neither.
    off_by : float
        How far a reading may be off, in the same unit.
    """
    scale = max(abs(float(np.median(base))), abs(float(np.median(new))))
    found = noise_floor(_comparable(alike, scale))
    floor = None if found is None else found.at(scale)
    return Effect(shift(base, new), cliffs_delta(base, new), floor, off_by)


def _comparable(alike: Iterable[Sequence[float]], scale: float) -> list[Sequence[float]]:
    several = [(abs(float(np.median(one))), one) for one in alike if len(one) > 1]
    least, most = scale / _COMPARABLE_FACTOR, scale * _COMPARABLE_FACTOR
    if not any(least <= size <= most for size, _ in several):
        return [one for _, one in several]
    return [one for size, one in several if not size or least <= size <= most]


def resolution(metric: str, rows: Iterable[Row]) -> float:
    """Return how far readings of `metric` in trials may be off, in bytes; 0 where that is not known to be more.

    A resident peak that was seen by the kernel's high-water mark alone is off by as much as that is on the host of
    the trial, which each trial tells; readings at events are right to `READING_ERROR_PAGES`.
    """
    if not metric.endswith("_rss_bytes"):
        return 0.0
    return max((_error_bytes(metric, row) for row in rows), default=0.0)


def _error_bytes(metric: str, row: Row) -> float:
    reading, at_events = row.metrics.get(metric, 0), row.metrics.get("event_peak_rss_bytes")
    by_mark = metric == "hwm_peak_rss_bytes" or (
        metric == "peak_rss_bytes" and at_events is not None and reading > at_events
    )
    if by_mark and "hwm_error_bytes" in row.metrics:
        return float(row.metrics["hwm_error_bytes"])
    return READING_ERROR_PAGES * float(row.conditions.get("page_bytes", USUAL_PAGE_BYTES))


def cliffs_delta(base: Sequence[float], new: Sequence[float]) -> float:
    """Return how much more often a reading of `new` exceeds one of `base` than the other way round.

    Source: N. Cliff, Dominance statistics: ordinal analyses to answer ordinal questions, Psychological Bulletin
    114, 1993. It is ``2 U / (m n) - 1`` with the U of Mann and Whitney.

    Raises
    ------
    ValueError
        If a sample is empty.
    """
    if not len(base) or not len(new):
        raise ValueError("an effect size needs readings of both")
    return float(np.sign(np.subtract.outer(np.asarray(new, float), np.asarray(base, float))).mean())


def noise_floor(alike: Iterable[Sequence[float]]) -> Floor | None:
    """Return the largest difference that the same cell shows with itself.

    Each sample is split into its first and its second half, as it was run; the medians of the two are compared,
    relative to the median of all where that is not 0.

    Parameters
    ----------
    alike : iterable of sequences of float
        The replicates of a cell each, in one unit.

    Returns
    -------
    Floor or None
        None where no sample has two readings.
    """
    floor: Floor | None = None
    for sample in alike:
        if len(sample) < 2:
            continue
        half = len(sample) // 2
        apart = abs(float(np.median(sample[:half]) - np.median(sample[half:])))
        scale = abs(float(np.median(sample)))
        floor = floor or Floor()
        if scale:
            floor = replace(floor, fraction=max(floor.fraction or 0.0, apart / scale))
        else:
            floor = replace(floor, around_zero=max(floor.around_zero or 0.0, apart))
    return floor
