"""Two cells are held against each other in a sentence, and a ratio is told where they can be told apart."""

import pytest

from toolkit.report import contrasts

PAGE, ARRAY = 4096, 800_000
HARD = "\N{NO-BREAK SPACE}"


def test_times_are_told_with_the_shift_between_them_and_what_its_interval_covers(results_of_loop):
    slow, fast = ([{"wall_seconds": (base + n) / 1000} for n in range(5)] for base in (40, 10))
    results = results_of_loop((1, *fast), (2, *slow), measure="timed")
    made = contrasts.times_as_much(
        results, "wall_seconds", "timed", "{more} and {less}, {ratio}.", more={"k": 2}, less={"k": 1}
    )
    assert made.sentence.replace(HARD, " ") == (
        "42.0 ms (range 40.0 to 44.0) and 12.0 ms (range 10.0 to 14.0), the first is 3.50 times the second. "
        "The shift between them is 30.0 ms (27.0 to 33.0); the interval covers the true shift with 96.8 %; "
        "the noise floor 8.75 ms; Cliff's delta 1.00."
    )


def test_a_shift_within_the_noise_is_said_to_be_none(results_of_loop):
    readings = [{"wall_seconds": 0.010 + 0.001 * n} for n in (0, 2, 4, 1, 3)]
    results = results_of_loop((1, *readings), (2, *reversed(readings)), measure="timed")
    made = contrasts.times_as_much(
        results, "wall_seconds", "timed", "{more}, {less}, {ratio}.", more={"k": 2}, less={"k": 1}
    )
    assert "not told apart on this machine, where halves of one cell differ by up to" in made.sentence
    assert "times" not in made.sentence
    assert "shift between them is 0" in made.sentence


def test_medians_and_shift_that_point_to_opposite_sides_are_no_difference(results_of_loop):
    # As three readings of a noisy machine were: the medians say faster, the shift slower.
    more, less = ([{"wall_seconds": one} for one in some] for some in ((0.4, 0.5, 0.9), (0.05, 0.51, 0.52)))
    results = results_of_loop((1, *less), (2, *more), measure="timed")
    made = contrasts.times_as_much(
        results, "wall_seconds", "timed", "{more}, {less}, {ratio}.", more={"k": 2}, less={"k": 1}
    )
    assert (
        "not told apart, for the medians and the shift between them tell opposite differences"
        in made.sentence
    )
    assert "times" not in made.sentence


def test_of_single_readings_no_difference_in_time_is_stated(results_of_loop):
    results = results_of_loop((1, {"wall_seconds": 0.1}), (2, {"wall_seconds": 0.2}), measure="timed")
    made = contrasts.times_as_much(
        results, "wall_seconds", "timed", "{more}, {less}, {ratio}.", more={"k": 2}, less={"k": 1}
    )
    assert "not told apart, for a single reading does not tell a difference from noise." in made.sentence


def test_resident_peaks_closer_than_the_bound_of_the_high_water_mark_are_no_difference(results_of_loop):
    def peak(pages):
        told = {"event_peak_rss_bytes": 10 * PAGE, "hwm_error_bytes": 128 * PAGE}
        return {"peak_rss_bytes": pages * PAGE, **told}

    def said(more, less):
        return contrasts.times_as_much(
            results_of_loop((1, *[peak(less)] * 3), (2, *[peak(more)] * 3)),
            "peak_rss_bytes",
            "resident",
            "{more}, {less}, {ratio}.",
            more={"k": 2},
            less={"k": 1},
        ).sentence.replace(HARD, " ")

    assert "not told apart, for a reading may be off by 512 KiB." in said(300, 200)
    assert said(400, 200).endswith(", the first is 2.00 times the second.")
    # Both were seen at events, to the page.
    assert said(10, 5).endswith(", the first is 2.00 times the second.")


def test_a_ratio_follows_the_order_in_which_its_figures_are_told(results_of_loop):
    made = contrasts.times_as_much(
        results_of_loop((1, {"peak_rss_bytes": 2 * ARRAY}), (2, {"peak_rss_bytes": 6 * ARRAY})),
        "peak_rss_bytes",
        "resident",
        "{less}, then {more}: {ratio}.",
        more={"k": 2},
        less={"k": 1},
    )
    assert made.sentence.endswith(": the second is 3.00 times the first.")


def test_what_was_not_measured_keeps_its_capitals(results_of_loop):
    made = contrasts.times_as_much(results_of_loop(), "peak_rss_bytes", "resident", "", more={}, less={})
    assert made.sentence.startswith("Peak RSS of ")
    assert made.sentence.endswith("not measured in both cells.")


@pytest.mark.parametrize(
    ("more", "told"),
    [(495_000, "4.95 times"), (100_128, f"128{HARD}B more than"), (99_872, f"128{HARD}B less than"),
     (100_000, "as much as")],
)  # fmt: skip
def test_a_ratio_that_rounds_to_once_is_told_in_bytes(more, told):
    assert contrasts.ratio_text(more, 100_000, "bytes") == told
