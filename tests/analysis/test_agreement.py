"""Every pair is within one percent, excused by a cause that accounts for so much, or unexplained."""

import pytest

from toolkit.analysis.agreement import agreements
from toolkit.analysis.comparison import Comparison
from toolkit.analysis.predictions import Deviation
from toolkit.analysis.statistics import Estimate

S = 800_000
MEASURED = {
    "to the byte": (100 * S, 100 * S, None, "agrees"),
    "just within": (101 * S, 100 * S, None, "agrees"),
    "just within, below": (99 * S, 100 * S, None, "agrees"),
    "beyond, and nothing named": (101 * S + 1, 100 * S, None, "unexplained"),
    "beyond, and accounted for": (108 * S, 100 * S, 8.0, "exception"),
    "below, and accounted for": (92 * S, 100 * S, 8.0, "exception"),
    "beyond by what is beside arrays": (108 * S + S // 500, 100 * S, 8.0, "exception"),
    "beyond what is accounted for": (108 * S + S // 500 + 8, 100 * S, 8.0, "unexplained"),
    "within, though an exception is named": (100 * S, 100 * S, 8.0, "agrees"),
    "nothing where nothing must be": (0, 0, None, "agrees"),
    "a page where nothing must be": (4096, 0, None, "agrees"),
    "an array where nothing must be": (S, 0, None, "unexplained"),
}


def comparison(measured, predicted, percent=None, metric="peak_traced_bytes", elements=100_000, **more):
    return Comparison(
        levels={"n": elements},
        measure="traced",
        metric=metric,
        measured=Estimate(measured, None, None, 1),
        predicted=predicted,
        exact=percent is None,
        basis="S",
        array_bytes=S if metric.endswith("_bytes") else None,
        page_bytes=4096,
        keys=frozenset(),
        elements=elements,
        exception=None if percent is None else Deviation(percent=percent, cause="a cause"),
        **more,
    )


@pytest.mark.parametrize(
    ("measured", "predicted", "percent", "agreement"), MEASURED.values(), ids=list(MEASURED)
)
def test_where_a_pair_stands(measured, predicted, percent, agreement):
    (pair,), too_small = agreements([("any", comparison(measured, predicted, percent))])
    assert (pair.experiment, pair.agreement, too_small) == ("any", agreement, 0)


def test_counts_have_no_size_and_must_be_the_same_where_none_is_predicted():
    counts = [comparison(count, 0, metric="gc_collections_count", elements=None) for count in (0, 1)]
    pairs, too_small = agreements([("any", one) for one in counts])
    assert [pair.agreement for pair in pairs] == ["agrees", "unexplained"]
    assert too_small == 0


def test_small_arrays_are_counted_and_not_judged():
    pairs, too_small = agreements([("any", comparison(2 * S, S, elements=99_999))])
    assert (list(pairs), too_small) == ([], 1)


def test_of_an_estimate_nothing_is_claimed():
    (pair,), _ = agreements([("any", comparison(2 * S, S, estimated=True))])
    assert pair.agreement == "estimate"


@pytest.mark.parametrize(("percent", "cause"), [(1.0, " "), (float("nan"), "why"), ("2", "why")])
def test_an_exception_needs_a_bound_and_a_cause(percent, cause):
    with pytest.raises((TypeError, ValueError)):
        Deviation(percent=percent, cause=cause)
