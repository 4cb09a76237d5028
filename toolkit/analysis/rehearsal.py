"""A prediction from a rehearsal: the workload is run once where the prediction is made, then simulated."""

import gc
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from toolkit.analysis.predictions import Prediction
from toolkit.analysis.simulation import Mode, simulate
from toolkit.core.config import Config
from toolkit.probes import Position
from toolkit.trials import Level
from toolkit.trials.collecting import policy_of
from toolkit.trials.levels import toggle_levels, workload_levels
from toolkit.trials.recorder import Recorder, UnpredictableError, record
from toolkit.trials.recording import Recording
from toolkit.trials.running import RunningTrial

__all__ = ["rehearsed"]


def rehearsed(
    workload: Callable[..., object], cell: Mapping[str, Level], array_bytes: int, *, seed: int = 0
) -> Prediction | None:
    """Predict the peak and the end of a cell by the lifetimes of its arrays.

    Of a workload that does the same again and again a few rounds are enough: whoever asks gives a cell with few.

    Parameters
    ----------
    workload : callable
        That of the experiment.
    cell : mapping of str to level
        Toggles are simulated, but for those that decide what a gradient is computed from. Of the environment `gc`
        alone counts.
    array_bytes : int
        S, an array that is typical of the workload, in bytes.
    seed : int
        Of the experiment.

    Returns
    -------
    Prediction or None
        None where no simulation says what a toggle or the workload does, where that goes back through no graph,
        where it hangs on when the collector comes by counts of objects, and where it frees cycles of the workload's
        own.
    """
    config = Config(**toggle_levels(cell))  # type: ignore[arg-type]  # the plan has checked them
    policy = policy_of(cell.get("gc", "default"))
    if (config.traversal, config.buffers) != ("generation", "fresh") or policy.at_epoch_end:
        return None
    youngest, *older = gc.get_threshold()
    mode = Mode(
        references=config.references,
        retain_grad=config.retain_grad,
        enable_backprop=config.enable_backprop,
        retain_graph=config.retain_graph,
        accumulation=config.accumulation,
        thresholds=(policy.threshold or youngest, *older) if policy.automatic else None,
        every=policy.every,
    )
    arguments = tuple(workload_levels(cell).items())
    recording = _recorded(workload, arguments, config.saves, config.storage, seed)
    if recording is None or (recording.has_own_cycles and policy != policy_of("off")):
        return None
    simulated = simulate(recording, mode)
    if simulated is None or not simulated.exact:
        return None
    end_bytes = simulated.end_bytes
    return Prediction(
        peak_arrays=simulated.peak_bytes / array_bytes,
        end_arrays=None if end_bytes is None else end_bytes / array_bytes,
        array_bytes=array_bytes,
        basis="simulated from a recording of the workload",
    )


@cache
def _recorded(
    workload: Callable[..., object],
    arguments: tuple[tuple[str, Level], ...],
    saves: Any,
    storage: Any,
    seed: int,
) -> Recording | None:
    recorder = Recorder()
    trial = RunningTrial(seed, Position(), lambda: None, recorder.iterated)
    try:
        return record(
            lambda: workload(trial, **dict(arguments)), saves=saves, storage=storage, recorder=recorder
        )
    except UnpredictableError:
        return None
