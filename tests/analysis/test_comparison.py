from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.analysis.comparison import (
    MODEL_TOLERANCE_PERCENT,
    TRACED_TOLERANCE_ARRAYS,
    TRACED_TOLERANCE_BYTES,
    Comparison,
    compare,
    metrics_with_predictions,
    with_predictions,
)
from toolkit.analysis.noise import READING_ERROR_PAGES
from toolkit.analysis.predictions import Deviation
from toolkit.analysis.results import Results
from toolkit.analysis.statistics import Estimate

PAGE, ARRAY = 4096, 800_000


def _compared(
    measured, predicted, *, measure="resident", metric="peak_rss_bytes", exact=True, array_bytes=ARRAY
):
    return Comparison(
        levels={},
        measure=measure,
        metric=metric,
        measured=Estimate(measured, None, None, 1),
        predicted=predicted,
        exact=exact,
        basis="",
        array_bytes=array_bytes,
        page_bytes=PAGE,
        keys=frozenset(),
    )


TRACED = {"measure": "traced", "metric": "peak_traced_bytes"}
COUNT = {"measure": "timed", "metric": "calls_count"}


@pytest.mark.parametrize(
    ("measured", "predicted", "kind", "holds", "agreement"),
    [
        (10 * PAGE, 8 * PAGE, {}, True, "within 2 pages"),
        (8 * PAGE, 10 * PAGE, {}, True, "within 2 pages"),
        (11 * PAGE, 8 * PAGE, {}, False, "off by 3 pages"),
        (8 * PAGE + 1, 6 * PAGE, {}, False, "off by 2 pages"),
        (99 * PAGE, 8 * PAGE, {"array_bytes": 799_999}, None, "no claim: small arrays"),
        (99 * PAGE, 8 * PAGE, {"array_bytes": None}, None, "no claim: small arrays"),
        (8 * ARRAY + 1600, 8 * ARRAY, TRACED, True, "within 0.002 S"),
        (8 * ARRAY + 1608, 8 * ARRAY, TRACED, False, "off by 0.00201 S"),
        (8.2 * ARRAY, 8 * ARRAY, TRACED, False, "off by 0.2 S"),
        (8 * 80 + 112, 8 * 80, TRACED | {"array_bytes": 80}, True, "within 1.4 S"),
        (8 * 80 + 120, 8 * 80, TRACED | {"array_bytes": 80}, False, "off by 1.5 S"),
        (1, 1, TRACED | {"array_bytes": None}, None, "no claim: array size unknown"),
        (110, 100, {"exact": False}, True, "within 10 %"),
        (89, 100, {"exact": False, "array_bytes": None}, False, "off by 11 %"),
        (1, 0, {"exact": False}, None, "no claim: the model predicts nothing"),
        (12, 12, COUNT, True, "equal"),
        (13, 12, COUNT, False, "off by 1"),
    ],
)
def test_agreement(measured, predicted, kind, holds, agreement):
    compared = _compared(measured, predicted, **kind)
    assert compared.holds is holds
    assert compared.agreement == agreement


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 10**7))
def test_every_deviation_is_the_same_one_in_another_unit(measured, predicted, array_bytes):
    compared = _compared(measured, predicted, array_bytes=array_bytes)
    assert compared.deviation == measured - predicted
    assert compared.deviation_pages * PAGE == pytest.approx(compared.deviation)
    assert compared.deviation_arrays * array_bytes == pytest.approx(compared.deviation)
    if predicted:
        assert compared.deviation_percent / 100 * predicted == pytest.approx(compared.deviation)
    else:
        assert compared.deviation_percent is None


@pytest.mark.parametrize(
    ("kind", "off_by", "beside"),
    [
        (TRACED, 0, ARRAY / 500),
        ({}, 0, ARRAY / 500 + READING_ERROR_PAGES * PAGE),
        ({}, 100 * PAGE, ARRAY / 500 + 100 * PAGE),
    ],
)
def test_to_a_bound_of_whole_arrays_comes_what_is_beside_arrays(kind, off_by, beside):
    bound = Deviation(percent=10.0, cause="a cause")

    def holds(measured):
        compared = _compared(measured, 40 * ARRAY, exact=False, **kind)
        return replace(compared, exception=bound, resolution_bytes=off_by).holds

    assert holds(44 * ARRAY + beside - 1) and holds(36 * ARRAY - beside + 1)
    assert not holds(44 * ARRAY + beside + 1) and not holds(36 * ARRAY - beside - 1)


def test_a_deviation_that_is_no_bytes_has_no_pages():
    assert _compared(13, 12, **COUNT).deviation_pages is None
    assert _compared(13, 12, **COUNT).deviation_arrays is None


def test_the_thresholds_are_those_that_the_report_must_meet():
    assert (READING_ERROR_PAGES, MODEL_TOLERANCE_PERCENT) == (2, 10)
    assert (TRACED_TOLERANCE_ARRAYS, TRACED_TOLERANCE_BYTES) == (0.002, 112)


@pytest.fixture
def results(make_row):
    conditions = {"prediction_exact": True, "prediction_basis": "2 S", "prediction_array_bytes": ARRAY}
    rows = [
        make_row(
            {"k": k},
            {
                "peak_rss_bytes": k * ARRAY,
                "end_rss_bytes": 0,
                "predicted_peak_bytes": 2 * ARRAY,
                "predicted_end_bytes": 0,
            },
            conditions=conditions | {"page_bytes": 16_384},
        )
        for k in (1, 2)
    ]
    rows.append(make_row({"k": 3}, {"peak_rss_bytes": 5}))
    rows.append(make_row({"k": 1}, {"calls_count": 3, "predicted_calls_count": 3}, measure="timed"))
    return Results("loop", rows, lambda _: {})


