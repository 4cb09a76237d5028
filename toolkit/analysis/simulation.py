"""The memory of a recorded workload under any mode: the lifetime of every array, by the rules of the engine.

The rules are those of reference counting, and beside them two: with strong references a function and its outputs
hold each other, and what nothing else holds waits for the collector, which works as `analysis.collection` says.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from toolkit.analysis.collection import STEPPED, Counts, Node, call_node, leaf_node
from toolkit.trials.recording import (
    ArrayLetGo,
    ArrayTaken,
    Born,
    Called,
    Collected,
    Ended,
    Event,
    FunctionLetGo,
    GaveUp,
    Gradient,
    GradientSet,
    Iterated,
    LetGo,
    PassedOn,
    Recording,
    Replaced,
    StepEnded,
    Stepped,
    Unchained,
    WentBack,
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
    every : int or None
        After how many steps a full collection follows.
    at_epoch_end : bool
        Whether one follows the last step of an epoch.
    counted : int
        How many objects of the youngest generation the collector had counted when the workload began.
    """

    references: Literal["weak", "strong"] = "weak"
    retain_grad: bool = False
    enable_backprop: bool = True
    retain_graph: bool = True
    accumulation: Literal["new", "in_place"] = "new"
    thresholds: Sequence[int] | None = None
    every: int | None = None
    at_epoch_end: bool = False
    counted: int = 0


@dataclass(frozen=True)
class Simulated:
    """What a workload would need.

    Attributes
    ----------
    peak_bytes : int
        The most array data alive at any moment.
    end_bytes : int or None
        The array data alive when the workload has returned and its result is held. None where a collection that
        comes by counts of objects has freed, or could have freed, some of it: when exactly hangs on single objects,
        and with it what is left.
    exact : bool
        False where such collections decide the peak too.
    has_cycles : bool
        Whether functions and their outputs hold each other, so that it matters when the collector comes.
    """

    peak_bytes: int
    end_bytes: int | None
    exact: bool = True
    has_cycles: bool = False


class _ImpossibleError(Exception):
    """The workload raises under this mode."""


def simulate(recording: Recording, mode: Mode, shifts: Iterator[int] | None = None) -> Simulated | None:
    """Return the peak and the end that the recorded workload would have under `mode`.

    Parameters
    ----------
    recording, mode
        What was done, and under which toggles.
    shifts : iterator of int, optional
        Of these each collection takes one: how many objects earlier the next one comes than is counted.

    Returns
    -------
    Simulated or None
        None where the workload goes back through a graph and the mode has none, or has let go of it; and where
        the recording does not stand for the mode (see `Recording`). Whether it has cycles of its own is left to
        the caller.
    """
    if recording.reads_kept_gradients and mode.retain_grad != recording.retain_grad:
        return None
    recorded_under = recording.references, recording.accumulation
    if recording.computes_again and (mode.references, mode.accumulation) != recorded_under:
        return None
    engine = _Engine(recording, mode, shifts)
    peak = alive = 0
    for event in recording.events:
        try:
            engine.take(event)
        except _ImpossibleError:
            return None
        peak = max(peak, engine.most_bytes)
        if isinstance(event, Born | Called | Stepped | Worked | Ended):
            engine.other_bytes = event.moment.other_bytes
            alive = engine.arrays.alive_bytes + event.moment.other_bytes
            above = event.moment.above_bytes
            if isinstance(event, Called) and not engine.records(event):
                above = event.above_unsaved_bytes
            peak = max(peak, alive + above)
    by_chance = engine.has_cycles and engine.collector is not None and engine.collector.may_come
    return Simulated(peak, None if by_chance else alive, not by_chance, engine.has_cycles)


