"""From a declaration to its trials: the profile applied, every level checked before anything runs."""

import ast
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from toolkit.core.config import Config
from toolkit.experiment import Experiment
from toolkit.trials import MEASURES, Level, Trial
from toolkit.trials.child import load_script
from toolkit.trials.code import code_digest
from toolkit.trials.collecting import GC_LEVELS
from toolkit.trials.environment import MALLOC_LEVELS, interpreter

__all__ = ["PROFILES", "UsageError", "experiment_scripts", "load_experiment", "parse_levels", "plan"]

PROFILES = ("smoke", "default", "full")


class UsageError(Exception):
    """What was asked for cannot be; the message is one line that names what is valid."""


def experiment_scripts() -> dict[str, Path]:
    """Return the scripts of the folder ``experiments``, here or beside the package, by name."""
    folders = (Path.cwd(), Path(__file__).resolve().parents[1])
    scripts: dict[str, Path] = {}
    for folder in folders:
        for script in sorted((folder / "experiments").glob("[!_]*.py")):
            scripts.setdefault(script.stem, script)
    return scripts


def load_experiment(name: str) -> Experiment:
    """Return the experiment of that name, or the one that the script at that path declares.

    Raises
    ------
    UsageError
        When there is none, or its script cannot be imported.
    """
    scripts = experiment_scripts()
    path = scripts.get(name, Path(name))
    if name not in scripts and (path.suffix != ".py" or not path.is_file()):
        known = ", ".join(scripts) or "none here"
        raise UsageError(f"unknown experiment {name!r}; give a script, or one of: {known}")
    try:
        return load_script(path.resolve())
    except Exception as problem:
        reason = f"{type(problem).__name__}: {problem}".splitlines()[0]
        raise UsageError(f"{path} cannot be used: {reason}") from problem


def parse_levels(text: str) -> tuple[str, tuple[Level, ...]]:
    """Return what ``FACTOR=A,B`` says. A level that reads as a number or true or false is one.

    Raises
    ------
    UsageError
        When it does not have that form.
    """
    name, equals, levels = text.partition("=")
    if not name or not equals or not levels:
        raise UsageError(f"--set takes FACTOR=LEVEL,LEVEL, not {text!r}")
    return name.strip(), tuple(_parse_level(level.strip()) for level in levels.split(","))


def _parse_level(text: str) -> Level:
    try:
        level = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False}.get(text, text)
    return level if isinstance(level, bool | int | float) else text


def plan(
    experiment: Experiment,
    profile: str = "default",
    overrides: Mapping[str, Sequence[Level]] | None = None,
    replicates: int | None = None,
) -> list[Trial]:
    """Return the trials of every cell in every measure, replicate by replicate.

    Parameters
    ----------
    experiment : Experiment
        What to plan.
    profile : {"smoke", "default", "full"}
        How thorough.
    overrides : mapping of str to sequence of levels, optional
        Levels that take the place of the profile's. A constant that is named becomes a factor.
    replicates : int, optional
        How often each cell is run in each measure, in place of the profile's numbers.

    Raises
    ------
    UsageError
        When a profile, factor or level is unknown, two levels are equal, or no cell is left.
    """
    if profile not in PROFILES:
        raise UsageError(f"unknown profile {profile!r}; the profiles are {', '.join(PROFILES)}")
    design = _design(experiment, profile, overrides or {})
    _check(experiment, design)
    digest = code_digest(experiment)
    repeats = {measure: replicates or design.replicates.get(measure, 1) for measure in design.measures}
    trials = [
        Trial(
            experiment=experiment.name,
            script=str(experiment.script),
            factors=cell,
            constants=design.constants,
            measure=measure,
            replicate=replicate,
            seed=experiment.seed,
            deadline_seconds=experiment.deadline_seconds,
            code_digest=digest,
        )
        for cell in design.cells(experiment)
        for measure in MEASURES
        if measure in design.measures
        for replicate in range(repeats[measure])
    ]
    if not trials:
        raise UsageError(f"{experiment.name}: no cell is left with these levels")
    return trials


@dataclass(frozen=True)
class _Design:
    factors: Mapping[str, tuple[Level, ...]]
    constants: Mapping[str, Level]
    measures: tuple[str, ...]
    replicates: Mapping[str, int]

    def cells(self, experiment: Experiment) -> Iterable[dict[str, Level]]:
        for levels in itertools.product(*self.factors.values()):
            cell = dict(zip(self.factors, levels, strict=True))
            if experiment.where is None or experiment.where({**self.constants, **cell}):
                yield cell


