"""The key of a trial: it tells apart what may differ, and nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.trials import MEASURES, Trial

TRIAL = Trial(
    experiment="step17",
    script="experiments/step17.py",
    factors={"n": 1, "gc": "off"},
    constants={"iterations": 10},
    measure="resident",
    replicate=0,
    seed=0,
    deadline_seconds=60.0,
    code_digest="c0de",
)


def test_the_key_is_a_digest():
    assert len(TRIAL.key) == 64
    assert set(TRIAL.key) <= set("0123456789abcdef")
    assert replace(TRIAL).key == TRIAL.key


@pytest.mark.parametrize(
    "same",
    [
        {"script": "/elsewhere/step17.py"},
        {"deadline_seconds": 5.0},
        {"factors": {"gc": "off", "n": 1}},
        {"factors": {"n": 1, "gc": "off", "iterations": 10}, "constants": {}},
        {"factors": {"n": 1}, "constants": {"gc": "off", "iterations": 10}},
    ],
    ids=lambda same: "-".join(same),
)
def test_path_and_deadline_do_not_count_nor_order_nor_which_levels_are_factors(same):
    assert replace(TRIAL, **same).key == TRIAL.key


@pytest.mark.parametrize(
    "other",
    [
        {"experiment": "step18"},
        {"factors": {"n": 2, "gc": "off"}},
        {"factors": {"n": 1}},
        {"constants": {"iterations": 11}},
        {"constants": {"iterations": 10, "k": 3}},
        {"measure": "traced"},
        {"replicate": 1},
        {"seed": 1},
        {"code_digest": "c0df"},
    ],
    ids=lambda other: "-".join(other),
)
def test_everything_else_counts(other):
    assert replace(TRIAL, **other).key != TRIAL.key


def test_equal_levels_of_other_types_are_other_levels():
    levels = [1, 1.0, True, "1", "1.0", "true", 0, -0.0, 0.0, False, ""]
    keys = {replace(TRIAL, factors={"n": level}).key for level in levels}
    assert len(keys) == len(levels)


@given(
    st.dictionaries(st.text(), st.booleans() | st.integers() | st.floats() | st.text(), max_size=4),
    st.randoms(),
)
def test_any_levels_have_a_key_that_no_order_changes(levels, random):
    shuffled = list(levels.items())
    random.shuffle(shuffled)
    assert replace(TRIAL, factors=levels).key == replace(TRIAL, factors=dict(shuffled)).key


def test_the_measures_are_six():
    assert MEASURES == ("resident", "traced", "timed", "ledger", "lines", "profiled")
