"""What the report says of predictions that do not hold: loudly, where no cause is named."""

import pytest

from tests.analysis.test_agreement import S, comparison
from toolkit.analysis.agreement import agreements
from toolkit.report import agreement


def pairs_of(*compared):
    return agreements(("piles", one) for one in compared)


def test_where_all_agree_one_sentence_says_so():
    pairs, too_small = pairs_of(
        comparison(S, S),
        comparison(S + 1, S),
        comparison(2 * S, S, elements=10),
        comparison(103 * S, 100 * S, 5.0),
    )
    told = agreement.finding(pairs, too_small)
    assert told.status == "confirmed"
    assert (
        "2 within 1 % (1 to the byte or count); 1 beyond it for a named cause; none unexplained"
        in told.sentence
    )
    assert told.sentence.startswith(
        "Predictions of arrays of 100,000 numbers or more, or of no arrays: 3. Measured "
    )
    assert told.sentence.endswith(" Of smaller arrays: 1 more, held only to what each claims.")
    assert (told.figure != "", told.expected) == (True, "within 1 %, or a named exception")


def test_what_was_rightly_predicted_to_be_nothing_is_counted_apart():
    told = agreement.finding(*pairs_of(comparison(S, S), comparison(0, 0), comparison(4096, 0)))
    assert "3 within 1 % (2 to the byte or count, 1 of them 0 = 0)" in told.sentence


def test_what_no_exception_names_deviates_and_leads_the_table():
    pairs, too_small = pairs_of(
        comparison(103 * S, 100 * S, 5.0), comparison(2 * S, S), comparison(120 * S, 100 * S, 5.0)
    )
    told = agreement.finding(pairs, too_small)
    assert told.status == "deviates"
    assert "2 beyond it and UNEXPLAINED" in told.sentence
    table = agreement.exceptions(pairs, "exceptions")
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    assert [row["agreement"] for row in rows] == ["deviates", "deviates", "named exception"]
    assert [row["cause"] for row in rows] == [
        "none is named",
        "more than (1) explains",
        "(1)",
    ]
    assert table.notes[0] == "(1) A cause." and "beside arrays" in table.notes[1]
    assert [row["deviation_percent"] for row in rows] == pytest.approx([100, 20, 3])
    assert [row["accounted_percent"] for row in rows] == pytest.approx([1, 5.002, 5.002])


def test_estimates_alone_confirm_nothing():
    told = agreement.finding(*pairs_of(comparison(9 * S, S, estimated=True)))
    assert told.status == "observed"
    assert "1 estimates, of which nothing is claimed" in told.sentence


def test_every_pair_is_a_row_of_the_table_of_all():
    pairs, _ = pairs_of(comparison(S, S), comparison(103 * S, 100 * S, 5.0))
    table = agreement.pairs_table(pairs, "pairs")
    assert [row[-2] for row in table.rows] == ["agrees", "exception"]
    assert [row[-3] for row in table.rows] == [None, "a cause"]


def test_a_cause_is_told_once_and_the_bound_is_what_the_prediction_is_held_to():
    pairs, _ = pairs_of(comparison(103 * S, 100 * S, 5.0), comparison(104 * S, 100 * S, 5.0))
    table = agreement.exceptions(pairs, "exceptions")
    assert [row[-1] for row in table.rows] == ["(1)", "(1)"]
    assert sum("A cause" in note for note in table.notes) == 1
    bounds = [f"within {row[-3]:.3g} %" for row in table.rows]
    assert bounds == [pair.comparison.allowance for pair in pairs]


def test_without_predictions_nothing_is_said():
    assert agreement.finding([], 0) is None
    assert agreement.exceptions([], "exceptions") is None
    assert agreement.pairs_table([], "pairs") is None
