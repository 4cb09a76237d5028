"""What a difference must exceed before it is one: the noise floor of a run, and the size of an effect.

An A/A comparison is one of a thing with itself. Replicates of one cell are such pairs, so every run measures its
own noise: what two halves of them differ by, though nothing was changed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.analysis.statistics import Estimate, shift

__all__ = ["Effect", "cliffs_delta", "effect", "noise_floor"]


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
    """

    shift: Estimate
    delta: float
    floor: float | None

    @property
    def stands_out(self) -> bool:
        """Whether the difference may be stated: its interval leaves out 0, and it exceeds the noise floor.

        Where either cell was run once there is no interval and nothing may be stated of it, unless the floor is
        known to be 0, as it is for bytes that every replicate agrees on.
        """
        if self.floor is None:
            return False
        beyond = abs(self.shift.median) > self.floor
        if self.shift.low is None or self.shift.high is None:
            return beyond and self.floor == 0
        return beyond and not self.shift.low <= 0 <= self.shift.high


def effect(base: Sequence[float], new: Sequence[float], alike: Iterable[Sequence[float]]) -> Effect:
    """Return how `new` differs from `base`.

    Parameters
    ----------
    base, new : sequence of float
        Readings of the replicates of two cells, in one unit.
    alike : iterable of sequences of float
        Readings of the replicates of cells of the same run, in the order in which they ran: what the noise floor
        is measured on. It is scaled to the larger of the two medians.
    """
    relative = noise_floor(alike)
    scale = max(abs(float(np.median(base))), abs(float(np.median(new))))
    return Effect(shift(base, new), cliffs_delta(base, new), None if relative is None else relative * scale)


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


def noise_floor(alike: Iterable[Sequence[float]]) -> float | None:
    """Return the largest relative difference that the same cell shows with itself.

    Each sample is split into its first and its second half, as it was run; the medians of the two are compared,
    relative to the median of all.

    Parameters
    ----------
    alike : iterable of sequences of float
        The replicates of a cell each.

    Returns
    -------
    float or None
        A fraction, such as 0.02; None where no sample has two readings.
    """
    floor: float | None = None
    for sample in alike:
        if len(sample) < 2:
            continue
        half = len(sample) // 2
        apart = abs(float(np.median(sample[:half]) - np.median(sample[half:])))
        scale = abs(float(np.median(sample)))
        floor = max(floor or 0.0, apart / scale if scale else apart)
    return floor
