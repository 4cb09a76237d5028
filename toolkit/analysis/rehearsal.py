"""A prediction from a rehearsal: the workload is run where the prediction is made, then simulated in any mode."""

import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache

from toolkit.analysis.counting import thresholds_of
from toolkit.analysis.predictions import Prediction
from toolkit.analysis.simulation import Mode, Simulated
from toolkit.analysis.simulation.engine import simulate
from toolkit.core.config import Config
from toolkit.probes import Position
from toolkit.recording import Called, Recording, WentBack
from toolkit.recording.recorder import Recorder, UnpredictableError, record
from toolkit.trials import Level
from toolkit.trials.collecting import Policy, policy_of
from toolkit.trials.levels import toggle_levels, workload_levels
from toolkit.trials.running import RunningTrial

__all__ = [
    "NotPredictedError",
    "Rehearsal",
    "WorkloadRaisedError",
    "mode_of",
    "recorded",
    "rehearsed",
]

_OFF = policy_of("off")
#: What `Mode` knows of the toggles; the others belong to the recording.
_SIMULATED = ("references", "retain_grad", "enable_backprop", "retain_graph", "accumulation")


class NotPredictedError(Exception):
    """No simulation says what the workload needs in a mode; the message says why."""


class WorkloadRaisedError(Exception):
    """The workload raised while it was recorded; the message says what."""


