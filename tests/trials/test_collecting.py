"""The factor gc, and that the collector is afterwards what it was."""

import gc

import pytest

from toolkit.trials.collecting import GC_LEVELS, collecting


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


def test_every_level_is_told_of():
    assert set(GC_LEVELS) == {"default", "off"}
    assert all(GC_LEVELS.values())
