"""Medians and shifts with intervals that hold whatever the distribution is. Pure functions of numbers.

An interval that is to cover the truth with 95 % needs enough readings: where there are fewer, it is the widest that
the readings give, and tells with how much it covers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import binom

__all__ = ["CONFIDENCE", "Estimate", "coverage", "median", "shift", "spread"]

#: With how much an interval covers the truth, at least, where there are readings enough.
CONFIDENCE = 0.95
#: Beyond so many pairs the distribution of U is as good as normal, and long to count.
_MOST_COUNTED_PAIRS = 2500


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median, or the shift from one sample to another, with its interval.

    Attributes
    ----------
    median : float
        In the unit of the sample; of a shift, the median of all differences.
    low, high : float or None
        The ends of the interval, or of the range where readings are too few for one, in the same unit; None where
        there is one reading alone.
    count : int
        How many readings it comes from; of a shift, the smaller of the two counts.
    coverage : float or None
        With which probability such an interval covers the truth: at least `CONFIDENCE` where there are readings
        enough. None where there is no interval.
    """

    median: float
    low: float | None
    high: float | None
    count: int
    coverage: float | None = None

    @property
    def is_interval(self) -> bool:
        """Whether its ends cover the truth with `CONFIDENCE`: else they are the range of too few readings."""
        return self.coverage is not None and self.coverage >= CONFIDENCE


def median(sample: Sequence[float] | npt.NDArray[np.floating]) -> Estimate:
    """Return the median of `sample` with the interval between two of its readings.

    Parameters
    ----------
    sample : array_like, shape (count,)
        Readings of replicates, in any one unit.

    Returns
    -------
    Estimate
        Its interval is the narrowest between readings equally far from both ends that covers the median of the
        distribution with 95 %; for fewer than 6 readings, which cannot give that, it is their range. A single
        reading has none.

    Raises
    ------
    ValueError
        If the sample is empty or holds a value that is not finite.

    Notes
    -----
    The readings below the median are as many as heads in `count` throws of a coin, so the interval from the k-th
    smallest to the k-th largest misses with ``2 P(heads < k)``: H. A. David and H. N. Nagaraja, Order Statistics,
    2003, section 7.1.
    """
    readings = np.sort(_checked(sample))
    count = len(readings)
    middle = float(np.median(readings))
    if count == 1:
        return Estimate(middle, None, None, 1)
    rank, covers = _heads(count)
    return Estimate(middle, float(readings[rank - 1]), float(readings[-rank]), count, covers)


def coverage(count: int) -> float | None:
    """Return with which probability the interval of `median` covers the truth for so many readings.

    Of their range it is ``1 - 2 ** (1 - count)``; one reading has no interval and so None.
    """
    return _heads(count)[1] if count > 1 else None


def shift(base: Sequence[float], new: Sequence[float]) -> Estimate:
    """Return by how much `new` lies above `base`: the estimate of Hodges and Lehmann, with the interval of Moses.

    Parameters
    ----------
    base, new : array_like, shapes (base_count,) and (new_count,)
        Readings of independent replicates, in the same unit.

    Returns
    -------
    Estimate
        The median of the differences of every reading of `new` and every reading of `base`. Its interval covers
        with 95 % by how much one distribution is shifted against the other, if they are alike but for that; samples
        that cannot give that, such as 3 and 3, get the range of the differences. It has no interval where either
        sample is a single reading.

    Raises
    ------
    ValueError
        If a sample is empty or holds a value that is not finite.

    Notes
    -----
    J. L. Hodges and E. L. Lehmann, Estimates of location based on rank tests, Annals of Mathematical Statistics 34,
    1963. The interval goes from the k-th smallest difference to the k-th largest and misses with ``2 P(U < k)``,
    U that of Mann and Whitney: it is what their test does not reject. L. E. Moses, in H. M. Walker and J. Lev,
    Statistical Inference, 1953; M. Hollander and D. A. Wolfe, Nonparametric Statistical Methods, 1999, section 4.3.
    Readings that are alike widen what it covers. For more than 2,500 pairs U is taken as normal.
    """
    before, after = _checked(base), _checked(new)
    differences = np.sort(np.subtract.outer(after, before).ravel())
    middle = float(np.median(differences))
    count = min(len(before), len(after))
    if count == 1:
        return Estimate(middle, None, None, 1)
    rank, covers = _moses(len(before), len(after))
    return Estimate(middle, float(differences[rank - 1]), float(differences[-rank]), count, covers)


def spread(sample: Sequence[float]) -> float:
    """Return the largest reading of `sample` less the smallest, in its unit; ValueError if it is empty."""
    return float(np.ptp(_checked(sample)))


def _checked(sample: Sequence[float] | npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    readings = np.asarray(sample, dtype=np.float64).ravel()
    if not len(readings) or not np.isfinite(readings).all():
        raise ValueError(f"a median needs finite readings, got {readings.tolist()}")
    return readings


@cache
def _heads(count: int) -> tuple[int, float]:
    """Return which of the readings, counted from either end, ends the interval, and what that covers."""
    misses = 2 * binom.cdf(np.arange(count // 2), count, 0.5)
    rank = max(1, int(np.count_nonzero(misses <= 1 - CONFIDENCE)))
    return rank, 1 - float(misses[rank - 1])


@cache
def _moses(base_count: int, new_count: int) -> tuple[int, float]:
    """Return which of the differences, counted from either end, ends the interval, and what that covers."""
    pairs = base_count * new_count
    if pairs > _MOST_COUNTED_PAIRS:
        deviation = math.sqrt(pairs * (base_count + new_count + 1) / 12)
        return math.floor(pairs / 2 + float(ndtri((1 - CONFIDENCE) / 2)) * deviation), CONFIDENCE
    ways = _ways(base_count, new_count)
    total = math.comb(base_count + new_count, new_count)
    rank, below = 1, ways[0]
    while 2 * (below + ways[rank]) <= (1 - CONFIDENCE) * total:
        below += ways[rank]
        rank += 1
    return rank, 1 - 2 * below / total


def _ways(base_count: int, new_count: int) -> list[int]:
    """Return in how many orders of the readings U is 0, 1, 2, ...

    They are the coefficients of Gauss's binomial, the product of ``(1 - q**(m + i)) / (1 - q**i)`` for i from 1 to
    n, which solves the recursion of H. B. Mann and D. R. Whitney, On a test of whether one of two random variables
    is stochastically larger than the other, Annals of Mathematical Statistics 18, 1947.
    """
    length = base_count * new_count + 1
    ways = [1] + [0] * (length - 1)
    for i in range(1, new_count + 1):
        for power in range(length - 1, base_count + i - 1, -1):
            ways[power] -= ways[power - base_count - i]
        for power in range(i, length):
            ways[power] += ways[power - i]
    return ways
