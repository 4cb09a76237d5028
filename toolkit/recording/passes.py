"""What the recorder hears of backward passes: their begin and end, each step, each gradient passed on."""

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.core.config import current_config, named_toggles
from toolkit.core.function import Function
from toolkit.core.saving import StandIn
from toolkit.core.variable import Array, Variable
from toolkit.recording import (
    GaveUp,
    Gradient,
    GradientSet,
    Moment,
    PassedOn,
    StepEnded,
    Stepped,
    WentBack,
    Worked,
)

if TYPE_CHECKING:
    from toolkit.recording.recorder import Recorder

__all__ = ["Passes"]


class Passes:
    """Writes what backward passes do.

    Parameters
    ----------
    recorder : Recorder
        Into whose recording.
    """

    def __init__(self, recorder: "Recorder") -> None:
        self._recorder = recorder
        self._events = recorder.recording.events
        self._living, self._moments = recorder.living, recorder.moments
        self._stepping = self._passing = 0
        self._total: Gradient | None = None
        self._step: tuple[int, list[weakref.ref[Variable]]] = 0, []

    @property
    def under_way(self) -> bool:
        """Whether a pass is."""
        return bool(self._passing)

    @property
    def in_step(self) -> bool:
        """Whether a function computes its gradients."""
        return bool(self._stepping)

    def going_back(self, root: Variable, retain_grad: bool | None, retain_graph: bool | None) -> None:
        """Hear that a backward pass is about to begin."""
        if self._recorder.deaf:
            return
        self._recorder.check_toggles()
        self._recorder.settle()
        config, named = current_config(), named_toggles()
        number = self._recorder.known(root)
        if retain_grad is None and "retain_grad" in named:
            retain_grad = config.retain_grad
        if retain_graph is None and "retain_graph" in named:
            retain_graph = config.retain_graph
        accumulation = config.accumulation if "accumulation" in named else None
        self._events.append(WentBack(number, retain_grad, retain_graph, accumulation))
        self._passing += 1

    def gone_back(self, root: Variable, *, finished: bool) -> None:
        """Hear that a backward pass is over, or that it raised."""
        if self._recorder.deaf or not self._passing:
            return
        if not finished:
            self._events.append(GaveUp())
        number = self._living.numbers.known(root)
        if number is not None and number not in self._living.creator and root.grad is not None:
            # A leaf: the pass ended where it began.
            self._events.append(GradientSet(number, self._living.gradient(root.grad)))
            # Nothing else tells of this moment, which may be the highest.
            self._events.append(Worked(Moment(self._moments.other_bytes(), 0)))
        self._passing -= 1
        self._moments.leave()

    def passing(self, *, create_graph: bool, wanted: bool) -> None:
        """Hear how a pass goes about it."""
        if self._stepping:
            self._recorder.recording.computes_again = True
        elif create_graph:
            self._recorder.refuse("it records a backward pass (create_graph)")
        elif wanted:
            self._recorder.refuse("it calls gradients")

    def arrived(self, variable: Variable, gradient: Any) -> None:
        """Write down that a gradient was passed on, and the sum that it became part of."""
        if self._recorder.deaf:
            return
        # A stand-in is where a variable of the graph was, which it names by its creator.
        number = self._living.numbers.known(variable)
        if number is None and isinstance(variable, StandIn):
            number = self._living.output_of(variable)
        if number is None:
            number = self._recorder.known(variable)
        self._events.append(PassedOn(number, self._living.gradient(np.asarray(gradient)), self._total))
        self._total = None
        self._moments.leave()

    def stepping(self) -> bool:
        """Hear that a function is about to compute its gradients; return whether it is followed."""
        followed = not self._recorder.deaf
        if followed:
            self._moments.leave()
        self._stepping += 1
        return followed

    def stepped(self, function: Function, gys: tuple[Any, ...], gxs: Any, *, followed: bool) -> None:
        """Write down that a function has computed its gradients, before they are passed on."""
        self._stepping -= 1
        if not followed or self._recorder.deaf:
            return
        given = tuple([self._living.gradient(gy) for gy in gys])
        returned = tuple([None if gx is None else self._living.gradient(np.asarray(gx)) for gx in gxs])
        self._events.append(Stepped(self._moments.now(), self._living.numbers.of(function), given, returned))

    def step_begins(self, function: Function) -> None:
        """Remember whose step it is."""
        if not self._recorder.deaf:
            outputs = function.outputs
            self._step = (
                self._living.numbers.of(function),
                [y if isinstance(y, weakref.ref) else weakref.ref(y) for y in outputs],
            )

    def step_ended(self) -> None:
        """Write down that a step is over, and what it left."""
        if self._recorder.deaf:
            return
        number, outputs = self._step
        kept = []
        for reference in outputs:
            y = reference()
            kept.append(None if y is None or y.grad is None else self._living.gradient(y.grad))
        self._events.append(StepEnded(number, tuple(kept)))
        self._living.gone_back_through(number)
        self._moments.leave()

    def accumulated(self, total: Array) -> None:
        """Remember the sum of two gradients until it has arrived; the simulation counts it."""
        if not self._recorder.deaf:
            self._total = self._living.gradient(total)
            self._moments.leave()
