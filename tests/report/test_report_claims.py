"""Findings judge as the comparison judges, and say so where they rest on estimates."""

import pytest

from toolkit.analysis.comparison import compare
from toolkit.analysis.results import Results
from toolkit.report import claims
from toolkit.report.charts.bars import bars
from toolkit.store import Row

PAGE, ARRAY = 4096, 800_000
HARD = "\N{NO-BREAK SPACE}"
EXACT = {"prediction_exact": True, "prediction_array_bytes": ARRAY, "page_bytes": PAGE}


@pytest.fixture
def make():
    """Return a function that makes results of one cell for each mapping of metrics."""

    def results(*cells, measure="resident", conditions=EXACT):
        rows = [
            Row(
                key=f"{n} {replicate}",
                run=1,
                experiment="loop",
                measure=measure,
                replicate=replicate,
                seed=0,
                status="ok",
                exit_code=0,
                message="",
                factors={"k": k, "n": 100_000},
                constants={},
                metrics=metrics,
                conditions=conditions,
                code_digest="",
                started_at=0.0,
                elapsed_seconds=1.0,
            )
            for n, (k, *replicates) in enumerate(cells)
            for replicate, metrics in enumerate(replicates)
        ]
        return Results("loop", rows, lambda _: {})

    return results


def peaks(measured, predicted=10 * PAGE, name="rss"):
    return {f"peak_{name}_bytes": measured, "predicted_peak_bytes": predicted}


@pytest.mark.parametrize(
    ("off_pages", "status", "measured"),
    [(2, "confirmed", "1 of 1 cells hold; the worst is off by 2.00 pages"),
     (3, "deviates", "0 of 1 cells hold; the worst is off by 3.00 pages")],
)  # fmt: skip
def test_agreement_is_what_the_comparison_says(make, off_pages, status, measured):
    results = make((1, peaks((10 + off_pages) * PAGE)))
    made = claims.agreement(results, ["peak_rss_bytes"], "resident", "peak")
    (compared,) = compare(results)
    assert (made.status, made.measured, made.expected) == (status, measured, compared.allowance)
    assert compared.holds is (status == "confirmed")


def test_agreement_in_another_unit_is_judged_in_that(make):
    counts = make((1, {"calls_count": 5, "predicted_calls_count": 5}), measure="traced")
    made = claims.agreement(counts, ["calls_count"], "traced", "calls")
    assert (made.status, made.expected) == ("confirmed", "exactly")
    model = make(
        (1, peaks(109, 100, "traced")), measure="traced", conditions=EXACT | {"prediction_exact": False}
    )
    made = claims.agreement(model, ["peak_traced_bytes"], "traced", "model", exact=False)
    assert (made.status, made.expected) == ("confirmed", "within 10 %")
    assert made.measured.endswith("off by 9.00 %")


def test_where_nothing_may_be_claimed_the_reason_is_told(make):
    results = make((1, peaks(99 * PAGE)), conditions=EXACT | {"prediction_array_bytes": 80})
    made = claims.agreement(results, ["peak_rss_bytes"], "resident", "peak")
    assert (made.status, made.measured) == ("observed", "no claim: small arrays")
    assert claims.agreement(results, ["end_rss_bytes"], "resident", "end").measured == "not measured"


def test_agreement_of_memory_is_that_of_both_measures(make):
    made = list(claims.memory_agreement(make((1, peaks(10 * PAGE))), "18.1"))
    assert [one.figure for one in made] == [
        f"18.1: {measure} peak and end against the prediction" for measure in ("traced", "resident")
    ]
    assert [one.status for one in made] == ["observed", "confirmed"]


def test_spread_is_that_of_the_cell_with_the_most(make):
    results = make((1, peaks(PAGE), peaks(PAGE)), (2, peaks(PAGE), peaks(2 * PAGE)))
    made = claims.spread(results, "peak_rss_bytes", "resident", "spread", pages=1, count=2)
    assert (made.status, made.measured) == ("confirmed", "1.00 pages at most, in 2 cells")


@pytest.fixture
def estimated(make):
    return make(
        (1, peaks(8 * ARRAY), peaks(8 * ARRAY)),
        (2, peaks(16 * ARRAY), peaks(16 * ARRAY)),
        conditions=EXACT | {"exact_probe": False},
    )