class _Arrays:
    """How many holders each array has, and how many bytes are held."""

    def __init__(self, array_bytes: dict[int, int]) -> None:
        self._bytes = dict(array_bytes)
        self._holders: Counter[int] = Counter()
        #: Of a sum that the recording has and that goes into the first array here: that array.
        self._same: dict[int, int] = {}
        self.alive_bytes = 0

    def _of(self, array: int) -> int:
        while array in self._same:
            array = self._same[array]
        return array

    def hold(self, array: int) -> None:
        array = self._of(array)
        if not self._holders[array]:
            self.alive_bytes += self._bytes[array]
        self._holders[array] += 1

    def drop(self, array: int) -> None:
        array = self._of(array)
        self._holders[array] -= 1
        if not self._holders[array]:
            self.alive_bytes -= self._bytes[array]

    def is_held(self, array: int) -> bool:
        return self._holders[self._of(array)] > 0

    def is_held_once(self, array: int) -> bool:
        return self._holders[self._of(array)] == 1

    def is_same(self, array: int, earlier: int) -> None:
        """Take two numbers of the recording for one array."""
        array, earlier = self._of(array), self._of(earlier)
        if array != earlier:
            self._same[array] = earlier

    def new(self, size_bytes: int) -> int:
        number = -len(self._bytes) - 1
        self._bytes[number] = size_bytes
        return number


class _Gradients:
    """Which variable has which gradient."""

    def __init__(self, arrays: _Arrays) -> None:
        self._arrays = arrays
        self._of: dict[int, Gradient] = {}

    def set(self, variable: int, gradient: Gradient | None) -> None:
        """Give a variable a gradient in place of the one it has, if any."""
        if gradient is not None:
            self._arrays.hold(gradient.array)
        before = self._of.pop(variable, None)
        if before is not None:
            self._arrays.drop(before.array)
        if gradient is not None:
            self._of[variable] = gradient

    def add(self, variable: int, gradient: Gradient, total: Gradient | None, *, in_place: bool) -> int:
        """Give a variable a gradient; a second one makes a sum. Return the bytes alive while it is made."""
        before = self._of.get(variable)
        if before is None:
            self.set(variable, gradient)
            return self._arrays.alive_bytes
        if in_place and before.owning and self._arrays.is_held_once(before.array):
            if total is not None:
                self._arrays.is_same(total.array, before.array)
            return self._arrays.alive_bytes
        total = total or Gradient(self._arrays.new(gradient.size_bytes), True, gradient.size_bytes)
        self._arrays.hold(total.array)
        alive_bytes = self._arrays.alive_bytes
        self._arrays.drop(before.array)
        self._of[variable] = total
        return alive_bytes

    def take(self, variable: int) -> Gradient | None:
        """Return what a variable has, and hand on the hold of it."""
        return self._of.pop(variable, None)

    def clear(self) -> None:
        """Take from every variable what it has."""
        for variable in [*self._of]:
            self.set(variable, None)


@dataclass
class _Node:
    """A function: what it holds, and how many hold it.

    Its holders are its living outputs, functions that hold the place of one, a pass on its way to it, the workload.
    """

    outputs: tuple[int, ...]
    recorded: bool
    holders: int
    inputs: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    saved: list[int] = field(default_factory=list)
    attributes: list[int] = field(default_factory=list)
    strong_outputs: list[int] = field(default_factory=list)
    emptied: bool = False


@dataclass
class _Pass:
    """A backward pass: how it goes about it, and what it was given last."""

    retain_grad: bool
    retain_graph: bool
    in_place: bool
    root: int
    seed: Gradient | None
    step: Stepped | None = None
    given: list[Gradient] = field(default_factory=list)


_Level = TypeVar("_Level")


def _decided(own: _Level | None, mode: _Level) -> _Level:
    """Return a toggle: as the workload sets it itself, or else as the mode has it."""
    return mode if own is None else own


