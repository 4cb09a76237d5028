"""What the levels of a factor may be: as they are typed, and as an experiment, the core and the machine allow."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from toolkit.core.config import Config
from toolkit.experiment import Experiment
from toolkit.trials import Level
from toolkit.trials.allocating import MALLOC_LEVELS
from toolkit.trials.collecting import GC_LEVELS, policy_of
from toolkit.trials.environment import interpreter, is_version, obstacle_to_trials, obstacle_to_version
from toolkit.usage import UsageError, meant

__all__ = ["check_levels", "parse_levels"]


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
            told = f"{level!r}{meant(level, valid)}; its levels are {', '.join(valid)}"
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
            raise UsageError(f"{experiment.name}: {problem}{meant(level, GC_LEVELS)}") from None


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
