"""Backward passes under a mode: which gradients there are at each step, and what a step lets go of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from toolkit.analysis.counting import STEPPED
from toolkit.analysis.simulation import Mode
from toolkit.analysis.simulation.arrays import Gradients
from toolkit.analysis.simulation.graph import Graph
from toolkit.recording import Gradient, PassedOn, StepEnded, Stepped, WentBack

__all__ = ["ImpossibleError", "Passes", "decided"]


class ImpossibleError(Exception):
    """The workload raises under this mode."""


Toggle = TypeVar("Toggle")


def decided(own: Toggle | None, mode: Toggle) -> Toggle:
    """Return a toggle: as the workload sets it itself, or else as the mode has it."""
    return mode if own is None else own


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


class Passes:
    """What passes do, one at a time.

    Parameters
    ----------
    graph : Graph
        That they go back through.
    mode : Mode
    notice : callable
        ``notice(alive_bytes)`` is told of array data that is alive in between.
    """

    def __init__(self, graph: Graph, mode: Mode, notice: Callable[[int], None]) -> None:
        self._graph, self._arrays, self._mode, self._notice = graph, graph.arrays, mode, notice
        self._arrived = Gradients(self._arrays)
        self._pass: _Pass | None = None

    def go_back(self, went: WentBack) -> None:
        """Begin a pass."""
        if went.root not in self._graph.creator:
            if not self._mode.enable_backprop:
                raise ImpossibleError
            return
        self._pass = _Pass(
            retain_grad=decided(went.retain_grad, self._mode.retain_grad),
            retain_graph=decided(went.retain_graph, self._mode.retain_graph),
            in_place=decided(went.accumulation, self._mode.accumulation) == "in_place",
            root=went.root,
            seed=self._graph.gradients.take(went.root),
        )

    def pass_on(self, passed: PassedOn) -> None:
        """Give a variable a gradient, and wait for the function that made it."""
        now = self._pass
        if now is None:
            raise ImpossibleError
        gradient = passed.gradient
        if now.step is None and now.seed is not None:
            # The pass starts from the gradient that an earlier one left. A function that passes on what it is given
            # hands on that array, where the recording has the one that it started from itself.
            self._arrays.is_same(gradient.array, now.seed.array)
            gradient = now.seed
        creator = self._graph.creator.get(passed.variable)
        gradients = self._graph.gradients if creator is None else self._arrived
        self._notice(gradients.add(passed.variable, gradient, passed.total, in_place=now.in_place))
        if now.step is None and now.seed is not None:
            self._arrays.drop(now.seed.array)
            now.seed = None
        if creator is not None:
            self._graph.wait_for(creator)

    def step(self, step: Stepped) -> None:
        """Hold what a function was given and has computed; what arrived at its outputs is what it was given."""
        node = self._graph.nodes.get(step.function)
        if node is None or not node.recorded or node.emptied or self._pass is None:
            raise ImpossibleError
        self._pass.step = step
        self._pass.given = []
        for variable, gradient in zip(node.outputs, step.output_gradients, strict=True):
            arrived = self._arrived.take(variable)
            if arrived is None:
                self._arrays.hold(gradient.array)
            self._pass.given.append(arrived or gradient)
        for computed in step.input_gradients:
            if computed is not None:
                self._arrays.hold(computed.array)
        collector = self._graph.collector
        if collector and collector.counts.passes(STEPPED):
            self._graph.collect(collector.counts.begin())

    def end_step(self, ended: StepEnded) -> None:
        """Let go of what a step needed, and keep the gradients of its outputs if they are to be kept."""
        now, node = self._pass, self._graph.nodes[ended.function]
        assert now is not None
        assert now.step is not None
        recorded = now.step.output_gradients
        for variable, given, kept, alone in zip(node.outputs, now.given, ended.kept, recorded, strict=True):
            if variable in self._graph.data and now.retain_grad:
                # What was kept when the recording was made is a sum only where something was there before.
                total = kept if kept is not None and kept.array != alone.array else None
                self._notice(self._graph.gradients.add(variable, given, total, in_place=now.in_place))
            else:
                self._graph.gradients.set(variable, None)
        for gradient in (*now.given, *now.step.input_gradients):
            if gradient is not None:
                self._arrays.drop(gradient.array)
        now.given = []
        self._graph.come_to(ended.function, retain_graph=now.retain_graph)

    def give_up(self) -> None:
        """Let go of what a pass has, and of the functions that it would have come to."""
        now, self._pass = self._pass, None
        if now is None:
            return
        if now.seed is not None:
            self._arrays.drop(now.seed.array)
        if now.given and now.step is not None:
            for gradient in (*now.given, *now.step.input_gradients):
                if gradient is not None:
                    self._arrays.drop(gradient.array)
        self._arrived.clear()
        self._graph.give_up()
