"""From a name to the trials of an experiment: its script found, a profile applied, every level checked."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.experiment import Experiment, check_repeats
from toolkit.factors import check_levels
from toolkit.grid import Design, Grid
from toolkit.trials import Level
from toolkit.trials.code import code_digest
from toolkit.trials.environment import can_import, interpreter
from toolkit.trials.levels import workload_levels
from toolkit.trials.script import load_script
from toolkit.usage import UsageError, meant, reason_of

__all__ = ["PROFILES", "experiment_scripts", "load_experiment", "plan", "skipped_levels"]

PROFILES = ("smoke", "default", "full")


def experiment_scripts() -> dict[str, Path]:
    """Return the scripts of ``experiments``, here or beside the package, by name: the book's steps come first."""
    folders = (Path.cwd(), Path(__file__).resolve().parents[1])
    scripts: dict[str, Path] = {}
    for folder in folders:
        for script in sorted((folder / "experiments").glob("[!_]*.py"), key=_place):
            scripts.setdefault(script.stem, script)
    return scripts


def _place(script: Path) -> tuple[bool, str]:
    return not script.stem.startswith("step"), script.stem


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
        raise UsageError(
            f"unknown experiment {name!r}{meant(name, scripts)}; give a script, or one of: {known}"
        )
    try:
        return load_script(path.resolve())
    except (Exception, SystemExit) as problem:
        raise UsageError(f"{path} cannot be used: {reason_of(problem)}") from problem


def plan(
    experiment: Experiment,
    profile: str = "default",
    overrides: Mapping[str, Sequence[Level]] | None = None,
    replicates: int | None = None,
) -> Grid:
    """Return the trials of every cell in every measure, replicate by replicate, to be iterated over at will.

    Cells with a level that this machine cannot run are left out, and all of them where it lacks a package that no
    trial can do without: `skipped_levels` tells of them. However many trials there are, they take no memory before
    they are asked for.

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
        When a profile, factor or level is unknown, two levels are equal, an interpreter cannot run trials, or no
        cell is left.
    """
    if profile not in PROFILES:
        near = meant(profile, PROFILES)
        raise UsageError(f"unknown profile {profile!r}{near}; the profiles are {', '.join(PROFILES)}")
    design = _design(experiment, profile, overrides or {})
    _check(design)
    grid = Grid(design, code_digest(experiment), replicates)
    if not grid and not design.lacking():
        why = "; ".join(f"{level}: {reason}" for level, reason in design.skipped().items())
        raise UsageError(f"{experiment.name}: no cell is left with these levels{why and f' ({why})'}")
    return grid


def skipped_levels(
    experiment: Experiment,
    profile: str = "default",
    overrides: Mapping[str, Sequence[Level]] | None = None,
) -> dict[str, str]:
    """Return the levels of a plan that this machine cannot run, as "factor=level", each with the reason.

    Where no trial of the experiment can run that is told instead, as "all trials".
    """
    design = _design(experiment, profile, overrides or {})
    return design.lacking() or design.skipped()


def _design(experiment: Experiment, profile: str, overrides: Mapping[str, Sequence[Level]]) -> Design:
    for name in experiment.profiles:
        if name not in PROFILES:
            raise UsageError(
                f"{experiment.name} declares a profile {name!r}; the profiles are {', '.join(PROFILES)}"
            )
    factors = {name: _listed(experiment, name, levels) for name, levels in experiment.factors.items()}
    constants = dict(experiment.constants)
    if both := factors.keys() & constants.keys():
        raise UsageError(f"{experiment.name}: {min(both)} is both a factor and a constant")
    changes: dict[str, Any] = {**experiment.profiles.get(profile, {})}
    replicates = {**experiment.replicates, **changes.pop("replicates", {})}
    measures = tuple(changes.pop("measures", experiment.measures))
    for name, levels in {**changes, **overrides}.items():
        if name not in factors and name not in constants:
            known = ", ".join([*factors, *constants]) or "none"
            near = meant(name, [*factors, *constants])
            raise UsageError(f"{experiment.name} has no factor {name!r}{near}; it has {known}")
        if name in constants and isinstance(levels, Level):
            constants[name] = levels
        else:
            constants.pop(name, None)
            factors[name] = _listed(experiment, name, levels)
    return Design(experiment, factors, constants, measures, replicates)


def _listed(experiment: Experiment, name: str, levels: object) -> tuple[Level, ...]:
    if isinstance(levels, str) or not isinstance(levels, Iterable):
        raise UsageError(f"{experiment.name}: {name} needs a list of levels, as in [{levels!r}]")
    return tuple(levels)


def _check(design: Design) -> None:
    experiment = design.experiment
    try:
        check_repeats(design.measures, design.replicates)
    except ValueError as problem:
        raise UsageError(f"{experiment.name}: {problem}") from None
    for name, level in design.constants.items():
        check_levels(experiment, name, (level,))
    for name, levels in design.factors.items():
        check_levels(experiment, name, levels)
    _check_signature(experiment, [*design.factors, *design.constants])
    if "profiled" in design.measures:
        _check_profiler(design)


def _check_signature(experiment: Experiment, names: Iterable[str]) -> None:
    signature = inspect.signature(experiment.workload)
    try:
        signature.bind(None, **workload_levels(dict.fromkeys(names, 0)))
    except TypeError as problem:
        raise UsageError(
            f"{experiment.name}: workload{signature} cannot be called with a trial and these levels: {problem}"
        ) from None


def _check_profiler(design: Design) -> None:
    profiled = (cell for _, cell, measure in design.cells() if measure == "profiled")
    for level in dict.fromkeys({**design.constants, **cell}.get("python", "this") for cell in profiled):
        if not can_import(interpreter({"python": level}), "memory_profiler"):
            raise UsageError(
                f"{design.experiment.name}: the measure profiled runs memory_profiler, which {level} cannot import"
            )
