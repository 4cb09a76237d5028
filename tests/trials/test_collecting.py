"""The factor gc, and that the collector is afterwards what it was."""

import gc

import pytest

from toolkit.trials.collecting import GC_LEVELS, collecting, policy_of


@pytest.mark.parametrize(("level", "enabled"), [("default", True), ("off", False)])
@pytest.mark.parametrize("before", [True, False], ids=["on before", "off before"])
def test_a_level_holds_inside_the_block_alone(level, enabled, before):
    (gc.enable if before else gc.disable)()
    thresholds = gc.get_threshold()
    try:
        with collecting(level):
            assert gc.isenabled() is enabled
            assert gc.get_threshold() == thresholds
        assert gc.isenabled() is before
    finally:
        gc.enable()


def test_a_workload_cannot_change_it_for_good():
    thresholds = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), collecting("off"):
        gc.enable()
        gc.set_threshold(5, 5, 5)
        raise ZeroDivisionError
    assert gc.isenabled()
    assert gc.get_threshold() == thresholds


def test_a_threshold_is_that_of_the_youngest_generation_alone():
    _, *older = gc.get_threshold()
    with collecting("threshold=123"):
        assert gc.isenabled()
        assert gc.get_threshold() == (123, *older)


@pytest.mark.parametrize("level", ["manual", "every=3"])
def test_what_collects_at_steps_leaves_nothing_to_python(level):
    with collecting(level):
        assert not gc.isenabled()


def test_frozen_objects_are_thawed_again_also_after_an_error():
    with collecting("frozen"):
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0
    with pytest.raises(ZeroDivisionError), collecting("frozen"):
        raise ZeroDivisionError
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize(
    ("level", "collected_after"),
    [
        ("default", []),
        ("off", []),
        ("frozen", []),
        ("threshold=5", []),
        ("manual", [7]),
        ("every=1", [1, 2, 3, 4, 5, 6, 7]),
        ("every=3", [3, 6]),
        ("every=7", [7]),
        ("every=8", []),
    ],
)
def test_each_level_collects_after_its_steps(monkeypatch, level, collected_after):
    seen = []
    monkeypatch.setattr(gc, "collect", lambda: seen.append(step + 1))
    for step in range(7):
        policy_of(level).end_step(step, 7)
    assert seen == collected_after


@pytest.mark.parametrize(
    "level",
    [
        "on",
        "threshold",
        "threshold=",
        "threshold=0",
        "threshold=-1",
        "threshold=1.5",
        "threshold=0100",
        "threshold=\N{ARABIC-INDIC DIGIT ONE}",
        "threshold=2147483648",
        "every=0",
        "every=x",
        "every =3",
        "manual=1",
        "",
        3,
        True,
        None,
    ],
)
def test_what_is_no_level_is_refused_with_the_forms(level):
    with pytest.raises(
        ValueError, match=r"its levels are default, off, frozen, manual, threshold=N, every=K, N"
    ):
        policy_of(level)


def test_the_largest_threshold_can_be_set():
    with collecting("threshold=2147483647"):
        assert gc.get_threshold()[0] == 2**31 - 1


def test_every_level_is_told_of():
    for form in GC_LEVELS:
        assert policy_of(form.replace("=N", "=9").replace("=K", "=9"))
    assert all(GC_LEVELS.values())
