"""What a workload would need under every mode, from one run of it."""

import gc
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from toolkit.analysis.simulation import Mode, Simulated, simulate
from toolkit.experiment import Experiment
from toolkit.planning import UsageError, plan
from toolkit.probes import Position
from toolkit.trials import Level
from toolkit.trials.levels import workload_levels
from toolkit.trials.recorder import Recorder, UnpredictableError, record
from toolkit.trials.recording import Recording, WentBack
from toolkit.trials.running import RunningTrial

__all__ = ["Predicted", "predict"]


@dataclass(frozen=True)
class Predicted:
    """One cell of an experiment under one mode.

    Attributes
    ----------
    levels : mapping of str to level
        What the workload was given.
    mode : Mode
    simulated : Simulated
        Peak and end, in bytes of array data.
    """

    levels: Mapping[str, Level]
    mode: Mode
    simulated: Simulated


def predict(
    experiment: Experiment, profile: str, overrides: Mapping[str, Sequence[Level]]
) -> Iterator[Predicted]:
    """Run the workload once with each combination of the levels that reach it, and simulate every mode.

    The toggles of the core and the environment do not matter: each mode is simulated. Modes that come to the
    same, such as `retain_grad` without a backward pass, are left out. Cycles of the workload's own objects stay,
    as they would with the collector off.

    Raises
    ------
    UsageError
        See `planning.plan`; or the workload raises, or does what is not simulated.
    """
    cells: dict[tuple[tuple[str, Level], ...], dict[str, Level]] = {}
    for trial in plan(experiment, profile, overrides, replicates=1):
        levels = workload_levels({**trial.constants, **trial.factors})
        cells[tuple(levels.items())] = levels
    for levels in cells.values():
        recordings = {False: _recorded(experiment, levels, retain_grad=False)}
        if recordings[False].reads_kept_gradients:
            # What the workload does may hang on whether there is such a gradient.
            recordings[True] = _recorded(experiment, levels, retain_grad=True)
        goes_back = any(isinstance(event, WentBack) for event in recordings[False].events)
        for mode in _modes(goes_back):
            simulated = simulate(recordings.get(mode.retain_grad, recordings[False]), mode)
            if simulated is not None:
                yield Predicted(levels, mode, simulated)


def _recorded(experiment: Experiment, levels: dict[str, Level], *, retain_grad: bool) -> Recording:
    recorder = Recorder()
    trial = RunningTrial(experiment.seed, Position(), lambda: None, recorder.iterated)
    try:
        return record(
            lambda: experiment.workload(trial, **levels), retain_grad=retain_grad, recorder=recorder
        )
    except UnpredictableError as problem:
        raise UsageError(f"{experiment.name}: the workload cannot be predicted: {problem}") from problem
    except Exception as problem:
        reason = f"{type(problem).__name__}: {problem}".splitlines()[0]
        raise UsageError(f"{experiment.name}: the workload cannot be recorded: {reason}") from problem


def _modes(goes_back: bool) -> Iterator[Mode]:
    for references, retain_grad in itertools.product(
        ("weak", "strong"), (False, True) if goes_back else (False,)
    ):
        for thresholds in (gc.get_threshold(), None) if references == "strong" else (None,):
            yield Mode(references=references, retain_grad=retain_grad, thresholds=thresholds)  # type: ignore[arg-type]
    yield Mode(enable_backprop=False)