def _design(experiment: Experiment, profile: str, overrides: Mapping[str, Sequence[Level]]) -> _Design:
    factors = {name: tuple(levels) for name, levels in experiment.factors.items()}
    constants = dict(experiment.constants)
    replicates: Mapping[str, int] = experiment.replicates
    measures: tuple[str, ...] = tuple(experiment.measures)
    changes: dict[str, Any] = {**experiment.profiles.get(profile, {})}
    replicates = {**replicates, **changes.pop("replicates", {})}
    measures = tuple(changes.pop("measures", measures))
    for name, levels in {**changes, **overrides}.items():
        if name not in factors and name not in constants:
            raise UsageError(
                f"{experiment.name} has no factor {name!r}; it has {', '.join([*factors, *constants])}"
            )
        constants.pop(name, None)
        factors[name] = tuple(levels)
    return _Design(factors, constants, measures, replicates)


def _check(experiment: Experiment, design: _Design) -> None:
    for measure in design.measures:
        if measure not in MEASURES:
            raise UsageError(
                f"{experiment.name}: unknown measure {measure!r}; there are {', '.join(MEASURES)}"
            )
    for name, level in design.constants.items():
        _check_levels(experiment, name, (level,))
    for name, levels in design.factors.items():
        _check_levels(experiment, name, levels)


def _check_levels(experiment: Experiment, name: str, levels: Sequence[Level]) -> None:
    if not levels:
        raise UsageError(f"{experiment.name}: factor {name!r} has no level")
    for level in levels:
        if not isinstance(level, bool | int | float | str):
            raise UsageError(
                f"{experiment.name}: a level is a bool, an int, a float or a str, "
                f"and {name!r} has {level!r}, of type {type(level).__name__}"
            )
    for first, second in itertools.combinations(levels, 2):
        if first == second:
            raise UsageError(f"{experiment.name}: {name} has two equal levels, {first!r} and {second!r}")
    known = _known_levels(experiment, name)
    for level in levels:
        if known is not None and not any(type(level) is type(one) and level == one for one in known):
            valid = ", ".join(json.dumps(one) if isinstance(one, bool) else str(one) for one in known)
            raise UsageError(f"{experiment.name}: {name} has no level {level!r}; its levels are {valid}")
    if known is None and name == "python":
        _check_interpreters(experiment, levels)
    elif known is None:
        _check_kind(experiment, name, levels)


def _known_levels(experiment: Experiment, name: str) -> tuple[object, ...] | None:
    environment: dict[str, Iterable[object]] = {
        "gc": GC_LEVELS,
        "malloc": MALLOC_LEVELS,
        "engine": _engines(),
        **Config.levels(),
    }
    if name in environment:
        return tuple(environment[name])
    declared = experiment.factors.get(name, ())
    return tuple(declared) if declared and all(isinstance(level, str | bool) for level in declared) else None


def _engines() -> list[str]:
    spec = find_spec("toolkit.engines")
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    return sorted(script.stem for folder in folders for script in Path(folder).glob("[!_]*.py"))


def _check_interpreters(experiment: Experiment, levels: Sequence[Level]) -> None:
    for level in levels:
        try:
            interpreter({"python": level})
        except FileNotFoundError as problem:
            raise UsageError(f"{experiment.name}: {problem}") from None


def _check_kind(experiment: Experiment, name: str, levels: Sequence[Level]) -> None:
    declared = [
        *experiment.factors.get(name, ()),
        *([experiment.constants[name]] if name in experiment.constants else []),
    ]
    whole = all(isinstance(level, int) and not isinstance(level, bool) for level in declared)
    numbers = all(isinstance(level, int | float) and not isinstance(level, bool) for level in declared)
    for level in levels:
        is_int = isinstance(level, int) and not isinstance(level, bool)
        is_number = is_int or isinstance(level, float)
        if declared and ((whole and not is_int) or (numbers and not is_number)):
            kind = "whole numbers" if whole else "numbers"
            raise UsageError(
                f"{experiment.name}: {name} takes {kind}, such as {declared[0]}, and not {level!r}"
            )
