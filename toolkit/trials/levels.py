"""Where the levels of a trial go: to the toggles of the core, to its environment, or to its workload."""

import sys
from collections.abc import Mapping

from toolkit.core.config import Config
from toolkit.trials import Level

__all__ = ["ENVIRONMENT_FACTORS", "PYTHONS", "THIS_PYTHON", "toggle_levels", "workload_levels"]

#: Factors that set the environment of a trial.
ENVIRONMENT_FACTORS = ("gc", "malloc", "python", "engine")

#: The version of the running interpreter, as a level of the factor `python`.
THIS_PYTHON = "{}.{}".format(*sys.version_info)

#: The versions that conclusions are held against, and the running one: an experiment that compares interpreters
#: names these, so that a level means the same interpreter whichever of them runs the bench.
PYTHONS = tuple(dict.fromkeys(("3.11", "3.12", "3.13", THIS_PYTHON)))


def toggle_levels(levels: Mapping[str, Level]) -> dict[str, Level]:
    """Return the levels that set toggles of `Config`, by name."""
    toggles = Config.levels()
    return {name: level for name, level in levels.items() if name in toggles}


def workload_levels(levels: Mapping[str, Level]) -> dict[str, Level]:
    """Return the levels that reach the workload, by keyword."""
    elsewhere = {*Config.levels(), *ENVIRONMENT_FACTORS}
    return {name: level for name, level in levels.items() if name not in elsewhere}