class _Engine:
    """Who holds whom: variables, functions of the graph, and the workload."""

    def __init__(self, recording: Recording, mode: Mode, shifts: Iterator[int] | None) -> None:
        self.arrays = _Arrays(recording.array_bytes)
        self.other_bytes = self.most_bytes = 0
        self.has_cycles = False
        self._mode = mode
        self._kept = _Gradients(self.arrays)
        self._arrived = _Gradients(self.arrays)
        self._data: dict[int, int] = {}
        self._holders: Counter[int] = Counter()
        self._held: set[int] = set()
        self._creator: dict[int, int] = {}
        self._nodes: dict[int, _Node] = {}
        self._waiting: set[int] = set()
        #: The rounded data of a variable, as a function saved it last.
        self._rounded: dict[int, int] = {}
        self._pass: _Pass | None = None
        self._held_functions: set[int] = set()
        self.collector = _Collector(mode.thresholds, mode.counted, shifts) if mode.thresholds else None

    def take(self, event: Event) -> None:
        """Do what the recording says, by the rules of the mode."""
        self.most_bytes = 0
        match event:
            case Born(_, variable, array):
                self._counting(leaf_node(), lambda: self._make(variable, array))
            case Called():
                self._counting(call_node(len(event.outputs)), lambda: self._call(event), event.function)
            case WentBack():
                self._go_back(event)
            case Stepped():
                self._step(event)
            case PassedOn():
                self._pass_on(event)
            case StepEnded():
                self._end_step(event)
            case GaveUp():
                self._give_up()
            case LetGo(variable):
                self._held.discard(variable)
                self._release([variable])
            case FunctionLetGo(function):
                self._held_functions.discard(function)
                self._release(self._drop_functions([function]))
            case ArrayTaken(array):
                self.arrays.hold(array)
            case ArrayLetGo(array):
                self.arrays.drop(array)
            case GradientSet(variable, gradient):
                self._kept.set(variable, gradient)
            case Replaced(variable, array):
                self.arrays.hold(array)
                self.arrays.drop(self._data[variable])
                self._data[variable] = array
                self._rounded.pop(variable, None)
            case Unchained(variable):
                self._unchain(variable)
            case Collected(generation):
                self._collect(generation)
            case Iterated(step, steps):
                at_end = self._mode.at_epoch_end and step + 1 == steps
                if at_end or (self._mode.every and (step + 1) % self._mode.every == 0):
                    self._collect(2)

    def records(self, call: Called) -> bool:
        """Return whether a call leaves its function in the graph."""
        return _decided(call.enable_backprop, self._mode.enable_backprop)

    def _counting(self, node: Node, make: Callable[[], None], function: int | None = None) -> None:
        """Make what a node stands for, and collect where that falls in between."""
        collector = self.collector
        if collector is None:
            make()
            return
        generation = 0
        for moment, due in collector.counts.make(node):
            if moment == "with":
                make()
                self._notice(self.arrays.alive_bytes)
            if due:
                oldest = collector.counts.begin()
                if moment == "before":
                    # The call is there already, and moves up.
                    generation = oldest + 1
                self._collect(oldest)
            if moment == "with" and function in collector.generations:
                collector.generations[function] = generation

    def _notice(self, alive_bytes: int) -> None:
        self.most_bytes = max(self.most_bytes, alive_bytes + self.other_bytes)

    def _make(self, variable: int, array: int) -> None:
        self._data[variable] = array
        self.arrays.hold(array)
        self._held.add(variable)
        self._holders[variable] = 1

    def _call(self, call: Called) -> None:
        for variable, array in zip(call.outputs, call.arrays, strict=True):
            self._make(variable, array)
        node = _Node(call.outputs, self.records(call), holders=1)
        self._nodes[call.function] = node
        self._held_functions.add(call.function)
        node.attributes = [*call.attributes]
        node.saved = [*call.keeps]
        if node.recorded:
            self._record(call, node)
        for array in [*node.saved, *node.attributes]:
            self.arrays.hold(array)

    def _record(self, call: Called, node: _Node) -> None:
        node.saved += call.saved
        for array, variable in call.rounded:
            # All that save one variable share one rounded array, as long as one of them is there.
            earlier = self._rounded.get(variable)
            if earlier is not None and self.arrays.is_held(earlier):
                self.arrays.is_same(array, earlier)
            else:
                self._rounded[variable] = array
        node.inputs = [call.inputs[place] for place in call.held]
        self._holders.update(node.inputs)
        unheld = [x for place, x in enumerate(call.inputs) if place not in call.held]
        node.places = [self._creator[x] for x in unheld if x in self._creator]
        for function in node.places:
            self._nodes[function].holders += 1
        if _decided(call.references, self._mode.references) == "strong":
            self.has_cycles = True
            node.strong_outputs = [*call.outputs]
            self._holders.update(call.outputs)
        for variable in call.outputs:
            self._creator[variable] = call.function
        node.holders += len(call.outputs)
        if self.collector:
            self.collector.generations[call.function] = 0

    def _unchain(self, variable: int) -> None:
        function = self._creator.pop(variable, None)
        if function is not None:
            self._release(self._drop_functions([function]))

    def _go_back(self, went: WentBack) -> None:
        if went.root not in self._creator:
            if not self._mode.enable_backprop:
                raise _ImpossibleError
            return
        self._pass = _Pass(
            retain_grad=_decided(went.retain_grad, self._mode.retain_grad),
            retain_graph=_decided(went.retain_graph, self._mode.retain_graph),
            in_place=_decided(went.accumulation, self._mode.accumulation) == "in_place",
            root=went.root,
            seed=self._kept.take(went.root),
        )

    def _pass_on(self, passed: PassedOn) -> None:
        now = self._pass
        if now is None:
            raise _ImpossibleError
        gradient = passed.gradient
        if now.step is None and now.seed is not None:
            # The pass starts from the gradient that an earlier one left. A function that passes on what it is given
            # hands on that array, where the recording has the one that it started from itself.
            self.arrays.is_same(gradient.array, now.seed.array)
            gradient = now.seed
        creator = self._creator.get(passed.variable)
        gradients = self._kept if creator is None else self._arrived
        self._notice(gradients.add(passed.variable, gradient, passed.total, in_place=now.in_place))
        if now.step is None and now.seed is not None:
            self.arrays.drop(now.seed.array)
            now.seed = None
        if creator is not None and creator not in self._waiting:
            self._waiting.add(creator)
            self._nodes[creator].holders += 1

    def _step(self, step: Stepped) -> None:
        """Hold what a function was given and has computed; what arrived at its outputs is what it was given."""
        node = self._nodes.get(step.function)
        if node is None or not node.recorded or node.emptied or self._pass is None:
            raise _ImpossibleError
        self._pass.step = step
        self._pass.given = []
        for variable, gradient in zip(node.outputs, step.output_gradients, strict=True):
            arrived = self._arrived.take(variable)
            if arrived is None:
                self.arrays.hold(gradient.array)
            self._pass.given.append(arrived or gradient)
        for computed in step.input_gradients:
            if computed is not None:
                self.arrays.hold(computed.array)
        if self.collector and self.collector.counts.passes(STEPPED):
            self._collect(self.collector.counts.begin())

    def _end_step(self, ended: StepEnded) -> None:
        """Let go of what a step needed, and keep the gradients of its outputs if they are to be kept."""
        now, node = self._pass, self._nodes[ended.function]
        assert now is not None
        assert now.step is not None
        recorded = now.step.output_gradients
        for variable, given, kept, alone in zip(node.outputs, now.given, ended.kept, recorded, strict=True):
            if variable in self._data and now.retain_grad:
                # What was kept when the recording was made is a sum only where something was there before.
                total = kept if kept is not None and kept.array != alone.array else None
                self._notice(self._kept.add(variable, given, total, in_place=now.in_place))
            else:
                self._kept.set(variable, None)
        for gradient in (*now.given, *now.step.input_gradients):
            if gradient is not None:
                self.arrays.drop(gradient.array)
        now.given = []
        if not now.retain_graph:
            self._release(self._empty(node))
        self._waiting.discard(ended.function)
        self._release(self._drop_functions([ended.function]))

    def _give_up(self) -> None:
        """Let go of what a pass has, and of the functions that it would have come to."""
        now, self._pass = self._pass, None
        if now is None:
            return
        if now.seed is not None:
            self.arrays.drop(now.seed.array)
        if now.given and now.step is not None:
            for gradient in (*now.given, *now.step.input_gradients):
                if gradient is not None:
                    self.arrays.drop(gradient.array)
        self._arrived.clear()
        waiting, self._waiting = self._waiting, set()
        self._release(self._drop_functions(waiting))

    def _release(self, variables: Iterable[int]) -> None:
        """Take one holder from each variable, and go on with what nobody holds then."""
        waiting = list(variables)
        while waiting:
            variable = waiting.pop()
            self._holders[variable] -= 1
            if self._holders[variable]:
                continue
            self.arrays.drop(self._data.pop(variable))
            self._kept.set(variable, None)
            # The number still stands for a place in the graph, where a function holds that.
            if variable in self._creator:
                waiting.extend(self._drop_functions([self._creator[variable]]))

    def _drop_functions(self, functions: Iterable[int]) -> list[int]:
        """Take one holder from each function, and return the variables that those held which nobody holds then."""
        held: list[int] = []
        waiting = list(functions)
        while waiting:
            function = waiting.pop()
            node = self._nodes.get(function)
            if node is None:
                continue
            node.holders -= 1
            if not node.holders:
                places, node.places = node.places, []
                waiting.extend(places)
                held.extend(self._forget(function))
        return held

    def _forget(self, function: int) -> list[int]:
        """Take a function out of the graph, and return the variables that it held."""
        node = self._nodes[function]
        held = [*self._empty(node), *node.strong_outputs]
        for array in node.attributes:
            self.arrays.drop(array)
        del self._nodes[function]
        for variable in node.outputs:
            self._creator.pop(variable, None)
        if self.collector:
            self.collector.generations.pop(function, None)
        return held

    def _empty(self, node: _Node) -> list[int]:
        """Take from a function what it saved, and return the variables that it held."""
        held, places = node.inputs, node.places
        for array in node.saved:
            self.arrays.drop(array)
        node.inputs, node.places, node.saved, node.emptied = [], [], [], True
        return held + self._drop_functions(places)

    def _collect(self, oldest: int) -> None:
        """Free what nobody can reach of the generations up to `oldest`; what survives moves up."""
        generations = self.collector.generations if self.collector else {}
        young = [
            function
            for function, node in self._nodes.items()
            if node.recorded and generations.get(function, 0) <= oldest
        ]
        older = [function for function, generation in generations.items() if generation > oldest]
        reached = self._functions_behind(
            [
                *[self._creator[x] for x in self._held if x in self._creator],
                *self._held_functions,
                *self._waiting,
                *older,
            ]
        )
        garbage = [function for function in young if function not in reached]
        tuples = sum(call_node(len(self._nodes[function].outputs)).tuples for function in garbage)
        for function in garbage:
            if function in self._nodes:
                self._release(self._forget(function))
        if self.collector:
            self.collector.counts.freed(tuples)
            for function, generation in generations.items():
                if generation <= oldest:
                    generations[function] = min(oldest + 1, 2)

    def _functions_behind(self, functions: Iterable[int]) -> set[int]:
        reached: set[int] = set()
        waiting = list(functions)
        while waiting:
            function = waiting.pop()
            if function not in reached and function in self._nodes:
                reached.add(function)
                node = self._nodes[function]
                near = [*node.inputs, *node.strong_outputs]
                waiting.extend([self._creator[x] for x in near if x in self._creator])
                waiting.extend(node.places)
        return reached


class _Collector:
    """Counts and generations, for each function of a graph."""

    def __init__(self, thresholds: Sequence[int], counted: int, shifts: Iterator[int] | None) -> None:
        self.counts = Counts(thresholds, counted, shifts)
        self.generations: dict[int, int] = {}
        self._threshold = thresholds[0]

    @property
    def may_come(self) -> bool:
        """Whether a collection may have come: far from the threshold it is never reached."""
        return self.counts.made > self._threshold / 4
