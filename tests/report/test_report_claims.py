"""Findings judge as the comparison judges, and say so where they rest on estimates."""

import pytest

from tests.analysis.test_agreement import S, comparison
from toolkit.analysis.comparison import allowances, compare
from toolkit.report import claims, contrasts
from toolkit.report.charts.bars import bars

PAGE, ARRAY = 4096, 800_000


def peaks(measured, predicted=10 * PAGE, name="rss"):
    return {f"peak_{name}_bytes": measured, "predicted_peak_bytes": predicted}


@pytest.mark.parametrize(
    ("off_pages", "status", "measured"),
    [(2, "confirmed", "1 of 1 cell holds; the worst is off by 2.00 pages"),
     (3, "deviates", "0 of 1 cell holds; the worst is off by 3.00 pages")],
)  # fmt: skip
def test_agreement_is_what_the_comparison_says(results_of_loop, off_pages, status, measured):
    results = results_of_loop((1, peaks((10 + off_pages) * PAGE)))
    made = claims.agreement(results, ["peak_rss_bytes"], "resident", "peak")
    (compared,) = compare(results)
    assert (made.status, made.measured, made.expected) == (status, measured, compared.allowance)
    assert compared.holds is (status == "confirmed")


def test_agreement_in_another_unit_is_judged_in_that(results_of_loop):
    counts = results_of_loop((1, {"calls_count": 5, "predicted_calls_count": 5}), measure="traced")
    made = claims.agreement(counts, ["calls_count"], "traced", "calls")
    assert (made.status, made.expected) == ("confirmed", "exactly")
    model = results_of_loop((1, peaks(109, 100, "traced")), measure="traced", prediction_exact=False)
    made = claims.agreement(model, ["peak_traced_bytes"], "traced", "model", exact=False)
    assert (made.status, made.expected) == ("confirmed", "within 10 %")
    assert made.measured.endswith("off by 9.00 %")


def test_many_allowances_are_told_as_a_range_for_each_unit():
    models = [comparison(S, 10 * S, percent) for percent in (3.0, 12.0, 0.46)]
    assert allowances(models) == "within 0.48 to 12 %"
    assert allowances(models[:1] * 2) == models[0].allowance == "within 3.02 %"
    assert allowances([comparison(S, S), comparison(1, 1, metric="calls_count"), *models]) == (
        "within 0.002 S or exactly or within 0.48 to 12 %"
    )


def test_where_nothing_may_be_claimed_the_reason_is_told(results_of_loop):
    results = results_of_loop((1, peaks(99 * PAGE)), prediction_array_bytes=80)
    made = claims.agreement(results, ["peak_rss_bytes"], "resident", "peak")
    assert (made.status, made.measured) == ("observed", "no claim: small arrays")
    assert claims.agreement(results, ["end_rss_bytes"], "resident", "end").measured == "not measured"


def test_agreement_of_memory_is_that_of_both_measures(results_of_loop):
    made = list(claims.memory_agreement(results_of_loop((1, peaks(10 * PAGE))), "18.1"))
    assert [one.figure for one in made] == [
        f"18.1: {measure} peak and end against the prediction" for measure in ("traced", "resident")
    ]
    assert [one.status for one in made] == ["observed", "confirmed"]


def test_spread_is_that_of_the_cell_with_the_most(results_of_loop):
    results = results_of_loop((1, peaks(PAGE), peaks(PAGE)), (2, peaks(PAGE), peaks(2 * PAGE)))
    made = claims.spread(results, "peak_rss_bytes", "resident", "spread", pages=1, count=2)
    assert (made.status, made.measured) == ("confirmed", "1.00 pages at most, in 2 cells")


@pytest.fixture
def estimated(results_of_loop):
    return results_of_loop(
        (1, peaks(8 * ARRAY), peaks(8 * ARRAY)),
        (2, peaks(16 * ARRAY), peaks(16 * ARRAY)),
        exact_probe=False,
    )


