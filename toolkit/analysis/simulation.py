"""The memory of a recorded workload under any mode: the lifetime of every array, by the rules of the engine.

The rules are those of reference counting, and beside them two: with strong references a function and its outputs
hold each other, and what nothing else holds waits for the collector, which works as `analysis.collection` says.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from toolkit.analysis.collection import FREE_LIST_LENGTH
from toolkit.trials.recording import (
    Born,
    Called,
    Cleared,
    Ended,
    Event,
    LetGo,
    Recording,
    Replaced,
    Stepped,
    Worked,
)

__all__ = ["Mode", "Simulated", "simulate"]


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A setting of the toggles, and of the collector.

    Attributes
    ----------
    references, retain_grad, enable_backprop
        As in `toolkit.Config`.
    thresholds : sequence of three int, or None
        `gc.get_threshold()`; None where the collector is off.
    """

    references: Literal["weak", "strong"] = "weak"
    retain_grad: bool = False
    enable_backprop: bool = True
    thresholds: Sequence[int] | None = None


@dataclass(frozen=True)
class Simulated:
    """What a workload would need.

    Attributes
    ----------
    peak_bytes : int
        The most array data alive at any moment.
    end_bytes : int
        The array data alive when the workload has returned and its result is held.
    """

    peak_bytes: int
    end_bytes: int


def simulate(recording: Recording, mode: Mode) -> Simulated | None:
    """Return the peak and the end that the recorded workload would have under `mode`.

    Returns
    -------
    Simulated or None
        None where the workload goes back through a graph and the mode has none.
    """
    if not mode.enable_backprop and any(isinstance(event, Stepped) for event in recording.events):
        return None
    engine = _Engine(recording, mode)
    peak = alive = 0
    for event in recording.events:
        engine.take(event)
        if isinstance(event, Born | Called | Stepped | Worked | Ended):
            alive = engine.arrays.alive_bytes + event.moment.other_bytes
            peak = max(peak, alive + event.moment.above_bytes)
        if isinstance(event, Stepped):
            engine.finish_step(event)
    return Simulated(peak, alive)


class _Arrays:
    """How many holders each array has, and how many bytes are held."""

    def __init__(self, array_bytes: dict[int, int]) -> None:
        self._bytes = dict(array_bytes)
        self._holders: Counter[int] = Counter()
        self.alive_bytes = 0

    def hold(self, array: int) -> None:
        if not self._holders[array]:
            self.alive_bytes += self._bytes[array]
        self._holders[array] += 1

    def drop(self, array: int) -> None:
        self._holders[array] -= 1
        if not self._holders[array]:
            self.alive_bytes -= self._bytes[array]

    def like(self, array: int) -> int:
        """Return a new array of the same size."""
        new = -len(self._bytes) - 1
        self._bytes[new] = self._bytes[array]
        return new


class _Gradients:
    """Which variable has which gradient."""

    def __init__(self, arrays: _Arrays) -> None:
        self._arrays = arrays
        self._of: dict[int, int] = {}

    def add(self, variable: int, gradient: int) -> None:
        """Give a variable a gradient; a second one makes a sum."""
        before = self._of.get(variable)
        after = gradient if before is None else self._arrays.like(gradient)
        self._arrays.hold(after)
        self.drop(variable)
        self._of[variable] = after

    def drop(self, variable: int) -> None:
        gradient = self._of.pop(variable, None)
        if gradient is not None:
            self._arrays.drop(gradient)


