from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, quantile_test

from toolkit.analysis import statistics
from toolkit.analysis.statistics import CONFIDENCE, coverage, median, shift, spread

READINGS = st.floats(-1e9, 1e9).map(lambda value: round(value, 3))
SAMPLES = st.lists(READINGS, min_size=2, max_size=12)


@given(SAMPLES)
def test_a_median_is_numpys_and_lies_in_its_interval_within_the_readings(sample):
    estimate = median(sample)
    assert estimate.median == np.median(sample)
    assert min(sample) <= estimate.low <= estimate.median <= estimate.high <= max(sample)
    assert estimate.count == len(sample)


@pytest.mark.parametrize("count", range(2, 13))
def test_the_interval_of_a_median_covers_as_often_as_it_says(count):
    estimate = median(range(count))
    # Each reading falls below the median or above it, all ways alike.
    below = np.array([sum(sides) for sides in product((0, 1), repeat=count)])
    covers = np.mean((estimate.low < below) & (below <= estimate.high))
    assert estimate.coverage == pytest.approx(covers)
    assert (estimate.coverage >= CONFIDENCE) == (count >= 6)
    narrower = np.mean((estimate.low + 1 < below) & (below <= estimate.high - 1))
    assert narrower < CONFIDENCE
    if count < 6:
        assert (estimate.low, estimate.high) == (0, count - 1)
        assert estimate.coverage == 1 - 2 ** (1 - count)
    assert coverage(count) == estimate.coverage


@given(st.lists(READINGS, min_size=6, max_size=40, unique=True))
def test_the_interval_of_a_median_is_scipys(sample):
    tail = (1 - CONFIDENCE) / 2
    ends = [
        quantile_test(sample, p=0.5, alternative=side).confidence_interval(1 - tail)
        for side in ("greater", "less")
    ]
    assert (median(sample).low, median(sample).high) == (ends[0].low, ends[1].high)


@given(READINGS, st.integers(2, 9))
def test_readings_without_spread_have_an_interval_without_width(reading, count):
    estimate = median([reading] * count)
    assert (estimate.low, estimate.median, estimate.high) == (reading, reading, reading)


def test_one_reading_has_no_interval():
    alone = median([7.0])
    assert (alone.low, alone.high, alone.count, alone.coverage) == (None, None, 1, None)
    assert shift([7.0], [1.0, 2.0]).low is None
    assert shift([1.0, 2.0], [7.0]).coverage is coverage(1) is None


@pytest.mark.parametrize("sample", [[], [1.0, float("nan")], [float("inf")]])
def test_a_sample_that_has_no_median_is_refused(sample):
    for ask in (median, spread, lambda some: shift(some, [1.0]), lambda some: shift([1.0], some)):
        with pytest.raises(ValueError, match="finite"):
            ask(sample)


@given(SAMPLES, SAMPLES)
def test_a_shift_is_the_median_of_every_difference_and_lies_in_its_interval(base, new):
    estimate = shift(base, new)
    every = [after - before for before in base for after in new]
    assert estimate.median == np.median(every)
    assert min(every) <= estimate.low <= estimate.median <= estimate.high <= max(every)
    assert estimate.count == min(len(base), len(new))


@given(SAMPLES, SAMPLES)
def test_turning_a_shift_round_turns_its_sign(base, new):
    there, back = shift(base, new), shift(new, base)
    assert (there.median, there.low, there.high) == (-back.median, -back.high, -back.low)
    assert there.coverage == back.coverage


@given(SAMPLES, SAMPLES, st.integers(-1000, 1000))
def test_what_is_added_to_all_readings_is_added_to_the_shift(base, new, more):
    moved = shift(base, [reading + more for reading in new])
    assert moved.median == pytest.approx(shift(base, new).median + more, abs=1e-5)


@given(st.lists(READINGS, min_size=8, max_size=20, unique=True), st.integers(4, 16), st.integers(-500, 500))
def test_the_interval_of_a_shift_leaves_out_0_where_the_test_of_mann_and_whitney_rejects(sample, cut, more):
    cut = min(cut, len(sample) - 4)
    base, new = sample[:cut], [reading + more for reading in sample[cut:]]
    if len({*base, *new}) < len(sample):
        return
    estimate = shift(base, new)
    rejected = mannwhitneyu(new, base, method="exact").pvalue <= 1 - CONFIDENCE
    assert (not estimate.low <= 0 <= estimate.high) == rejected


@pytest.mark.parametrize(
    ("base_count", "new_count"), [(2, 2), (2, 5), (3, 3), (3, 4), (4, 4), (5, 5), (4, 6)]
)
def test_the_interval_of_a_shift_covers_as_often_as_it_says(base_count, new_count):
    # Where nothing was shifted, every order of the readings is as likely as any other.
    ranks = set(range(base_count + new_count))
    found = [shift([*ranks - {*new}], new) for new in combinations(ranks, new_count)]
    covers = np.mean([one.low <= 0 <= one.high for one in found])
    assert found[0].coverage == pytest.approx(covers)
    enough = base_count * new_count >= 16
    assert (covers >= CONFIDENCE) == enough
    if not enough:
        base, new = [0, 1, 3, 7][:base_count], [5, 11, 19, 20, 23][:new_count]
        assert shift(base, new).low == min(new) - max(base)


def test_3_and_3_readings_cover_with_9_of_10_and_5_and_5_with_more_than_asked():
    assert shift([1, 2, 3], [4, 5, 6]).coverage == pytest.approx(0.9)
    assert shift([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]).coverage == pytest.approx(1 - 2 * 4 / 252)


def test_many_readings_are_taken_as_normal_and_agree_with_counting(monkeypatch):
    counted, _ = statistics._moses(45, 45)
    monkeypatch.setattr(statistics, "_MOST_COUNTED_PAIRS", 0)
    statistics._moses.cache_clear()
    approximate, covers = statistics._moses(45, 45)
    statistics._moses.cache_clear()
    assert abs(counted - approximate) <= 2
    assert covers == CONFIDENCE


def test_a_shift_beyond_all_spread_is_told_from_none():
    base = [1.0, 1.1, 0.9, 1.05, 0.95]
    assert shift(base, [10 + reading for reading in base]).low > 9
    same = shift(base, base)
    assert same.low <= 0 <= same.high


def test_samples_without_spread_differ_exactly():
    assert shift([4.0, 4.0], [6.0, 6.0]).low == shift([4.0, 4.0], [6.0, 6.0]).high == 2.0


@given(SAMPLES)
def test_spread_is_the_range(sample):
    assert spread(sample) == max(sample) - min(sample)