@pytest.mark.parametrize(
    "claim",
    [
        lambda results: claims.in_arrays(
            results, "peak_rss_bytes", "resident", "peak", expected=8, within=0.1, k=1, n=100_000
        ),
        lambda results: claims.at_most(results, "peak_rss_bytes", "resident", "peak", 10**9, k=1),
        lambda results: claims.spread(results, "peak_rss_bytes", "resident", "spread", pages=1, count=2),
        lambda results: claims.times_as_much(
            results, "peak_rss_bytes", "resident", "{more}, {less}, {ratio}.", more={"k": 2}, less={"k": 1}
        ),
        lambda results: claims.agreement(results, ["peak_rss_bytes"], "resident", "peak"),
        lambda results: claims.alike(results, "peak_rss_bytes", "resident", "peak"),
        lambda results: claims.at_most_anywhere(results, "peak_rss_bytes", "resident", "peak", 10**9),
    ],
    ids=["in_arrays", "at_most", "spread", "times_as_much", "agreement", "alike", "at_most_anywhere"],
)
def test_a_finding_that_rests_on_estimates_says_so_and_confirms_nothing(estimated, claim):
    made = claim(estimated)
    assert made.status == "observed"
    assert "estimate" in made.sentence
    assert not made.measured or "estimate" in made.measured


def test_a_figure_of_estimates_says_so(estimated, make):
    def caption(results):
        return bars(results, "peak_rss_bytes", "resident", name="peak", title="Peak").caption

    assert "estimates" in caption(estimated)
    assert "estimates" not in caption(make((1, peaks(8 * ARRAY))))


def test_traced_bytes_are_no_estimates_where_resident_ones_are(make):
    results = make((1, peaks(8 * ARRAY, name="traced")), measure="traced", conditions={"exact_probe": False})
    made = claims.in_arrays(
        results, "peak_traced_bytes", "traced", "peak", expected=8, within=0.1, k=1, n=100_000
    )
    assert made.status == "confirmed" and "estimate" not in made.sentence


class InTwoInterpreters:
    def interpreters(self, measure):
        return {"3.11": "3.11.7", "3.13": "3.13.0"} if measure == "traced" else {}


@pytest.mark.parametrize(("other", "status"), [(True, "confirmed"), (False, "deviates")])
def test_a_conclusion_holds_everywhere_or_it_is_told_where_not(other, status):
    judge = {"3.11": (True, "1 B"), "3.13": (other, "2 B")}.get
    made = claims.everywhere(InTwoInterpreters(), "traced", "Less is less", judge)
    assert made.status == status
    assert made.sentence == f"Less is less: on 3.11.7, 1 B; {'' if other else 'not '}on 3.13.0, 2 B."
    assert made.measured == ("on 2 of 2: Python 3.11.7, 3.13.0" if other else "on 1 of 2: Python 3.11.7")
    assert claims.everywhere(InTwoInterpreters(), "timed", "Less is less", judge).measured == "not measured"


def test_times_are_told_with_the_shift_between_them_and_what_its_interval_covers(make):
    slow, fast = ([{"wall_seconds": (base + n) / 1000} for n in range(5)] for base in (40, 10))
    results = make((1, *fast), (2, *slow), measure="timed", conditions={})
    made = claims.times_as_much(
        results, "wall_seconds", "timed", "{more} and {less}, {ratio}.", more={"k": 2}, less={"k": 1}
    )
    assert made.sentence.replace(HARD, " ") == (
        "42.0 ms (range 40.0 to 44.0) and 12.0 ms (range 10.0 to 14.0), the first is 3.50 times the second. "
        "The shift between them is 30.0 ms (27.0 to 33.0), an interval of 96.8 %; "
        "the noise floor 8.75 ms; Cliff's delta 1.00."
    )


def test_a_shift_within_the_noise_is_said_to_be_none(make):
    readings = [{"wall_seconds": 0.010 + 0.001 * n} for n in (0, 2, 4, 1, 3)]
    results = make((1, *readings), (2, *reversed(readings)), measure="timed", conditions={})
    made = claims.times_as_much(
        results, "wall_seconds", "timed", "{more}, {less}, {ratio}.", more={"k": 2}, less={"k": 1}
    )
    assert "not told apart on this machine, where replicates of one cell differ by up to" in made.sentence
    assert "times" not in made.sentence
    assert "shift between them is 0" in made.sentence


def test_medians_and_shift_that_point_to_opposite_sides_are_no_difference(make):
    # As three readings of a noisy machine were: the medians say faster, the shift slower.
    more, less = ([{"wall_seconds": one} for one in some] for some in ((0.4, 0.5, 0.9), (0.05, 0.51, 0.52)))
    results = make((1, *less), (2, *more), measure="timed", conditions={})
    made = claims.times_as_much(
        results, "wall_seconds", "timed", "{more}, {less}, {ratio}.", more={"k": 2}, less={"k": 1}
    )
    assert (
        "not told apart, for the medians and the shift between them tell opposite differences"
        in made.sentence
    )
    assert "times" not in made.sentence


