"""The graph of a recorded workload under a mode: who holds whom among variables, functions and the workload."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from toolkit.analysis.counting import Counts, call_node
from toolkit.analysis.simulation.arrays import Arrays, Gradients
from toolkit.recording import Called

__all__ = ["Collector", "FunctionNode", "Graph"]


@dataclass
class FunctionNode:
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


class Collector:
    """Counts and generations, for each function of a graph."""

    def __init__(self, thresholds: Sequence[int], counted: int, shifts: Iterator[int] | None) -> None:
        self.counts = Counts(thresholds, counted, shifts)
        self.generations: dict[int, int] = {}
        self._threshold = thresholds[0]

    @property
    def may_come(self) -> bool:
        """Whether a collection may have come: far from the threshold it is never reached."""
        return self.counts.made > self._threshold / 4


class Graph:
    """What is there of a graph at a moment.

    Parameters
    ----------
    arrays : Arrays
        What it holds is held there.
    collector : Collector or None
        None where Python runs no collections by itself.

    Attributes
    ----------
    gradients : Gradients
        Of variables that keep theirs.
    data : dict of int to int
        The array of each variable.
    creator : dict of int to int
        The function that made a variable.
    nodes : dict of int to FunctionNode
        The functions.
    waiting : set of int
        The functions that a backward pass is on its way to.
    has_cycles : bool
        Whether a function and its outputs have held each other.
    """

    def __init__(self, arrays: Arrays, collector: Collector | None) -> None:
        self.arrays, self.collector = arrays, collector
        self.gradients = Gradients(arrays)
        self.data: dict[int, int] = {}
        self.creator: dict[int, int] = {}
        self.nodes: dict[int, FunctionNode] = {}
        self.waiting: set[int] = set()
        self.has_cycles = False
        self._holders: Counter[int] = Counter()
        self._held: set[int] = set()
        self._held_functions: set[int] = set()
        #: The rounded data of a variable, as a function saved it last.
        self._rounded: dict[int, int] = {}

    def make(self, variable: int, array: int) -> None:
        """Make a variable, which the workload holds."""
        self.data[variable] = array
        self.arrays.hold(array)
        self._held.add(variable)
        self._holders[variable] = 1

    def replace(self, variable: int, array: int) -> None:
        """Give a variable other data."""
        self.arrays.hold(array)
        self.arrays.drop(self.data[variable])
        self.data[variable] = array
        self._rounded.pop(variable, None)

    def call(self, call: Called, *, recorded: bool, strong: bool) -> None:
        """Make a function and its outputs, which the workload holds.

        Parameters
        ----------
        call : Called
        recorded : bool
            Whether the function is part of the graph.
        strong : bool
            Whether it holds its outputs.
        """
        for variable, array in zip(call.outputs, call.arrays, strict=True):
            self.make(variable, array)
        node = FunctionNode(call.outputs, recorded, holders=1)
        self.nodes[call.function] = node
        self._held_functions.add(call.function)
        node.attributes = [*call.attributes]
        node.saved = [*call.keeps]
        if recorded:
            self._record(call, node, strong=strong)
        for array in [*node.saved, *node.attributes]:
            self.arrays.hold(array)

    def _record(self, call: Called, node: FunctionNode, *, strong: bool) -> None:
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
        node.places = [self.creator[x] for x in unheld if x in self.creator]
        for function in node.places:
            self.nodes[function].holders += 1
        if strong:
            self.has_cycles = True
            node.strong_outputs = [*call.outputs]
            self._holders.update(call.outputs)
        for variable in call.outputs:
            self.creator[variable] = call.function
        node.holders += len(call.outputs)
        if self.collector:
            self.collector.generations[call.function] = 0

    def let_go(self, variable: int) -> None:
        """Let the workload hold a variable no more."""
        self._held.discard(variable)
        self._release([variable])

    def let_go_function(self, function: int) -> None:
        """Let the workload hold a function no more."""
        self._held_functions.discard(function)
        self._release(self._drop_functions([function]))

    def unchain(self, variable: int) -> None:
        """Cut a variable off from the function that made it."""
        function = self.creator.pop(variable, None)
        if function is not None:
            self._release(self._drop_functions([function]))

    def wait_for(self, function: int) -> None:
        """Know that a pass is on its way to a function, and holds it."""
        if function not in self.waiting:
            self.waiting.add(function)
            self.nodes[function].holders += 1

    def come_to(self, function: int, *, retain_graph: bool) -> None:
        """Know that a pass has gone back through a function, and let go of what it needs no more."""
        if not retain_graph:
            self._release(self._empty(self.nodes[function]))
        self.waiting.discard(function)
        self._release(self._drop_functions([function]))

    def give_up(self) -> None:
        """Know that a pass will come to none of those that it was on its way to."""
        waiting, self.waiting = self.waiting, set()
        self._release(self._drop_functions(waiting))

    def _release(self, variables: Iterable[int]) -> None:
        """Take one holder from each variable, and go on with what nobody holds then."""
        waiting = list(variables)
        while waiting:
            variable = waiting.pop()
            self._holders[variable] -= 1
            if self._holders[variable]:
                continue
            self.arrays.drop(self.data.pop(variable))
            self.gradients.set(variable, None)
            # The number still stands for a place in the graph, where a function holds that.
            if variable in self.creator:
                waiting.extend(self._drop_functions([self.creator[variable]]))

    def _drop_functions(self, functions: Iterable[int]) -> list[int]:
        """Take one holder from each function, and return the variables that those held which nobody holds then."""
        held: list[int] = []
        waiting = list(functions)
        while waiting:
            function = waiting.pop()
            node = self.nodes.get(function)
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
        node = self.nodes[function]
        held = [*self._empty(node), *node.strong_outputs]
        for array in node.attributes:
            self.arrays.drop(array)
        del self.nodes[function]
        for variable in node.outputs:
            self.creator.pop(variable, None)
        if self.collector:
            self.collector.generations.pop(function, None)
        return held

    def _empty(self, node: FunctionNode) -> list[int]:
        """Take from a function what it saved, and return the variables that it held."""
        held, places = node.inputs, node.places
        for array in node.saved:
            self.arrays.drop(array)
        node.inputs, node.places, node.saved, node.emptied = [], [], [], True
        return held + self._drop_functions(places)

    def collect(self, oldest: int) -> None:
        """Free what nobody can reach of the generations up to `oldest`; what survives moves up."""
        generations = self.collector.generations if self.collector else {}
        young = [
            function
            for function, node in self.nodes.items()
            if node.recorded and generations.get(function, 0) <= oldest
        ]
        older = [function for function, generation in generations.items() if generation > oldest]
        reached = self._functions_behind(
            [
                *[self.creator[x] for x in self._held if x in self.creator],
                *self._held_functions,
                *self.waiting,
                *older,
            ]
        )
        garbage = [function for function in young if function not in reached]
        tuples = sum(call_node(len(self.nodes[function].outputs)).tuples for function in garbage)
        for function in garbage:
            if function in self.nodes:
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
            if function not in reached and function in self.nodes:
                reached.add(function)
                node = self.nodes[function]
                near = [*node.inputs, *node.strong_outputs]
                waiting.extend([self.creator[x] for x in near if x in self.creator])
                waiting.extend(node.places)
        return reached
