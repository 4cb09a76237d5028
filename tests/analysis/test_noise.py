"""Effects and the noise floor: against scipy, by hand, and on samples that are known to be alike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from toolkit.analysis.noise import Floor, cliffs_delta, effect, noise_floor, resolution

READINGS = st.lists(st.integers(0, 20).map(float), min_size=1, max_size=12)


@given(READINGS, READINGS)
def test_cliffs_delta_is_that_of_mann_and_whitney(base, new):
    u = mannwhitneyu(new, base).statistic
    assert cliffs_delta(base, new) == pytest.approx(2 * u / (len(base) * len(new)) - 1)


@given(READINGS, READINGS)
def test_turning_the_comparison_round_turns_the_sign(base, new):
    assert cliffs_delta(base, new) == -cliffs_delta(new, base)


def test_no_readings_make_no_effect():
    with pytest.raises(ValueError, match="readings of both"):
        cliffs_delta([], [1.0])


def test_the_floor_is_the_largest_difference_of_halves():
    floor = noise_floor([[1.0, 1.0, 1.1, 1.1], [10.0, 10.0], [2.0]])
    assert floor.fraction == pytest.approx(0.1 / 1.05)
    assert floor.around_zero is None


def test_of_cells_around_zero_the_floor_is_in_the_unit_of_the_readings():
    assert noise_floor([[0, 0, 4096]]) == Floor(None, 2048.0)
    assert noise_floor([[0, 0, 4096], [100, 101]]) == Floor(pytest.approx(1 / 100.5), 2048.0)
    assert effect([1000], [1000], [[0, 0, 4096]]).floor == 2048
    assert effect([1 << 20] * 3, [2 << 20] * 3, [[0, 0, 4096], [5, 5]]).stands_out
    assert not effect([0] * 3, [1000] * 3, [[0, 0, 4096], [5, 5]]).stands_out


def test_cells_that_ran_once_measure_no_noise():
    assert noise_floor([[1.0], [2.0]]) is None
    assert noise_floor([]) is None


def test_bytes_that_always_agree_have_no_noise():
    assert noise_floor([[4096, 4096, 4096], [0, 0]]) == Floor(0, 0)


@given(st.lists(st.floats(0.9, 1.1), min_size=4, max_size=10))
def test_what_is_alike_never_stands_out(sample):
    half = len(sample) // 2
    assert not effect(sample[:half], sample[half:], [sample]).stands_out


def test_a_difference_within_the_floor_does_not_stand_out_and_one_beyond_it_does():
    rng = np.random.default_rng(0)
    base = (1 + 0.001 * rng.standard_normal(10)).tolist()
    slower = [reading * 1.02 for reading in base]
    quiet, noisy = [base], [[1.0, 1.05]]
    assert effect(base, slower, quiet).stands_out
    assert not effect(base, slower, noisy).stands_out


def test_the_floor_of_a_comparison_is_that_of_cells_of_its_size():
    base, slower = [1.0, 1.02, 1.0], [1.2, 1.21, 1.19]
    short = [0.0014, 0.0015, 0.0126]
    found = effect(base, slower, [base, slower, short])
    assert found.stands_out
    assert found.floor == pytest.approx(0.01 * 1.2)
    # Where there are none of that size, any is better than to know nothing.
    assert not effect([1.0], [1.2], [short]).stands_out


def test_single_readings_stand_out_only_where_nothing_ever_varies():
    assert effect([100], [200], [[5, 5], [7, 7]]).stands_out
    assert not effect([100], [200], [[5, 5.5]]).stands_out
    assert not effect([100], [200], []).stands_out


@pytest.mark.parametrize(("apart", "stands_out"), [(511 << 10, False), (512 << 10, False), (513 << 10, True)])
def test_what_readings_cannot_resolve_does_not_stand_out_though_replicates_agree(apart, stands_out):
    base, new = [1 << 20] * 3, [(1 << 20) + apart] * 3
    assert effect(base, new, [base, new], 512 << 10).stands_out is stands_out
    assert effect(base, new, [base, new]).stands_out


@pytest.mark.parametrize(
    ("metric", "metrics", "expected"),
    [
        # Seen at an event, and then by the mark alone.
        ("peak_rss_bytes", {"peak_rss_bytes": 9, "event_peak_rss_bytes": 9, "hwm_error_bytes": 700}, 200),
        ("peak_rss_bytes", {"peak_rss_bytes": 9, "event_peak_rss_bytes": 8, "hwm_error_bytes": 700}, 700),
        ("hwm_peak_rss_bytes", {"hwm_peak_rss_bytes": 9, "hwm_error_bytes": 700}, 700),
        ("end_rss_bytes", {"end_rss_bytes": 9, "hwm_error_bytes": 700}, 200),
        ("peak_rss_bytes", {"peak_rss_bytes": 9}, 200),
        ("peak_traced_bytes", {"peak_traced_bytes": 9}, 0),
        ("wall_seconds", {"wall_seconds": 9}, 0),
    ],
)
def test_readings_are_as_exact_as_what_took_them(make_row, metric, metrics, expected):
    assert resolution(metric, [make_row({}, metrics, conditions={"page_bytes": 100})]) == expected
    assert resolution(metric, []) == 0