@pytest.mark.parametrize(
    "claim",
    [
        lambda results: claims.in_arrays(
            results, "peak_rss_bytes", "resident", "peak", expected=8, within=0.1, k=1, n=100_000
        ),
        lambda results: claims.at_most(results, "peak_rss_bytes", "resident", "peak", 10**9, k=1),
        lambda results: claims.spread(results, "peak_rss_bytes", "resident", "spread", pages=1, count=2),
        lambda results: contrasts.times_as_much(
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


def test_a_figure_of_estimates_says_so(estimated, results_of_loop):
    def caption(results):
        return bars(results, "peak_rss_bytes", "resident", name="peak", title="Peak").caption

    assert "estimates" in caption(estimated)
    assert "estimates" not in caption(results_of_loop((1, peaks(8 * ARRAY))))


def test_traced_bytes_are_no_estimates_where_resident_ones_are(results_of_loop):
    results = results_of_loop((1, peaks(8 * ARRAY, name="traced")), measure="traced", exact_probe=False)
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


@pytest.mark.parametrize(
    ("last", "status", "measured"),
    [(7, "confirmed", "the same in all 3 cells"), (8, "deviates", "2 different ones in 3 cells")],
)
def test_what_is_alike_in_every_cell_has_one_value(results_of_loop, last, status, measured):
    results = results_of_loop(*((k, {"sum_value": value}) for k, value in ((1, 7), (2, 7), (3, last))))
    made = claims.alike(results, "sum_value", "resident", "sums")
    assert (made.status, made.measured, made.expected) == (status, measured, "the same sum value")
    some = claims.alike(results, "sum_value", "resident", "sums", {"k": [1, 2]})
    assert (some.status, some.measured) == ("confirmed", "the same in all 2 cells")


def test_replicates_of_one_cell_are_not_alike_to_any_other(results_of_loop):
    results = results_of_loop((1, {"sum_value": 7}, {"sum_value": 7}))
    made = claims.alike(results, "sum_value", "resident", "sums")
    assert (made.status, made.measured) == ("observed", "not measured")


@pytest.mark.parametrize(("limit", "status"), [(9, "confirmed"), (8, "deviates")])
def test_a_limit_for_every_cell_is_judged_by_the_highest_reading(results_of_loop, limit, status):
    results = results_of_loop((1, {"wrong_count": 2}, {"wrong_count": 9}), (2, {"wrong_count": 3}))
    made = claims.at_most_anywhere(results, "wrong_count", "resident", "wrong", limit)
    assert (made.status, made.measured) == (status, "9 or less in 2 cells")
    assert claims.at_most_anywhere(results, "other_count", "resident", "wrong", 1).status == "observed"


@pytest.mark.parametrize(
    ("measured", "told", "status"),
    [(2.0**64, "1.84×10¹⁹", "confirmed"), (2.0**64 + 4096, "1.8446744073709556e+19", "deviates")],
)
def test_a_value_and_the_expected_one_read_alike_only_where_they_are_equal(
    results_of_loop, measured, told, status
):
    results = results_of_loop((1, {"gradient_value": measured}), measure="traced")
    made = claims.same(results, {"gradient_value": 2.0**64}, "traced", "the gradient", k=1)
    assert (made.measured, made.status) == (f"gradient value = {told}", status)
    assert made.expected == "gradient value = 1.84×10¹⁹"


ARRAYS = {"expected": 8, "within": 0.002, "k": 1, "n": 100_000}


@pytest.mark.parametrize(
    ("readings", "claim"),
    [
        ([8.003], lambda seen: claims.in_arrays(seen, "peak_rss_bytes", "resident", "peak", **ARRAYS)),
        ([8, 8, 8.003], lambda seen: claims.in_arrays(seen, "peak_rss_bytes", "resident", "peak", **ARRAYS)),
        ([8], lambda seen: claims.at_most(seen, "peak_rss_bytes", "resident", "peak", 8 * ARRAY - 1, k=1)),
        (
            [8, 9, 8, 8, 8, 8],
            lambda seen: claims.at_most(seen, "peak_rss_bytes", "resident", "peak", 8 * ARRAY, k=1),
        ),
        ([8, 9], lambda seen: claims.at_most_anywhere(seen, "peak_rss_bytes", "resident", "peak", 8 * ARRAY)),
        ([7, 8], lambda seen: claims.same(seen, {"peak_rss_bytes": 8 * ARRAY}, "resident", "peak", k=1)),
        (
            [8],
            lambda seen: claims.same(
                seen, {"peak_rss_bytes": 8 * ARRAY, "predicted_peak_bytes": 1}, "resident", "peak", k=1
            ),
        ),
        ([8, 9], lambda seen: claims.spread(seen, "peak_rss_bytes", "resident", "spread", pages=195, count=2)),
    ],
)  # fmt: skip
def test_what_is_off_by_the_least_deviates(results_of_loop, readings, claim):
    made = claim(results_of_loop((1, *[peaks(round(reading * ARRAY)) for reading in readings])))
    assert made.status == "deviates"


def test_every_cell_of_its_kind_and_no_other_has_to_agree(results_of_loop):
    def said(**settings):
        results = results_of_loop((1, peaks(10 * PAGE)), (2, peaks(13 * PAGE)))
        made = claims.agreement(results, ["peak_rss_bytes"], "resident", "peak", **settings)
        return made.status, made.measured

    assert said() == ("deviates", "1 of 2 cells hold; the worst is off by 3.00 pages")
    assert said(where={"k": 1}) == ("confirmed", "1 of 1 cell holds; the worst is off by 0 pages")
    assert said(exact=False) == ("observed", "not measured")