class _Engine:
    """Who holds whom: variables, and the functions of the graph."""

    def __init__(self, recording: Recording, mode: Mode) -> None:
        self.arrays = _Arrays(recording.array_bytes)
        self._mode = mode
        self._kept = _Gradients(self.arrays)
        self._arrived = _Gradients(self.arrays)
        self._data: dict[int, int] = {}
        self._held: set[int] = set()
        self._holders: Counter[int] = Counter()
        self._creator: dict[int, int] = {}
        self._inputs: dict[int, tuple[int, ...]] = {}
        self._outputs: dict[int, tuple[int, ...]] = {}
        self._collector = _Collector(mode.thresholds) if mode.thresholds else None

    def take(self, event: Event) -> None:
        match event:
            case Born(_, variable, array):
                self._make(variable, array)
                self._count(objects=1)
            case Called(_, function, inputs, outputs, arrays):
                for variable, array in zip(outputs, arrays, strict=True):
                    self._make(variable, array)
                if self._mode.enable_backprop:
                    self._record(function, inputs, outputs)
                self._count(objects=1 + len(outputs), tuples=2)
            case Stepped():
                self._step(event)
            case LetGo(variable):
                self._held.discard(variable)
                self._release([variable])
            case Cleared(variable):
                self._kept.drop(variable)
            case Replaced(variable, array):
                self.arrays.hold(array)
                self.arrays.drop(self._data[variable])
                self._data[variable] = array

    def finish_step(self, step: Stepped) -> None:
        """Drop the gradients that the function was given, or keep them with the variables they belong to."""
        for gradient in (*step.output_gradients, *step.input_gradients):
            if gradient is not None:
                self.arrays.drop(gradient)
        for variable, gradient in zip(self._outputs[step.function], step.output_gradients, strict=True):
            self._arrived.drop(variable)
            if variable in self._data and self._mode.retain_grad:
                self._kept.add(variable, gradient)
            else:
                self._kept.drop(variable)

    def _make(self, variable: int, array: int) -> None:
        self._data[variable] = array
        self.arrays.hold(array)
        self._held.add(variable)
        self._holders[variable] = 1

    def _record(self, function: int, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
        self._inputs[function], self._outputs[function] = inputs, outputs
        self._holders.update(inputs)
        if self._mode.references == "strong":
            self._holders.update(outputs)
        for variable in outputs:
            self._creator[variable] = function
        if self._collector:
            self._collector.generations[function] = 0

    def _step(self, step: Stepped) -> None:
        for gradient in (*step.output_gradients, *step.input_gradients):
            if gradient is not None:
                self.arrays.hold(gradient)
        for variable in self._outputs[step.function]:
            self._arrived.drop(variable)
        for variable, gradient in zip(self._inputs[step.function], step.input_gradients, strict=True):
            if gradient is not None:
                (self._arrived if variable in self._creator else self._kept).add(variable, gradient)

    def _release(self, variables: Iterable[int]) -> None:
        """Take one holder from each variable, and go on with what nobody holds then."""
        waiting = list(variables)
        while waiting:
            variable = waiting.pop()
            self._holders[variable] -= 1
            if self._holders[variable]:
                continue
            self.arrays.drop(self._data.pop(variable))
            self._kept.drop(variable)
            function = self._creator.pop(variable, None)
            if function is not None and not any(y in self._data for y in self._outputs[function]):
                waiting.extend(self._forget(function))

    def _forget(self, function: int) -> tuple[int, ...]:
        """Take a function out of the graph, and return the variables that it held."""
        inputs, outputs = self._inputs.pop(function), self._outputs.pop(function)
        if self._collector:
            del self._collector.generations[function]
        return (*inputs, *outputs) if self._mode.references == "strong" else inputs

    def _count(self, objects: int, tuples: int = 0) -> None:
        if self._collector and self._collector.is_due(objects, tuples):
            oldest = self._collector.begin()
            roots = [y for f in self._collector.older_than(oldest) for y in self._outputs[f]]
            reached = self._functions_behind([*self._held, *roots])
            garbage = [
                function
                for function, generation in self._collector.generations.items()
                if generation <= oldest and function not in reached
            ]
            for function in garbage:
                for variable in self._outputs[function]:
                    self._creator.pop(variable, None)
                self._release(self._forget(function))
            self._collector.end(oldest, freed_tuples=2 * len(garbage))

    def _functions_behind(self, variables: Iterable[int]) -> set[int]:
        reached: set[int] = set()
        waiting = list(variables)
        while waiting:
            function = self._creator.get(waiting.pop())
            if function is not None and function not in reached:
                reached.add(function)
                waiting.extend((*self._inputs[function], *self._outputs[function]))
        return reached


class _Collector:
    """Counts and generations, as in `analysis.collection`, for each function of a graph."""

    def __init__(self, thresholds: Sequence[int]) -> None:
        self.generations: dict[int, int] = {}
        self._thresholds = thresholds
        self._count = 0
        self._young_collections = 0
        self._free_tuples = 0

    def is_due(self, objects: int, tuples: int) -> bool:
        reused = min(tuples, self._free_tuples)
        self._free_tuples -= reused
        self._count += objects + tuples - reused
        return self._count > self._thresholds[0]

    def begin(self) -> int:
        """Return the oldest generation that is collected."""
        self._count = 0
        if self._young_collections > self._thresholds[1]:
            self._young_collections = 0
            return 1
        self._young_collections += 1
        return 0

    def older_than(self, generation: int) -> list[int]:
        return [function for function, age in self.generations.items() if age > generation]

    def end(self, oldest: int, freed_tuples: int) -> None:
        self._free_tuples = min(self._free_tuples + freed_tuples, FREE_LIST_LENGTH)
        for function, generation in self.generations.items():
            if generation <= oldest:
                self.generations[function] = oldest + 1
