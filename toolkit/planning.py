"""From a declaration to its trials: the profile applied, every level checked before anything runs."""

import inspect
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from toolkit.core.config import Config
from toolkit.experiment import Experiment, check_repeats
from toolkit.trials import MEASURES, Level, Measure, Trial
from toolkit.trials.allocating import MALLOC_LEVELS, obstacle_to_malloc
from toolkit.trials.code import code_digest
from toolkit.trials.collecting import GC_LEVELS, policy_of
from toolkit.trials.environment import (
    can_import,
    interpreter,
    is_version,
    obstacle_to_trials,
    obstacle_to_version,
)
from toolkit.trials.levels import workload_levels
from toolkit.trials.script import load_script

__all__ = [
    "PROFILES",
    "Grid",
    "UsageError",
    "check_levels",
    "experiment_scripts",
    "load_experiment",
    "parse_levels",
    "plan",
    "skipped_levels",
]

PROFILES = ("smoke", "default", "full")


class UsageError(Exception):
    """What was asked for cannot be; the message is one line that names what is valid."""


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
            f"unknown experiment {name!r}{_meant(name, scripts)}; give a script, or one of: {known}"
        )
    try:
        return load_script(path.resolve())
    except (Exception, SystemExit) as problem:
        raise UsageError(f"{path} cannot be used: {_reason(problem)}") from problem


def _meant(word: object, known: Iterable[object]) -> str:
    """Return the known word that comes near, as a question to put after the one that is not known."""
    near = get_close_matches(str(word), [str(one) for one in known], n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _reason(problem: BaseException) -> str:
    return f"{type(problem).__name__}: {problem}".splitlines()[0]


def parse_levels(text: str) -> tuple[str, tuple[Level, ...]]:
    """Return what ``FACTOR=A,B`` says. A level that reads as a number or true or false is one, but for versions.

    Raises
    ------
    UsageError
        When it does not have that form.
    """
    name, equals, levels = text.partition("=")
    if not name or not equals or not levels:
        raise UsageError(f"--set takes FACTOR=LEVEL,LEVEL, not {text!r}")
    name, texts = name.strip(), [level.strip() for level in levels.split(",")]
    return name, tuple(texts if name == "python" else map(_parse_level, texts))


def _parse_level(text: str) -> Level:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def plan(
    experiment: Experiment,
    profile: str = "default",
    overrides: Mapping[str, Sequence[Level]] | None = None,
    replicates: int | None = None,
) -> "Grid":
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
        meant = _meant(profile, PROFILES)
        raise UsageError(f"unknown profile {profile!r}{meant}; the profiles are {', '.join(PROFILES)}")
    design = _design(experiment, profile, overrides or {})
    _check(experiment, design)
    grid = Grid(experiment, design, code_digest(experiment), replicates)
    if not grid and not _lacking(experiment):
        why = "; ".join(f"{level}: {reason}" for level, reason in _skipped(experiment, design).items())
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
    return _lacking(experiment) or _skipped(experiment, _design(experiment, profile, overrides or {}))


@dataclass(frozen=True)
class _Design:
    factors: Mapping[str, tuple[Level, ...]]
    constants: Mapping[str, Level]
    measures: tuple[Measure, ...]
    replicates: Mapping[Measure, int]

    def levels(self, name: str, default: Level) -> tuple[Level, ...]:
        return self.factors.get(name, (self.constants.get(name, default),))

    def cells(self, experiment: Experiment) -> Iterator[tuple[int, dict[str, Level], Measure]]:
        """Yield the place of each cell among all that could be, the cell, and each measure that is wanted of it."""
        if _lacking(experiment):
            return
        skipped = _skipped(experiment, self)
        for place, levels in enumerate(itertools.product(*self.factors.values())):
            cell = dict(zip(self.factors, levels, strict=True))
            if skipped and any(
                f"{name}={level}" in skipped for name, level in {**self.constants, **cell}.items()
            ):
                continue
            for measure in MEASURES:
                if measure in self.measures and self._wants(experiment, cell, measure):
                    yield place, cell, measure

    def cell(self, place: int) -> dict[str, Level]:
        """Return the cell at that place: the levels of the last factor change fastest."""
        chosen: list[Level] = []
        for levels in reversed([*self.factors.values()]):
            place, which = divmod(place, len(levels))
            chosen.append(levels[which])
        return dict(zip(self.factors, reversed(chosen), strict=True))

    def _wants(self, experiment: Experiment, cell: Mapping[str, Level], measure: Measure) -> bool:
        if experiment.where is None:
            return True
        try:
            return bool(experiment.where({"measure": measure, **self.constants, **cell}))
        except Exception as problem:
            raise UsageError(f"{experiment.name}: where fails for {cell}: {_reason(problem)}") from problem


class Grid:
    """The trials of an experiment, made anew each time they are iterated over, or one by its number.

    Parameters
    ----------
    experiment : Experiment
        What to plan.
    design : _Design
        Its levels and measures, checked.
    digest : str
        Of its code.
    replicates : int or None
        How often each cell is run in each measure, in place of the design's numbers.

    Raises
    ------
    UsageError
        When ``where`` fails for a cell.
    """

    def __init__(
        self, experiment: Experiment, design: _Design, digest: str, replicates: int | None = None
    ) -> None:
        self._experiment, self._design, self._digest = experiment, design, digest
        # To find the script is to ask the file system: once is enough for a million trials.
        self._name, self._script = experiment.name, str(experiment.script)
        self._repeats = {
            measure: replicates or design.replicates.get(measure, 1) for measure in design.measures
        }
        self._most_repeats = max(self._repeats.values())
        # Every cell is looked at once before anything runs: what fails for one of them fails here.
        self._length = sum(self._repeats[measure] for *_, measure in design.cells(experiment))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Trial]:
        for _, trial in self.numbered():
            yield trial

    @property
    def span(self) -> int:
        """What the numbers of all trials are below."""
        cells = math.prod(map(len, self._design.factors.values()))
        return cells * len(MEASURES) * self._most_repeats

    def numbered(self) -> Iterator[tuple[int, Trial]]:
        """Yield every trial with its number, in rising order; cells that are left out leave gaps."""
        for place, cell, measure in self._design.cells(self._experiment):
            first = (place * len(MEASURES) + MEASURES.index(measure)) * self._most_repeats
            for replicate in range(self._repeats[measure]):
                yield first + replicate, self._trial(cell, measure, replicate)

    def trial(self, number: int) -> Trial:
        """Return the trial that `numbered` gives that number."""
        rest, replicate = divmod(number, self._most_repeats)
        place, measure = divmod(rest, len(MEASURES))
        return self._trial(self._design.cell(place), MEASURES[measure], replicate)

    def _trial(self, cell: Mapping[str, Level], measure: Measure, replicate: int) -> Trial:
        return Trial(
            experiment=self._name,
            script=self._script,
            factors=cell,
            constants=self._design.constants,
            measure=measure,
            replicate=replicate,
            seed=self._experiment.seed,
            deadline_seconds=self._experiment.deadline_seconds,
            code_digest=self._digest,
            memory_limit_bytes=self._experiment.memory_limit_bytes,
        )