def test_every_reading_with_a_prediction_is_compared(results):
    compared = compare(results)
    assert [(one.metric, dict(one.levels)) for one in compared] == [
        ("peak_rss_bytes", {"k": 1}),
        ("peak_rss_bytes", {"k": 2}),
        ("end_rss_bytes", {"k": 1}),
        ("end_rss_bytes", {"k": 2}),
        ("calls_count", {"k": 1}),
    ]
    assert metrics_with_predictions(results) == ("peak_rss_bytes", "end_rss_bytes", "calls_count")
    first = compared[0]
    assert (first.basis, first.array_bytes, first.page_bytes) == ("2 S", ARRAY, 16_384)
    assert first.deviation_pages == -ARRAY / 16_384
    assert len(first.keys) == 1


def test_a_cell_without_a_prediction_stands_without_one(results):
    assert [predicted for _, predicted in with_predictions(results, "peak_rss_bytes", "resident")] == [
        2 * ARRAY,
        2 * ARRAY,
        None,
    ]


@pytest.mark.parametrize(("seen_at_event", "holds"), [(True, False), (False, True)])
def test_a_peak_that_the_high_water_mark_alone_saw_is_judged_by_its_bound(make_row, seen_at_event, holds):
    array, page = 800_000, 4096
    peak = 10 * array + 100 * page
    metrics = {
        "peak_rss_bytes": peak,
        "event_peak_rss_bytes": peak if seen_at_event else 9 * array,
        "hwm_error_bytes": 128 * page,
        "predicted_peak_bytes": 10 * array,
    }
    conditions = {"prediction_array_bytes": array, "page_bytes": page}
    (compared,) = compare(Results("loop", [make_row({}, metrics, conditions=conditions)], lambda _: {}))
    assert compared.holds is holds
    assert compared.allowance == ("within 2 pages" if seen_at_event else "within 128 pages")


def test_a_cell_is_as_exact_as_the_least_exact_of_its_trials(make_row):
    """The trial nearest to the median was read at an event; another one's peak by the kernel's mark alone."""
    common = {"predicted_peak_bytes": 100 * PAGE, "hwm_error_bytes": 500 * PAGE}
    peaks = ((100, 100), (100, 100), (104, 100))
    rows = [
        make_row(
            {"k": 1},
            {"peak_rss_bytes": peak * PAGE, "event_peak_rss_bytes": event * PAGE, **common},
            conditions={"page_bytes": PAGE, "prediction_array_bytes": ARRAY},
            replicate=replicate,
        )
        for replicate, (peak, event) in enumerate(peaks)
    ]
    (one,) = [one for one in compare(Results("loop", rows, lambda _: {})) if one.metric == "peak_rss_bytes"]
    assert one.resolution_bytes == 500 * PAGE


@pytest.mark.parametrize(
    ("n", "conditions", "elements"),
    [
        (1000, {"prediction_array_bytes": 8_000_000}, 1_000_000),
        (10**6, {"prediction_array_bytes": 80}, 10),
        (1000, {}, 1000),
        (None, {"prediction_array_bytes": 8_000_000}, 1_000_000),
    ],
    ids=["the side of a matrix", "how many arrays", "counts alone are predicted", "no n"],
)
def test_the_numbers_in_an_array_are_what_the_prediction_says_and_not_a_factor_of_that_name(
    make_row, n, conditions, elements
):
    metrics = {"peak_rss_bytes": 3 * ARRAY, "predicted_peak_bytes": 2 * ARRAY}
    row = make_row({} if n is None else {"n": n}, metrics, conditions=conditions)
    (compared,) = compare(Results("loop", [row], lambda _: {}))
    assert compared.elements == elements


def test_one_trial_that_is_off_is_not_hidden_by_a_median(make_row):
    def compared(exact, *peaks):
        conditions = {"prediction_exact": exact, "prediction_array_bytes": ARRAY, "page_bytes": PAGE}
        rows = [
            make_row(
                {"k": 1},
                {"peak_rss_bytes": peak * PAGE, "predicted_peak_bytes": 1000 * PAGE},
                conditions=conditions,
                replicate=replicate,
            )
            for replicate, peak in enumerate(peaks)
        ]
        (one,) = compare(Results("loop", rows, lambda _: {}))
        return one

    assert compared(True, 1000, 1002, 1000).holds is True
    assert compared(True, 1000, 1003, 1000).holds is False
    assert compared(True, 1000, 997, 1001).off == -3
    # A model is right within percents, and its trials differ.
    assert compared(False, 1000, 2000, 1000).holds is True


def test_a_prediction_may_stand_in_another_trial_of_its_cell(make_row):
    conditions = {"prediction_exact": True, "prediction_array_bytes": ARRAY, "page_bytes": PAGE}
    rows = [
        make_row({"k": 1}, metrics, conditions=conditions, replicate=replicate)
        for replicate, metrics in enumerate(
            ({"peak_rss_bytes": 1003 * PAGE}, {"predicted_peak_bytes": 1000 * PAGE})
        )
    ]
    (one,) = compare(Results("loop", rows, lambda _: {}))
    assert (one.off, one.holds) == (3, False)
