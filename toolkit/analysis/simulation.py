"""The memory of a recorded workload under any mode: the lifetime of every array, by the rules of the engine.

The rules are those of reference counting, and beside them two: with strong references a function and its outputs
hold each other, and what nothing else holds waits for the collector, which works as `analysis.collection` says.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from toolkit.analysis.collection import FREE_LIST_LENGTH
from toolkit.trials.recording import (
    Born,
    Called,
    Cleared,
    Ended,
    Event,
    Gradient,
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
    references, retain_grad, enable_backprop, retain_graph, accumulation
        As in `toolkit.Config`. What a gradient is computed from (`saves`, `storage`) belongs to the recording.
    thresholds : sequence of three int, or None
        `gc.get_threshold()`; None where the collector is off.
    """

    references: Literal["weak", "strong"] = "weak"
    retain_grad: bool = False
    enable_backprop: bool = True
    retain_graph: bool = True
    accumulation: Literal["new", "in_place"] = "new"
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
        None where the workload goes back through a graph and the mode has none, or has let go of it.
    """
    stepped = [event.function for event in recording.events if isinstance(event, Stepped)]
    if stepped and (not mode.enable_backprop or (not mode.retain_graph and len(set(stepped)) < len(stepped))):
        return None
    engine = _Engine(recording, mode)
    peak = alive = 0
    for event in recording.events:
        engine.take(event)
        if isinstance(event, Born | Called | Stepped | Worked | Ended):
            alive = engine.arrays.alive_bytes + event.moment.other_bytes
            peak = max(peak, alive + event.moment.above_bytes)
        if isinstance(event, Stepped):
            peak = max(peak, engine.pass_on(event) + event.moment.other_bytes)
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

    def is_held_once(self, array: int) -> bool:
        return self._holders[array] == 1

    def new(self, size_bytes: int) -> int:
        number = -len(self._bytes) - 1
        self._bytes[number] = size_bytes
        return number


class _Gradients:
    """Which variable has which gradient."""

    def __init__(self, arrays: _Arrays, *, in_place: bool) -> None:
        self._arrays = arrays
        self._in_place = in_place
        self._of: dict[int, Gradient] = {}

    def add(self, variable: int, gradient: Gradient) -> int:
        """Give a variable a gradient; a second one makes a sum. Return the bytes alive while it is made."""
        before = self._of.get(variable)
        if before is None:
            self._arrays.hold(gradient.array)
            self._of[variable] = gradient
            return self._arrays.alive_bytes
        if self._in_place and before.owning and self._arrays.is_held_once(before.array):
            return self._arrays.alive_bytes
        total = Gradient(self._arrays.new(gradient.size_bytes), True, gradient.size_bytes)
        self._arrays.hold(total.array)
        alive_bytes = self._arrays.alive_bytes
        self._arrays.drop(before.array)
        self._of[variable] = total
        return alive_bytes

    def take(self, variable: int) -> Gradient | None:
        """Return what has arrived at a variable; it is no longer held here."""
        found = self._of.pop(variable, None)
        if found is not None:
            self._arrays.drop(found.array)
        return found


class _Engine:
    """Who holds whom: variables, and the functions of the graph."""

    def __init__(self, recording: Recording, mode: Mode) -> None:
        self.arrays = _Arrays(recording.array_bytes)
        self._mode = mode
        in_place = mode.accumulation == "in_place"
        self._kept = _Gradients(self.arrays, in_place=in_place)
        self._arrived = _Gradients(self.arrays, in_place=in_place)
        self._data: dict[int, int] = {}
        self._held: set[int] = set()
        self._holders: Counter[int] = Counter()
        self._creator: dict[int, int] = {}
        self._calls: dict[int, Called] = {}
        #: Of a function: the creators of the inputs that it does not hold, but for their places in the graph.
        self._places: dict[int, list[int]] = {}
        #: Of a function: its living outputs, the functions that hold the place of one, and a pass on its way to it.
        self._function_holders: Counter[int] = Counter()
        self._waiting: set[int] = set()
        self._given: list[Gradient] = []
        self._collector = _Collector(mode.thresholds) if mode.thresholds else None

    def take(self, event: Event) -> None:
        match event:
            case Born(_, variable, array):
                self._make(variable, array)
                self._count(objects=1)
            case Called():
                for variable, array in zip(event.outputs, event.arrays, strict=True):
                    self._make(variable, array)
                if self._mode.enable_backprop and event.held is not None:
                    self._record(event, event.held)
                self._count(objects=1 + len(event.outputs), tuples=2)
            case Stepped():
                self._step(event)
            case LetGo(variable):
                self._held.discard(variable)
                self._release([variable])
            case Cleared(variable):
                self._kept.take(variable)
            case Replaced(variable, array):
                self.arrays.hold(array)
                self.arrays.drop(self._data[variable])
                self._data[variable] = array

    def _make(self, variable: int, array: int) -> None:
        self._data[variable] = array
        self.arrays.hold(array)
        self._held.add(variable)
        self._holders[variable] = 1

    def _record(self, call: Called, held: tuple[int, ...]) -> None:
        self._calls[call.function] = call
        self._holders.update([call.inputs[place] for place in held])
        unheld = [x for place, x in enumerate(call.inputs) if place not in held]
        self._places[call.function] = [self._creator[x] for x in unheld]
        self._function_holders.update(self._places[call.function])
        for array in call.saved:
            self.arrays.hold(array)
        if self._mode.references == "strong":
            self._holders.update(call.outputs)
        for variable in call.outputs:
            self._creator[variable] = call.function
            self._function_holders[call.function] += 1
        if self._collector:
            self._collector.generations[call.function] = 0

    def _step(self, step: Stepped) -> None:
        """Hold what a function was given and has computed; what arrived at its outputs is what it was given."""
        call = self._calls[step.function]
        # A sum has a number of its own here. Where nothing has arrived, the pass begins, by the gradient that an
        # earlier one left, if any.
        begins = len(call.outputs) == 1
        self._given = [
            self._arrived.take(variable) or (begins and self._kept.take(variable)) or gradient
            for variable, gradient in zip(call.outputs, step.output_gradients, strict=True)
        ]
        for gradient in (*self._given, *step.input_gradients):
            if gradient is not None:
                self.arrays.hold(gradient.array)

    def pass_on(self, step: Stepped) -> int:
        """Pass on the gradients that a function has computed, and let go of what the step needed.

        Returns
        -------
        int
            The most bytes of arrays alive meanwhile.
        """
        call = self._calls[step.function]
        alive = [self.arrays.alive_bytes]
        for variable, gradient in zip(call.inputs, step.input_gradients, strict=True):
            if gradient is None:
                continue
            creator = self._creator.get(variable)
            alive.append((self._kept if creator is None else self._arrived).add(variable, gradient))
            if creator is not None and creator not in self._waiting:
                self._waiting.add(creator)
                self._function_holders[creator] += 1
        for variable, given in zip(call.outputs, self._given, strict=True):
            if variable in self._data and self._mode.retain_grad:
                alive.append(self._kept.add(variable, given))
            else:
                self._kept.take(variable)
        for gradient in (*self._given, *step.input_gradients):
            if gradient is not None:
                self.arrays.drop(gradient.array)
        self._given = []
        if not self._mode.retain_graph:
            self._release(self._let_go_of(call.function))
        if call.function in self._waiting:
            self._waiting.discard(call.function)
            self._release(self._drop_functions([call.function]))
        return max(alive)

    def _release(self, variables: Iterable[int]) -> None:
        """Take one holder from each variable, and go on with what nobody holds then."""
        waiting = list(variables)
        while waiting:
            variable = waiting.pop()
            self._holders[variable] -= 1
            if self._holders[variable]:
                continue
            self.arrays.drop(self._data.pop(variable))
            self._kept.take(variable)
            if variable in self._creator:
                waiting.extend(self._drop_functions([self._creator[variable]]))

    def _drop_functions(self, functions: Iterable[int]) -> list[int]:
        """Take one holder from each function, and return the variables that those held which nobody holds then."""
        held: list[int] = []
        waiting = list(functions)
        while waiting:
            function = waiting.pop()
            self._function_holders[function] -= 1
            if not self._function_holders[function] and function in self._calls:
                waiting.extend(self._places.get(function, ()))
                held.extend(self._forget(function))
        return held

    def _forget(self, function: int) -> list[int]:
        """Take a function out of the graph, and return the variables that it held."""
        self._places.pop(function, None)
        held = self._let_go_of(function)
        call = self._calls.pop(function)
        for variable in call.outputs:
            self._creator.pop(variable, None)
        if self._collector:
            del self._collector.generations[function]
        return [*held, *call.outputs] if self._mode.references == "strong" else held

    def _let_go_of(self, function: int) -> list[int]:
        """Take from a function what it saved, and return the variables that it held."""
        call = self._calls[function]
        held = [call.inputs[place] for place in call.held or ()]
        for array in call.saved:
            self.arrays.drop(array)
        self._calls[function] = replace(call, held=(), saved=())
        return held + self._drop_functions(self._places.pop(function, ()))

    def _count(self, objects: int, tuples: int = 0) -> None:
        if self._collector and self._collector.is_due(objects, tuples):
            oldest = self._collector.begin()
            older = self._collector.older_than(oldest)
            reached = self._functions_behind(
                [*self._held, *[y for f in older for y in self._calls[f].outputs]]
            )
            garbage = [
                function
                for function, generation in self._collector.generations.items()
                if generation <= oldest and function not in reached
            ]
            for function in garbage:
                if function in self._calls:
                    self._release(self._forget(function))
            self._collector.end(oldest, freed_tuples=2 * len(garbage))

    def _functions_behind(self, variables: Iterable[int]) -> set[int]:
        reached: set[int] = set()
        waiting = [self._creator[x] for x in variables if x in self._creator]
        while waiting:
            function = waiting.pop()
            if function not in reached and function in self._calls:
                reached.add(function)
                call = self._calls[function]
                near = [*[call.inputs[place] for place in call.held or ()], *call.outputs]
                waiting.extend([self._creator[x] for x in near if x in self._creator])
                waiting.extend(self._places.get(function, ()))
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
