"""What a workload would need under every mode, from few runs of it."""

import gc
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.analysis.rehearsal import NotPredictedError, Rehearsal, WorkloadRaisedError
from toolkit.analysis.simulation import Simulated
from toolkit.core.config import Config
from toolkit.experiment import Experiment
from toolkit.factors import check_levels
from toolkit.planning import plan
from toolkit.trials import Level
from toolkit.trials.collecting import policy_of
from toolkit.trials.levels import toggle_levels, workload_levels
from toolkit.usage import UsageError

__all__ = ["Predicted", "predict"]

_Toggles = Mapping[str, Level]
#: Levels of `gc` that are always told, beside those of the experiment.
_COLLECTOR = ("default", "off")


@dataclass(frozen=True)
class Predicted:
    """One cell of an experiment under one mode.

    Attributes
    ----------
    levels : mapping of str to level
        What the workload was given.
    toggles : mapping of str to level
        Those that differ from the default of the core.
    gc : str or None
        The level of the factor; None where nothing waits for the collector, so that every level comes to the same.
    simulated : Simulated or None
        Peak and end, in bytes of array data.
    reason : str
        Why there is no prediction.
    """

    levels: Mapping[str, Level]
    toggles: _Toggles
    gc: str | None
    simulated: Simulated | None
    reason: str = ""


def predict(
    experiment: Experiment, profile: str, overrides: Mapping[str, Sequence[Level]]
) -> Iterator[Predicted]:
    """Run the workload with each combination of the levels that reach it, and simulate every mode.

    The modes are the default of the core, each toggle at each other level, and the combinations of toggles that the
    experiment or `overrides` ask for; where something waits for the collector, each of them under every level of
    `gc` that either names, the default and off. One run serves all of them but for `saves` and `storage`, which
    decide what a gradient is computed from, and where `Recording` says so. What a workload prints, or warns of, is
    dropped.

    Parameters
    ----------
    experiment : Experiment
        What to predict.
    profile : {"smoke", "default", "full"}
        Whose levels.
    overrides : mapping of str to sequence of levels
        In place of the profile's; toggles and `gc` also where the experiment has no such factor.

    Raises
    ------
    UsageError
        See `planning.plan`; or the workload raises, or does what is not simulated.
    """
    known = {*experiment.factors, *experiment.constants}
    own = {name: levels for name, levels in overrides.items() if name in {*Config.levels(), "gc"} - known}
    for name, levels in own.items():
        check_levels(experiment, name, levels)
    rest = {name: levels for name, levels in overrides.items() if name not in own}
    asked = [dict(zip(own, levels, strict=True)) for levels in itertools.product(*own.values())]
    cells: dict[tuple[tuple[str, Level], ...], list[dict[str, Level]]] = {}
    for trial in plan(experiment, profile, rest, replicates=1):
        trial_levels = {**trial.constants, **trial.factors}
        modes = cells.setdefault(tuple(workload_levels(trial_levels).items()), [])
        modes += [{**trial_levels, **one} for one in asked]
    for cell, modes in cells.items():
        policies = dict.fromkeys(str(mode["gc"]) for mode in modes if "gc" in mode)
        yield from _predicted(
            experiment,
            dict(cell),
            _changes([toggle_levels(mode) for mode in modes]),
            [*policies] if "gc" in overrides else [*dict.fromkeys((*_COLLECTOR, *policies))],
        )


def _changes(asked: Sequence[_Toggles]) -> list[_Toggles]:
    """Return what to change of the default: nothing, one toggle at a time, and what is asked for."""
    default = Config()
    singles = [
        {name: level}
        for name, levels in Config.levels().items()
        for level in levels
        if level != getattr(default, name)
    ]
    changes: list[Any] = [{}, *singles]
    for toggles in asked:
        changed = {
            name: toggles[name]
            for name in Config.levels()
            if name in toggles and toggles[name] != getattr(default, name)
        }
        if changed not in changes:
            changes.append(changed)
    return changes


def _predicted(
    experiment: Experiment, levels: Mapping[str, Level], changes: Sequence[_Toggles], policies: Sequence[str]
) -> Iterator[Predicted]:
    """Yield what each change of the toggles comes to, under each level of `gc` where that matters."""
    rehearsal = Rehearsal(experiment.workload, levels, experiment.seed)
    try:
        rehearsal.recording({})
    except (NotPredictedError, WorkloadRaisedError) as problem:
        raise UsageError(f"{experiment.name}: the workload cannot be predicted: {problem}") from problem
    thresholds = gc.get_threshold()
    for toggles in changes:
        try:
            without = rehearsal.simulated(toggles, policy_of("off"), thresholds)
            if not without.has_cycles and not rehearsal.recording(toggles).has_own_cycles:
                yield Predicted(levels, toggles, None, without)
                continue
        except (NotPredictedError, WorkloadRaisedError) as problem:
            yield Predicted(levels, toggles, None, None, str(problem))
            continue
        for level in policies:
            try:
                simulated = rehearsal.simulated(toggles, policy_of(level), thresholds)
                yield Predicted(levels, toggles, level, simulated)
            except (NotPredictedError, WorkloadRaisedError) as problem:
                yield Predicted(levels, toggles, level, None, str(problem))