def _skipped(experiment: Experiment, design: _Design) -> dict[str, str]:
    reasons = {
        f"malloc={level}": obstacle_to_malloc(str(level)) for level in design.levels("malloc", "default")
    } | {
        f"python={level}": obstacle_to_version(str(level))
        for level in design.levels("python", "this")
        if is_version(level)
    }
    asked = [f"{name}={level}" for name, levels in design.factors.items() for level in levels]
    for level in asked:
        if package := experiment.needs.get(level):
            reasons[level] = _obstacle_to_package(package)
    return {level: reason for level, reason in reasons.items() if reason}


def _lacking(experiment: Experiment) -> dict[str, str]:
    """Return why no trial of the experiment can run, if so."""
    obstacle = next(filter(None, map(_obstacle_to_package, experiment.requires)), "")
    return {"all trials": obstacle} if obstacle else {}


@cache
def _obstacle_to_package(package: str) -> str:
    """Return why what a package brings is not here, and what would change that; nothing where it is installed."""
    try:
        distribution(package)
    except PackageNotFoundError:
        return f"not installed here; the Python package {package} brings it"
    return ""


def _design(experiment: Experiment, profile: str, overrides: Mapping[str, Sequence[Level]]) -> _Design:
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
            meant = _meant(name, [*factors, *constants])
            raise UsageError(f"{experiment.name} has no factor {name!r}{meant}; it has {known}")
        if name in constants and isinstance(levels, Level):
            constants[name] = levels
        else:
            constants.pop(name, None)
            factors[name] = _listed(experiment, name, levels)
    return _Design(factors, constants, measures, replicates)


def _listed(experiment: Experiment, name: str, levels: object) -> tuple[Level, ...]:
    if isinstance(levels, str) or not isinstance(levels, Iterable):
        raise UsageError(f"{experiment.name}: {name} needs a list of levels, as in [{levels!r}]")
    return tuple(levels)


def _check(experiment: Experiment, design: _Design) -> None:
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
        _check_profiler(experiment, design)


def _check_profiler(experiment: Experiment, design: _Design) -> None:
    profiled = (cell for _, cell, measure in design.cells(experiment) if measure == "profiled")
    for level in dict.fromkeys({**design.constants, **cell}.get("python", "this") for cell in profiled):
        if not can_import(interpreter({"python": level}), "memory_profiler"):
            raise UsageError(
                f"{experiment.name}: the measure profiled runs memory_profiler, which {level} cannot import"
            )


