"""The rules of the engine, applied to a recording event by event."""

from collections.abc import Callable, Iterator

from toolkit.analysis.counting import Node, call_node, leaf_node
from toolkit.analysis.simulation import Mode, Simulated
from toolkit.analysis.simulation.arrays import Arrays
from toolkit.analysis.simulation.graph import Collector, Graph
from toolkit.analysis.simulation.passes import ImpossibleError, Passes, decided
from toolkit.recording import (
    ArrayLetGo,
    ArrayTaken,
    Born,
    Called,
    Collected,
    Ended,
    Event,
    FunctionLetGo,
    GaveUp,
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

__all__ = ["simulate"]


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
        except ImpossibleError:
            return None
        peak = max(peak, engine.most_bytes)
        if isinstance(event, Born | Called | Stepped | Worked | Ended):
            engine.other_bytes = event.moment.other_bytes
            alive = engine.arrays.alive_bytes + event.moment.other_bytes
            above = event.moment.above_bytes
            if isinstance(event, Called) and not engine.records(event):
                above = event.above_unsaved_bytes
            peak = max(peak, alive + above)
    by_chance = engine.is_left_to_chance
    return Simulated(peak, None if by_chance else alive, not by_chance, engine.has_cycles)


class _Engine:
    """What there is at a moment, and the most that there was since the event before."""

    def __init__(self, recording: Recording, mode: Mode, shifts: Iterator[int] | None) -> None:
        self.arrays = Arrays(recording.array_bytes)
        self.other_bytes = self.most_bytes = 0
        self._mode = mode
        self._collector = Collector(mode.thresholds, mode.counted, shifts) if mode.thresholds else None
        self._graph = Graph(self.arrays, self._collector)
        self._passes = Passes(self._graph, mode, self._notice)

    @property
    def has_cycles(self) -> bool:
        """Whether functions and their outputs hold each other."""
        return self._graph.has_cycles

    @property
    def is_left_to_chance(self) -> bool:
        """Whether a collection that comes by counts of objects decides, or could decide, what is alive."""
        return self.has_cycles and self._collector is not None and self._collector.may_come

    def take(self, event: Event) -> None:
        """Do what the recording says, by the rules of the mode."""
        self.most_bytes = 0
        match event:
            case Born(_, variable, array):
                self._counting(leaf_node(), lambda: self._graph.make(variable, array))
            case Called():
                self._counting(call_node(len(event.outputs)), lambda: self._call(event), event.function)
            case WentBack():
                self._passes.go_back(event)
            case Stepped():
                self._passes.step(event)
            case PassedOn():
                self._passes.pass_on(event)
            case StepEnded():
                self._passes.end_step(event)
            case GaveUp():
                self._passes.give_up()
            case LetGo(variable):
                self._graph.let_go(variable)
            case FunctionLetGo(function):
                self._graph.let_go_function(function)
            case ArrayTaken(array):
                self.arrays.hold(array)
            case ArrayLetGo(array):
                self.arrays.drop(array)
            case GradientSet(variable, gradient):
                self._graph.gradients.set(variable, gradient)
            case Replaced(variable, array):
                self._graph.replace(variable, array)
            case Unchained(variable):
                self._graph.unchain(variable)
            case Collected(generation):
                self._graph.collect(generation)
            case Iterated(step, steps):
                at_end = self._mode.at_epoch_end and step + 1 == steps
                if at_end or (self._mode.every and (step + 1) % self._mode.every == 0):
                    self._graph.collect(2)

    def records(self, call: Called) -> bool:
        """Return whether a call leaves its function in the graph."""
        return decided(call.enable_backprop, self._mode.enable_backprop)

    def _counting(self, node: Node, make: Callable[[], None], function: int | None = None) -> None:
        """Make what a node stands for, and collect where that falls in between."""
        collector = self._collector
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
                self._graph.collect(oldest)
            if moment == "with" and function in collector.generations:
                collector.generations[function] = generation

    def _call(self, call: Called) -> None:
        strong = decided(call.references, self._mode.references) == "strong"
        self._graph.call(call, recorded=self.records(call), strong=strong)

    def _notice(self, alive_bytes: int) -> None:
        self.most_bytes = max(self.most_bytes, alive_bytes + self.other_bytes)