def test_of_single_readings_no_difference_in_time_is_stated(make):
    results = make((1, {"wall_seconds": 0.1}), (2, {"wall_seconds": 0.2}), measure="timed", conditions={})
    made = claims.times_as_much(
        results, "wall_seconds", "timed", "{more}, {less}, {ratio}.", more={"k": 2}, less={"k": 1}
    )
    assert "not told apart, for a single reading does not tell a difference from noise." in made.sentence


def test_resident_peaks_closer_than_the_bound_of_the_high_water_mark_are_no_difference(make):
    def peak(pages):
        told = {"event_peak_rss_bytes": 10 * PAGE, "hwm_error_bytes": 128 * PAGE}
        return peaks(pages * PAGE) | told

    def said(more, less):
        return claims.times_as_much(
            make((1, *[peak(less)] * 3), (2, *[peak(more)] * 3)),
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


def test_a_ratio_follows_the_order_in_which_its_figures_are_told(make):
    made = claims.times_as_much(
        make((1, peaks(2 * ARRAY)), (2, peaks(6 * ARRAY))),
        "peak_rss_bytes",
        "resident",
        "{less}, then {more}: {ratio}.",
        more={"k": 2},
        less={"k": 1},
    )
    assert made.sentence.endswith(": the second is 3.00 times the first.")


@pytest.mark.parametrize(
    ("more", "told"),
    [(495_000, "4.95 times"), (100_128, f"128{HARD}B more than"), (99_872, f"128{HARD}B less than"),
     (100_000, "as much as")],
)  # fmt: skip
def test_a_ratio_that_rounds_to_once_is_told_in_bytes(more, told):
    assert claims.ratio_text(more, 100_000, "bytes") == told


@pytest.mark.parametrize(
    ("measured", "told", "status"),
    [(2.0**64, "1.84×10¹⁹", "confirmed"), (2.0**64 + 4096, "1.8446744073709556e+19", "deviates")],
)
def test_a_value_and_the_expected_one_read_alike_only_where_they_are_equal(make, measured, told, status):
    results = make((1, {"gradient_value": measured}), measure="traced")
    made = claims.same(results, {"gradient_value": 2.0**64}, "traced", "the gradient", k=1)
    assert (made.measured, made.status) == (f"gradient value = {told}", status)
    assert made.expected == "gradient value = 1.84×10¹⁹"


def test_what_was_not_measured_keeps_its_capitals(make):
    made = claims.times_as_much(make(), "peak_rss_bytes", "resident", "", more={}, less={})
    assert made.sentence.startswith("Peak RSS of ")
    assert made.sentence.endswith("not measured in both cells.")


@pytest.mark.parametrize(
    ("last", "status", "measured"),
    [(7, "confirmed", "the same in all 3 cells"), (8, "deviates", "2 different ones in 3 cells")],
)
def test_what_is_alike_in_every_cell_has_one_value(make, last, status, measured):
    results = make(*((k, {"sum_value": value}) for k, value in ((1, 7), (2, 7), (3, last))))
    made = claims.alike(results, "sum_value", "resident", "sums")
    assert (made.status, made.measured, made.expected) == (status, measured, "the same sum value")
    some = claims.alike(results, "sum_value", "resident", "sums", {"k": [1, 2]})
    assert (some.status, some.measured) == ("confirmed", "the same in all 2 cells")


def test_replicates_of_one_cell_are_not_alike_to_any_other(make):
    results = make((1, {"sum_value": 7}, {"sum_value": 7}))
    made = claims.alike(results, "sum_value", "resident", "sums")
    assert (made.status, made.measured) == ("observed", "not measured")


@pytest.mark.parametrize(("limit", "status"), [(9, "confirmed"), (8, "deviates")])
def test_a_limit_for_every_cell_is_judged_by_the_highest_reading(make, limit, status):
    results = make((1, {"wrong_count": 2}, {"wrong_count": 9}), (2, {"wrong_count": 3}))
    made = claims.at_most_anywhere(results, "wrong_count", "resident", "wrong", limit)
    assert (made.status, made.measured) == (status, "9 or less in 2 cells")
    assert claims.at_most_anywhere(results, "other_count", "resident", "wrong", 1).status == "observed"