def _check_signature(experiment: Experiment, names: Iterable[str]) -> None:
    signature = inspect.signature(experiment.workload)
    try:
        signature.bind(None, **workload_levels(dict.fromkeys(names, 0)))
    except TypeError as problem:
        raise UsageError(
            f"{experiment.name}: workload{signature} cannot be called with a trial and these levels: {problem}"
        ) from None


def check_levels(experiment: Experiment, name: str, levels: Sequence[Level]) -> None:
    """Check the levels of a factor, which may be the experiment's own, a toggle or one of the environment.

    Raises
    ------
    UsageError
        When there is none, one is not valid, or two are equal.
    """
    if not levels:
        raise UsageError(f"{experiment.name}: factor {name!r} has no level")
    for level in levels:
        if not isinstance(level, Level):
            raise UsageError(
                f"{experiment.name}: a level is a bool, an int, a float or a str, "
                f"and {name!r} has {level!r}, of type {type(level).__name__}"
            )
        if not _is_finite(level):
            raise UsageError(
                f"{experiment.name}: {name} takes finite numbers of at most 64 bits, not {level}"
            )
    seen: dict[Level, Level] = {}
    for level in levels:
        first = seen.get(level)
        if first is not None:
            raise UsageError(f"{experiment.name}: {name} has two equal levels, {first!r} and {level!r}")
        seen[level] = level
    known = _known_levels(experiment, name)
    for level in levels:
        if known is not None and not any(type(level) is type(one) and level == one for one in known):
            valid = [json.dumps(one) if isinstance(one, bool) else str(one) for one in known]
            told = f"{level!r}{_meant(level, valid)}; its levels are {', '.join(valid)}"
            raise UsageError(f"{experiment.name}: {name} has no level {told}")
    if name == "gc":
        _check_policies(experiment, levels)
    elif name == "python":
        _check_interpreters(experiment, levels)
    elif known is None:
        _check_kind(experiment, name, levels)


def _is_finite(level: Level) -> bool:
    if isinstance(level, int):
        return -(2**63) <= level < 2**63
    return not isinstance(level, float) or math.isfinite(level)


def _known_levels(experiment: Experiment, name: str) -> tuple[object, ...] | None:
    environment: dict[str, Iterable[object]] = {
        "malloc": MALLOC_LEVELS,
        "engine": _engines(),
        **Config.levels(),
    }
    if name in environment:
        return tuple(environment[name])
    declared = _declared(experiment, name)
    if all(isinstance(level, bool) for level in declared):
        return (False, True)
    if (
        name in experiment.factors
        and name not in ("gc", "python")
        and all(isinstance(one, str) for one in declared)
    ):
        return tuple(dict.fromkeys(declared))
    return None


def _declared(experiment: Experiment, name: str) -> list[Level]:
    """Return the levels that the script names for a factor or a constant, in every profile."""
    places = [experiment.factors, experiment.constants, *experiment.profiles.values()]
    named = [place[name] for place in places if name in place]
    return [level for levels in named for level in ([levels] if isinstance(levels, Level) else levels)]


def _engines() -> list[str]:
    spec = find_spec("toolkit.engines")
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    return sorted(script.stem for folder in folders for script in Path(folder).glob("[!_]*.py"))


def _check_policies(experiment: Experiment, levels: Sequence[Level]) -> None:
    for level in levels:
        try:
            policy_of(level)
        except ValueError as problem:
            raise UsageError(f"{experiment.name}: {problem}{_meant(level, GC_LEVELS)}") from None


def _check_interpreters(experiment: Experiment, levels: Sequence[Level]) -> None:
    found: dict[str, Level] = {}
    for level in levels:
        if is_version(level) and obstacle_to_version(str(level)):
            continue  # it is skipped, with the reason
        try:
            path = interpreter({"python": level})
        except FileNotFoundError as problem:
            raise UsageError(f"{experiment.name}: {problem}") from None
        if path in found:
            raise UsageError(
                f"{experiment.name}: python={found[path]} and python={level} are one interpreter"
            )
        found[path] = level
        obstacle = obstacle_to_trials(path)
        if obstacle:
            raise UsageError(
                f"{experiment.name}: trials need Python 3.11 and numpy 2 or newer; {level} {obstacle}"
            )


def _check_kind(experiment: Experiment, name: str, levels: Sequence[Level]) -> None:
    declared = _declared(experiment, name)
    for kind, fits in _KINDS.items():
        if all(map(fits, declared)):
            for level in levels:
                if not fits(level):
                    raise UsageError(
                        f"{experiment.name}: {name} takes {kind}, such as {declared[0]}, and not {level!r}"
                    )
            return


def _is_whole(level: Level) -> bool:
    return isinstance(level, int) and not isinstance(level, bool)


def _is_number(level: Level) -> bool:
    return _is_whole(level) or isinstance(level, float)


#: What the levels of one factor can be, the narrowest first.
_KINDS: dict[str, Callable[[Level], bool]] = {
    "whole numbers": _is_whole,
    "numbers": _is_number,
    "text": lambda level: isinstance(level, str),
}
