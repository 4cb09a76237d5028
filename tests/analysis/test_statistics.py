from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from toolkit.analysis.statistics import CONFIDENCE, RESAMPLES, SEED, difference, median, spread

READINGS = st.floats(-1e9, 1e9).map(lambda value: round(value, 3))
SAMPLES = st.lists(READINGS, min_size=2, max_size=12)


def _every_resample(sample):
    return np.array([np.median(drawn) for drawn in product(sample, repeat=len(sample))])


@given(SAMPLES)
def test_a_median_is_numpys_and_lies_in_its_interval_within_the_readings(sample):
    estimate = median(sample)
    assert estimate.median == np.median(sample)
    assert min(sample) <= estimate.low <= estimate.median <= estimate.high <= max(sample)
    assert estimate.count == len(sample)


@pytest.mark.parametrize("sample", [[1.0, 2.0, 4.0], [1.0, 2.0, 4.0, 9.0], [5.0, 1.0, 3.0, 2.0, 8.0]])
def test_the_interval_is_that_of_every_possible_resample(sample):
    estimate = median(sample)
    every = _every_resample(sample)
    # A drawn percentile is one of the true distribution's values, at a probability that is off by sampling alone.
    for end, tail in ((estimate.low, 0.025), (estimate.high, 0.975)):
        below, upto = np.mean(every < end), np.mean(every <= end)
        assert below - 0.01 <= tail <= upto + 0.01


def test_the_interval_is_scipys():
    sample = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]
    ends = bootstrap(
        [sample],
        np.median,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    assert (median(sample).low, median(sample).high) == (ends.low, ends.high)


@given(SAMPLES)
def test_the_same_sample_gives_the_same_answer_whatever_was_asked_before(sample):
    first = median(sample)
    median([0.0, 1.0, 5.0])
    assert median(sample) == first


@given(READINGS, st.integers(2, 9))
def test_readings_without_spread_have_an_interval_without_width(reading, count):
    estimate = median([reading] * count)
    assert (estimate.low, estimate.median, estimate.high) == (reading, reading, reading)


def test_one_reading_has_no_interval():
    assert (median([7.0]).low, median([7.0]).high, median([7.0]).count) == (None, None, 1)
    assert difference([7.0], [1.0, 2.0]).low is None
    assert difference([1.0, 2.0], [7.0]).high is None


@pytest.mark.parametrize("sample", [[], [1.0, float("nan")], [float("inf")]])
def test_a_sample_that_has_no_median_is_refused(sample):
    for ask in (median, spread, lambda some: difference(some, [1.0]), lambda some: difference([1.0], some)):
        with pytest.raises(ValueError, match="finite"):
            ask(sample)


@given(SAMPLES, SAMPLES)
def test_a_difference_is_that_of_the_medians_and_lies_in_its_interval(base, new):
    estimate = difference(base, new)
    assert estimate.median == np.median(new) - np.median(base)
    assert estimate.low <= estimate.median <= estimate.high
    assert estimate.count == min(len(base), len(new))


def test_the_interval_of_a_difference_is_that_of_every_pair_of_resamples():
    base, new = [1.0, 2.0, 4.0], [3.0, 7.0, 7.5]
    estimate = difference(base, new)
    every = (_every_resample(new)[:, None] - _every_resample(base)[None, :]).ravel()
    for end, tail in ((estimate.low, 0.025), (estimate.high, 0.975)):
        assert np.mean(every < end - 1e-9) - 0.01 <= tail <= np.mean(every <= end + 1e-9) + 0.01


def test_a_shift_beyond_all_spread_is_told_from_none():
    base = [1.0, 1.1, 0.9, 1.05, 0.95]
    assert difference(base, [10 + reading for reading in base]).low > 9
    same = difference(base, base)
    assert same.low <= 0 <= same.high


def test_samples_without_spread_differ_exactly():
    assert difference([4.0, 4.0], [6.0, 6.0]).low == difference([4.0, 4.0], [6.0, 6.0]).high == 2.0


@given(SAMPLES)
def test_spread_is_the_range(sample):
    assert spread(sample) == max(sample) - min(sample)
