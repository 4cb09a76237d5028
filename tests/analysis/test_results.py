from dataclasses import replace

import numpy as np
import pytest

from toolkit.analysis.results import Results
from toolkit.analysis.statistics import Estimate, median


def _no_series(_key):
    return {}


@pytest.fixture
def results(make_row):
    rows = [
        make_row(
            {"references": references, "n": n},
            {"peak_rss_bytes": 8 * n + stray},
            replicate=stray,
            constants={"T": 10},
        )
        for references in ("strong", "weak")
        for n in (100_000, 10_000)
        for stray in range(3)
    ]
    rows.append(make_row({"references": "weak", "n": 10_000}, {"peak_rss_bytes": 1}, status="crash"))
    rows.append(
        make_row(
            {"references": "weak", "n": 10_000}, {"wall_seconds": 0.5}, measure="timed", constants={"T": 10}
        )
    )
    return Results(
        "loop", rows, lambda key: {"of": np.array([ord(key[-1])])}, {"references": ["weak", "strong"]}
    )


def test_failed_trials_are_apart_and_give_no_numbers(results):
    assert [row.status for row in results.failed] == ["crash"]
    assert len(results.frame) == len(results.rows) == 13
    assert results.at("peak_rss_bytes", "resident", references="weak", n=10_000).count == 3


def test_what_varies_is_told_from_what_does_not(results):
    assert results.factors == ("references", "n")
    assert results.constants == ("T",)
    assert results.varying == ("references", "n")
    assert results.measures == ("resident", "timed")


def test_levels_are_in_order_numbers_by_size_others_as_declared(results):
    assert results.levels("n") == (10_000, 100_000)
    assert results.levels("references") == ("weak", "strong")
    assert [tuple(levels.values()) for levels in results.combinations] == [
        ("weak", 10_000),
        ("weak", 100_000),
        ("strong", 10_000),
        ("strong", 100_000),
    ]


def test_a_cell_is_the_median_of_its_replicates(results):
    cells = results.cells("peak_rss_bytes", "resident")
    assert [cell.levels for cell in cells] == list(results.combinations)
    assert cells[0].estimate == median([80_000, 80_001, 80_002])
    assert cells[0].trial.metrics["peak_rss_bytes"] == 80_001
    assert len(cells[0].keys) == 3
    assert cells[0].identity == (("references", "weak"), ("n", 10_000))


def test_cells_can_be_chosen_and_told_apart_by_some_factors(results):
    cells = results.cells("peak_rss_bytes", "resident", by=["n"], where={"references": "weak"})
    assert [cell.levels for cell in cells] == [{"n": 10_000}, {"n": 100_000}]
    some = results.cells("peak_rss_bytes", "resident", where={"n": [100_000, 7]})
    assert [cell.levels["references"] for cell in some] == ["weak", "strong"]


def test_trials_of_different_levels_never_share_a_cell(results):
    with pytest.raises(ValueError, match="different references"):
        results.cells("peak_rss_bytes", "resident", by=["n"])
    with pytest.raises(ValueError, match="different n"):
        results.at("peak_rss_bytes", "resident", references="weak")


def test_a_name_that_is_no_factor_is_refused_with_those_that_are(results):
    for ask in (
        lambda: results.levels("m"),
        lambda: results.cells("peak_rss_bytes", "resident", by=["m"]),
        lambda: results.at("peak_rss_bytes", "resident", m=1),
    ):
        with pytest.raises(ValueError, match=r"no factor 'm', but references, n, T"):
            ask()


def test_what_no_trial_has_is_none_or_empty(results):
    assert results.at("peak_rss_bytes", "resident", references="weak", n=1) is None
    assert results.at("no_such_bytes", "resident", references="weak", n=10_000) is None
    assert results.cells("peak_rss_bytes", "traced") == ()
    assert results.readings("peak_rss_bytes", "traced") == ()


def test_readings_are_those_of_every_replicate(results):
    assert results.readings("peak_rss_bytes", "resident", references="weak", n=10_000) == (
        80_000,
        80_001,
        80_002,
    )


def test_series_are_those_of_the_trial(results):
    (cell,) = results.cells("wall_seconds", "timed")
    assert results.series(cell.trial)["of"] == [ord(cell.trial.key[-1])]


def test_true_is_no_one(make_row):
    rows = [make_row({"retain_grad": level}, {"x_count": int(level)}) for level in (False, True)]
    results = Results("loop", rows, _no_series)
    assert results.levels("retain_grad") == (False, True)
    assert results.at("x_count", "resident", retain_grad=True).median == 1
    assert results.at("x_count", "resident", retain_grad=1) is None


def test_an_experiment_without_factors_has_one_cell(make_row):
    results = Results("loop", [make_row({}, {"x_count": 3})], _no_series)
    (cell,) = results.cells("x_count", "resident")
    assert (cell.levels, cell.estimate) == ({}, Estimate(3, None, None, 1))
    assert results.at("x_count", "resident").median == 3


def test_an_experiment_of_failures_alone_has_no_cell(make_row):
    results = Results("loop", [make_row({"n": 1}, {}, status="timeout")], _no_series)
    assert results.varying == () and results.measures == () and results.combinations == ()
    assert results.cells("x_count", "resident") == ()
    assert len(results.frame) == 0


def test_a_factor_that_older_trials_do_not_know_tells_them_from_newer_ones(make_row):
    rows = [make_row({}, {"x_count": 1}), make_row({"gc": "off"}, {"x_count": 2})]
    results = Results("loop", rows, _no_series)
    assert results.levels("gc") == ("not set", "off")
    assert [cell.estimate.median for cell in results.cells("x_count", "resident")] == [1, 2]


def test_readings_come_in_the_order_in_which_their_trials_ran(make_row):
    rows = [
        replace(
            make_row({}, {"wall_seconds": float(begun)}, replicate=number, measure="timed"), started_at=begun
        )
        for number, begun in enumerate((3.0, 1.0, 2.0))
    ]
    assert Results("loop", rows, _no_series, {}).readings("wall_seconds", "timed") == (1.0, 2.0, 3.0)
