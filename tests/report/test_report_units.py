import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.analysis.statistics import Estimate, median
from toolkit.report.units import (
    counted,
    estimate_text,
    level_text,
    levels_text,
    number,
    scale,
    text,
    unit_of,
    words_of,
)

HARD, MINUS = "\u00a0", "\u2212"


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0, "bytes", "0 B"),
        (1023, "bytes", "1,023 B"),
        (4096, "bytes", "4.00 KiB"),
        (-4096, "bytes", "-4.00 KiB"),
        (6_422_528.0, "bytes", "6.12 MiB"),
        (2**30 * 15.5, "bytes", "15.5 GiB"),
        (0.0, "seconds", "0 s"),
        (0.0185, "seconds", "18.5 ms"),
        (2.5e-6, "seconds", "2.50 µs"),
        (3.0, "count", "3"),
        (20_475, "count", "20,475"),
        (0.1, "S", "0.10 S"),
        (40.0, "S", "40.0 S"),
        (2, "pages", "2.00 pages"),
        (-1.5, "percent", "-1.50 %"),
        (6.6e34, "", "6.6×10³⁴"),
        (-3.2e-4, "", "-3.2×10⁻⁴"),
        (True, "bytes", "True"),
        ("a|b", "bytes", "a|b"),
        (None, "bytes", "–"),
    ],
)
def test_numbers_for_people(value, unit, shown):
    assert text(value, unit).replace(HARD, " ") == shown.replace("-", MINUS)


def test_signs_are_shown_where_asked_for():
    assert text(4096, "bytes", signed=True).startswith("+")
    assert text(0, "bytes", signed=True)[0] == "0"
    assert text(-4096, "bytes", signed=True).startswith(MINUS)


@given(st.floats(1e-9, 1e15), st.sampled_from(["bytes", "seconds"]))
def test_the_unit_leaves_one_to_four_digits_before_the_point(value, unit):
    size, _ = scale(unit, value)
    assert value / size < 1024 or (unit, size) in (("bytes", 2**40), ("seconds", 1))
    assert value / size >= 1 or size == min(one for one in (1, 1e-9) if (one == 1) == (unit == "bytes"))


@given(st.floats(1e-3, 999_999_999))
def test_what_is_shown_has_two_digits_that_count_and_above_one_three(value):
    shown = float(number(value).replace(",", ""))
    assert shown == pytest.approx(value, rel=0.06 if value < 1 else 0.006)


def test_an_interval_is_shown_where_it_has_width():
    assert estimate_text(Estimate(1024, None, None, 1), "bytes") == f"1.00{HARD}KiB"
    assert estimate_text(Estimate(1024, 1024, 1024, 3), "bytes") == f"1.00{HARD}KiB"
    assert estimate_text(Estimate(0.5, 0.4, 0.61, 6, 0.97), "seconds") == f"500{HARD}ms (400 to 610)"


def test_the_ends_of_too_few_readings_are_called_their_range():
    shown = estimate_text(median([0.4, 0.5, 0.61]), "seconds")
    assert shown == f"500{HARD}ms (range 400 to 610)"


#: None so far from the median that it is shown as a power.
READINGS = st.lists(st.decimals(-1000, 1000, places=3).map(float), min_size=2, max_size=9)


@given(READINGS, st.sampled_from(["bytes", "seconds", "count"]))
def test_what_is_shown_of_a_median_lies_in_what_is_shown_of_its_interval(readings, unit):
    shown = estimate_text(median(readings), unit).replace(",", "").replace(MINUS, "-").replace(HARD, " ")
    if "(" in shown:
        middle, low, high = (float(one) for one in re.findall(r"(-?[\d.]+)(?=[ )])", shown))
        assert low <= middle <= high
        size, _ = scale(unit, abs(median(readings).median))
        assert low <= min(readings) / size or median(readings).count > 5


def test_the_ends_of_an_interval_get_the_digits_that_tell_them_apart():
    shown = estimate_text(Estimate(13.0 * 2**20, 13.0 * 2**20 - 4096, 13.0 * 2**20, 6, 0.97), "bytes")
    assert shown == f"13.000{HARD}MiB (12.996 to 13.000)"


def test_the_name_of_a_metric_tells_its_unit_and_its_words():
    assert (unit_of("peak_rss_bytes"), words_of("peak_rss_bytes")) == ("bytes", "peak RSS")
    assert (unit_of("gc_pause_max_seconds"), words_of("gc_pause_max_seconds")) == ("seconds", "GC pause max")
    assert (unit_of("correct"), words_of("correct")) == ("", "correct")


def test_levels():
    assert levels_text({"n": 100_000, "gc": "off", "retain_grad": True, "scale": 0.5}) == (
        "n=100,000, gc=off, retain_grad=True, scale=0.5"
    )
    assert level_text(2.0) == "2"


@pytest.mark.parametrize(("count", "words"), [(0, "0 trials"), (1, "1 trial"), (1234, "1,234 trials")])
def test_things_are_counted_in_words(count, words):
    assert counted(count, "trial") == words
