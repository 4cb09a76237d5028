"""What a workload would need under every mode, from few runs of it."""

import gc
import io
import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from toolkit.analysis.simulation import Mode, Simulated, simulate
from toolkit.core.config import Config
from toolkit.experiment import Experiment
from toolkit.planning import UsageError, check_levels, plan
from toolkit.probes import Position
from toolkit.trials import Level
from toolkit.trials.collecting import Policy, policy_of
from toolkit.trials.levels import toggle_levels, workload_levels
from toolkit.trials.recorder import Recorder, UnpredictableError, record
from toolkit.trials.recording import Called, Recording, WentBack
from toolkit.trials.running import RunningTrial

__all__ = ["Predicted", "predict"]

_Toggles = Mapping[str, Level]
_OFF = policy_of("off")
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
        yield from _Cell(experiment, dict(cell)).predicted(
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


class _Cell:
    """A workload with its levels: its recordings, made as they are needed."""

    def __init__(self, experiment: Experiment, levels: dict[str, Level]) -> None:
        self._experiment = experiment
        self._levels = levels
        self._recordings: dict[tuple[object, ...], Recording] = {}
        self._plain = self._first()

    def predicted(self, changes: Sequence[_Toggles], policies: Sequence[str]) -> Iterator[Predicted]:
        """Yield what each change of the toggles comes to, under each level of `gc` where that matters."""
        for toggles in changes:
            try:
                recording = self._recording(toggles)
                without = self._under(toggles, _OFF, recording)
                if not recording.has_own_cycles and not without.has_cycles:
                    yield Predicted(self._levels, toggles, None, without)
                    continue
            except _NotPredictedError as problem:
                yield Predicted(self._levels, toggles, None, None, str(problem))
                continue
            for level in policies:
                try:
                    simulated = self._under(toggles, policy_of(level), recording)
                    yield Predicted(self._levels, toggles, level, simulated)
                except _NotPredictedError as problem:
                    yield Predicted(self._levels, toggles, level, None, str(problem))

    def _under(self, toggles: _Toggles, policy: Policy, recording: Recording) -> Simulated:
        if recording.has_own_cycles:
            if policy.automatic:
                raise _NotPredictedError(
                    "arrays are held by what refers to itself beside the graph, such as the workload's own objects "
                    "or graphs computed again for a gradient; when Python collects that hangs on every object"
                )
            if policy != _OFF:
                recording = self._recording(toggles, policy)
        thresholds = gc.get_threshold()
        mode = Mode(
            **{name: level for name, level in toggles.items() if name in _SIMULATED},  # type: ignore[arg-type]
            thresholds=(policy.threshold or thresholds[0], *thresholds[1:]) if policy.automatic else None,
            every=policy.every,
            at_epoch_end=policy.at_epoch_end,
        )
        simulated = simulate(recording, mode)
        if simulated is None:
            raise _NotPredictedError(
                "the workload goes back through a graph that is not there under this mode"
            )
        return simulated

    def _first(self) -> Recording:
        try:
            return self._recording({})
        except _NotPredictedError as problem:
            name = self._experiment.name
            raise UsageError(f"{name}: the workload cannot be predicted: {problem}") from problem

    def _recording(self, toggles: _Toggles, policy: Policy = _OFF) -> Recording:
        """Return a recording that stands for these toggles, and for collections at these steps."""
        plain = self._recordings.get(())
        named = {name: level for name, level in toggles.items() if name in ("saves", "storage")}
        if plain is not None:
            if toggles.get("buffers") == "reused" and any(
                isinstance(event, Called) for event in plain.events
            ):
                raise _NotPredictedError("which memory is used again is not simulated")
            goes_back = any(isinstance(event, WentBack) for event in plain.events)
            if toggles.get("traversal") == "lifo" and goes_back:
                raise _NotPredictedError("the wrong order of the backward pass is not simulated")
            reached = ["retain_grad"] if plain.reads_kept_gradients else []
            reached += ["references", "accumulation"] if plain.computes_again else []
            named |= {name: toggles[name] for name in reached if name in toggles}
        key = (*sorted(named.items()), *([policy] if policy != _OFF else []))
        if key not in self._recordings:
            self._recordings[key] = self._recorded(named, policy)
        return self._recordings[key]

    def _recorded(self, named: _Toggles, policy: Policy) -> Recording:
        recorder = Recorder()

        def end_step(step: int, steps: int) -> None:
            recorder.iterated(step, steps)
            policy.end_step(step, steps)

        trial = RunningTrial(self._experiment.seed, Position(), lambda: None, end_step)
        try:
            with _silence():
                return record(
                    lambda: self._experiment.workload(trial, **self._levels),
                    recorder=recorder,
                    **named,  # type: ignore[arg-type]
                )
        except UnpredictableError as problem:
            raise _NotPredictedError(str(problem)) from problem
        except Exception as problem:
            raise _NotPredictedError(
                f"it raises {type(problem).__name__}: {problem}".splitlines()[0]
            ) from problem


#: What `Mode` knows of the toggles; the others belong to the recording.
_SIMULATED = ("references", "retain_grad", "enable_backprop", "retain_graph", "accumulation")


class _NotPredictedError(Exception):
    """There is no prediction; the message says why."""


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
