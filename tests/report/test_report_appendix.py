"""The words of the appendix tell what the code does."""

import importlib

import pytest

from toolkit.analysis import statistics
from toolkit.analysis.observing import Observed
from toolkit.core.config import Config
from toolkit.report import appendix


@pytest.fixture
def glossary():
    """Return a function that tells the glossary as it is now."""
    yield lambda: dict(importlib.reload(appendix).GLOSSARY)
    importlib.reload(appendix)


def test_what_intervals_cover_is_told(glossary):
    assert "over 6 replicates or more" in glossary()["interval"]
    assert "50 % for 2 readings, 75 % for 3, 87.5 % for 4 and 93.8 % for 5" in glossary()["range"]
    assert "covers the true median with 95 % or more" in glossary()["interval"]


def test_what_intervals_cover_is_what_the_statistics_say(glossary, monkeypatch):
    monkeypatch.setattr(statistics, "CONFIDENCE", 0.8)
    told = glossary()
    assert "50 % for 2 readings and 75 % for 3" in told["range"]
    assert "over 4 replicates or more" in told["interval"]
    assert "covers the true median with 80 % or more" in told["interval"]


def test_every_toggle_of_the_core_is_explained_with_its_levels():
    told = dict(appendix.GLOSSARY)
    for toggle, levels in Config.levels().items():
        for level in levels:
            assert isinstance(level, bool) or level in told[toggle], (toggle, level)


def test_a_watcher_from_outside_changes_nothing_and_of_a_probe_that_never_ran_nothing_is_known():
    effects = {one.probe: dict(one.rows)["observer effect"] for one in appendix.methods(Observed())}
    assert effects.pop("sampled") == "from outside: nothing"
    assert {told.partition(":")[0] for told in effects.values()} == {"not known"}
