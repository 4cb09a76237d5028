"""Medians with intervals. Pure functions of numbers; the same sample always gives the same answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap

#: How often a sample is drawn again, and the seed of the draws: fixed, so that a report is always the same.
RESAMPLES = 9_999
SEED = 20_171_205
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median, or a difference of two, with its interval.

    Attributes
    ----------
    median : float
        In the unit of the sample.
    low, high : float or None
        The ends of the interval, in the same unit; None where one reading alone gives no interval.
    count : int
        How many readings it comes from; of a difference, the smaller of the two counts.
    """

    median: float
    low: float | None
    high: float | None
    count: int


def median(sample: Sequence[float] | npt.NDArray[np.floating]) -> Estimate:
    """Return the median of `sample` with its percentile-bootstrap interval.

    Parameters
    ----------
    sample : array_like, shape (count,)
        Readings of replicates, in any one unit.

    Returns
    -------
    Estimate
        With a 95 % interval. A sample without spread has the interval [a, a]; a single reading has none. An
        interval never reaches beyond the readings, so for fewer than 6 of them its true coverage is at most
        ``1 - 2 ** (1 - count)``: 75 % for 3 readings, 94 % for 5.

    Raises
    ------
    ValueError
        If the sample is empty or holds a value that is not finite.

    Notes
    -----
    Percentile interval: B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    Coverage of [minimum, maximum] for a median: H. A. David and H. N. Nagaraja, Order Statistics, 2003,
    section 7.1.
    """
    readings = _checked(sample)
    middle = float(np.median(readings))
    if len(readings) == 1:
        return Estimate(middle, None, None, 1)
    if np.ptp(readings) == 0:
        return Estimate(middle, middle, middle, len(readings))
    return Estimate(middle, *_interval([readings], np.median), len(readings))


def difference(base: Sequence[float], new: Sequence[float]) -> Estimate:
    """Return the median of `new` less that of `base`, with its percentile-bootstrap interval.

    Parameters
    ----------
    base, new : array_like, shapes (base_count,) and (new_count,)
        Readings of independent replicates, in the same unit.

    Returns
    -------
    Estimate
        With a 95 % interval, for which each sample is drawn again by itself (Efron and Tibshirani, 1993,
        section 8.3). It has no interval where either sample is a single reading.

    Raises
    ------
    ValueError
        If a sample is empty or holds a value that is not finite.
    """
    before, after = _checked(base), _checked(new)
    middle = float(np.median(after) - np.median(before))
    count = min(len(before), len(after))
    if count == 1:
        return Estimate(middle, None, None, 1)
    if np.ptp(before) == 0 and np.ptp(after) == 0:
        return Estimate(middle, middle, middle, count)
    return Estimate(middle, *_interval([before, after], _difference_of_medians), count)


def spread(sample: Sequence[float]) -> float:
    """Return the largest reading of `sample` less the smallest, in its unit; ValueError if it is empty."""
    return float(np.ptp(_checked(sample)))


def _checked(sample: Sequence[float] | npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    readings = np.asarray(sample, dtype=np.float64).ravel()
    if not len(readings) or not np.isfinite(readings).all():
        raise ValueError(f"a median needs finite readings, got {readings.tolist()}")
    return readings


def _difference_of_medians(
    base: npt.NDArray[np.float64], new: npt.NDArray[np.float64], axis: int
) -> npt.NDArray[np.float64]:
    return np.asarray(np.median(new, axis=axis) - np.median(base, axis=axis))


def _interval(
    samples: Sequence[npt.NDArray[np.float64]],
    statistic: Callable[..., npt.NDArray[np.float64]],
) -> tuple[float, float]:
    # A generator of its own for each interval: so none depends on which others were asked for before.
    ends = bootstrap(
        samples,
        statistic,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return float(ends.low), float(ends.high)