def rehearsed(
    workload: Callable[..., object],
    cell: Mapping[str, Level],
    array_bytes: int,
    interpreter: Mapping[str, Level],
    *,
    seed: int = 0,
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
    interpreter : mapping
        As `Experiment.predict` is given it; the thresholds of the collector count.
    seed : int
        Of the experiment.

    Returns
    -------
    Prediction or None
        None where no simulation says what a toggle or the workload does, where that goes back through no graph,
        where it hangs on when the collector comes by counts of objects, and where that comes at the end of the
        epoch, which a cell with few rounds has elsewhere.

    Raises
    ------
    WorkloadRaisedError
        The workload raises.
    """
    policy = policy_of(cell.get("gc", "default"))
    if policy.at_epoch_end:
        # Of a workload with fewer rounds the epoch ends elsewhere.
        return None
    rehearsal = _rehearsal(workload, tuple(workload_levels(cell).items()), seed)
    try:
        simulated = rehearsal.simulated(toggle_levels(cell), policy, thresholds_of(interpreter))
    except NotPredictedError:
        return None
    if not simulated.exact:
        return None
    end_bytes = simulated.end_bytes
    return Prediction(
        peak_arrays=simulated.peak_bytes / array_bytes,
        end_arrays=None if end_bytes is None else end_bytes / array_bytes,
        array_bytes=array_bytes,
        basis="simulated from a recording of the workload",
    )


class Rehearsal:
    """A workload with its levels: its recordings, made as they are needed.

    Parameters
    ----------
    workload : callable
        That of the experiment.
    levels : mapping of str to level
        What it is given.
    seed : int
        Of the experiment.
    """

    def __init__(self, workload: Callable[..., object], levels: Mapping[str, Level], seed: int) -> None:
        self._workload = workload
        self._levels = levels
        self._seed = seed
        #: What cannot be recorded stands here by its reason, so that it is tried once.
        self._recordings: dict[tuple[object, ...], Recording | str] = {}

    def simulated(self, toggles: Mapping[str, Level], policy: Policy, thresholds: Sequence[int]) -> Simulated:
        """Return what the workload needs with these toggles and this collector.

        Parameters
        ----------
        toggles : mapping of str to level
            Those that are not named are at their defaults.
        policy : Policy
            The level of `gc`.
        thresholds : sequence of three int
            Those of the interpreter.

        Raises
        ------
        NotPredictedError, WorkloadRaisedError
            See there.
        """
        recording = self.recording(toggles)
        if recording.has_own_cycles:
            if policy.automatic:
                raise NotPredictedError(
                    "arrays are held by what refers to itself beside the graph, such as the workload's own objects "
                    "or graphs computed again for a gradient; when Python collects that hangs on every object"
                )
            recording = self.recording(toggles, policy)
        simulated = simulate(recording, mode_of(toggles, policy, thresholds))
        if simulated is None:
            raise NotPredictedError(
                "the workload goes back through a graph that is not there under this mode"
            )
        return simulated

    def recording(self, toggles: Mapping[str, Level], policy: Policy = _OFF) -> Recording:
        """Return a recording that stands for these toggles, and for collections at these steps.

        Raises
        ------
        NotPredictedError, WorkloadRaisedError
            See there.
        """
        plain = self._recorded({}, _OFF)
        if toggles.get("buffers") == "reused" and any(isinstance(event, Called) for event in plain.events):
            raise NotPredictedError("which memory is used again is not simulated")
        if toggles.get("traversal") == "lifo" and any(isinstance(event, WentBack) for event in plain.events):
            raise NotPredictedError("the wrong order of the backward pass is not simulated")
        reached = ["saves", "storage"]
        reached += ["retain_grad"] if plain.reads_kept_gradients else []
        reached += ["references", "accumulation"] if plain.computes_again else []
        default = Config()
        changed = {
            name: toggles[name]
            for name in reached
            if name in toggles and toggles[name] != getattr(default, name)
        }
        return self._recorded(changed, policy)

    def _recorded(self, toggles: Mapping[str, Level], policy: Policy) -> Recording:
        key = (*sorted(toggles.items()), policy)
        if key not in self._recordings:
            try:
                self._recordings[key] = recorded(
                    self._workload, self._levels, seed=self._seed, policy=policy, toggles=toggles
                )
            except UnpredictableError as problem:
                self._recordings[key] = str(problem)
        found = self._recordings[key]
        if isinstance(found, str):
            raise NotPredictedError(found)
        return found


# Cells that differ in toggles share recordings, and each is asked for before all trials and after every replicate.
@cache
def _rehearsal(
    workload: Callable[..., object], levels: tuple[tuple[str, Level], ...], seed: int
) -> Rehearsal:
    return Rehearsal(workload, dict(levels), seed)


def recorded(
    workload: Callable[..., object],
    levels: Mapping[str, Level],
    *,
    seed: int = 0,
    policy: Policy = _OFF,
    toggles: Mapping[str, Level] | None = None,
) -> Recording:
    """Run a workload as a trial does, but in this process, and return what it did; its output is dropped.

    Parameters
    ----------
    workload : callable
        That of the experiment.
    levels : mapping of str to level
        What it is given.
    seed : int
        Of the experiment.
    policy : Policy
        After which steps a collection follows; Python does not collect by itself.
    toggles : mapping of str to level, optional
        As `recording.recorder.record` takes them.

    Raises
    ------
    UnpredictableError
        See `recording.recorder.record`.
    WorkloadRaisedError
        The workload raises.
    """
    recorder = Recorder()

    def end_step(step: int, steps: int) -> None:
        recorder.iterated(step, steps)
        policy.end_step(step, steps)

    trial = RunningTrial(seed, Position(), lambda: None, end_step)
    try:
        with _silence():
            return record(
                lambda: workload(trial, **levels),
                recorder=recorder,
                **(toggles or {}),  # type: ignore[arg-type]
            )
    except UnpredictableError:
        raise
    except Exception as problem:
        raise WorkloadRaisedError(
            f"it raises {type(problem).__name__}: {problem}".splitlines()[0]
        ) from problem


def mode_of(
    toggles: Mapping[str, Level], policy: Policy, thresholds: Sequence[int], *, counted: int = 0
) -> Mode:
    """Return the mode that levels ask for.

    Parameters
    ----------
    toggles : mapping of str to level
        Those that belong to the recording are passed by.
    policy : Policy
        The level of `gc`.
    thresholds : sequence of three int
        Those of the interpreter.
    counted : int
        See `Mode`.
    """
    youngest, *older = thresholds
    return Mode(
        **{name: level for name, level in toggles.items() if name in _SIMULATED},  # type: ignore[arg-type]
        thresholds=(policy.threshold or youngest, *older) if policy.automatic else None,
        every=policy.every,
        at_epoch_end=policy.at_epoch_end,
        counted=counted,
    )


@contextmanager
def _silence() -> Iterator[None]:
    # As in a trial, whose output nobody sees unless it fails.
    with (
        warnings.catch_warnings(),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
