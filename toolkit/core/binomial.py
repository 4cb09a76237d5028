"""Binomial checkpointing: a chain undone with a few states kept, by the schedule of revolve.

Source: Griewank and Walther 2000, Algorithm 799 (revolve), ACM TOMS 26(1): to undo l steps with c kept states, the
first among them, takes ``r l - C(c+r, c+1)`` steps forward, with the least r for which ``C(c+r, c) >= l``.
It counts the sweep that makes the last state as one more; where that is needed anyway, as here, another choice of
states may take a few steps fewer: 328 in place of 329 for 64 steps and 3 states.
"""

from collections.abc import Sequence
from functools import cache
from math import comb
from typing import Any

from toolkit.core.backward import gradients
from toolkit.core.checkpointing import Step, computed_apart
from toolkit.core.config import current_config, no_grad, using_config
from toolkit.core.function import Function
from toolkit.core.variable import Array, Operand, Variable, as_variable

__all__ = ["Binomial", "advances", "checkpoint_binomial", "first_part"]


@cache
def advances(steps: int, states: int) -> int:
    """Return the least number of steps forward, as revolve counts them, that undoing a chain takes."""
    repeats = 0
    while comb(states + repeats, states) < steps:
        repeats += 1
    return repeats * steps - comb(states + repeats, states + 1)


@cache
def first_part(steps: int, states: int) -> int:
    """Return after how many steps the second state is kept: the one of the least cost."""
    return min(
        range(1, steps),
        key=lambda part: (part + advances(part, states) + advances(steps - part, states - 1), part),
    )


class Binomial(Function):
    """A chain of which the graph keeps a few states."""

    __slots__ = ("_made", "_states", "_steps", "kept")
    keeps = ("kept",)

    def __init__(
        self, steps: Sequence[Step], states: int, made: Array, kept: list[tuple[int, Array]]
    ) -> None:
        self._steps = steps
        self._states = states
        self._made = made
        self.kept = kept

    def forward(self, *_: Array) -> Array:
        """Hand out what was computed already, without a graph."""
        made = self._made
        del self._made
        return made

    def backward(self, gy: Any) -> tuple[Any, ...]:
        """Undo part after part, from the last kept state to the first."""
        if isinstance(gy, Variable):
            raise RuntimeError("checkpoint_binomial has no gradient of its gradient; checkpoint_every has")
        undoing = _Undoing(self._steps, self.inputs[1:], gy)
        end = len(self._steps)
        while self.kept:
            # Its place is needed for the states of the part before: a second pass finds the first state alone.
            start, x = self.kept.pop()
            undoing.undo(x, start, end, self._states - len(self.kept) - 1)
            end = start
        x = self.inputs[0].data
        undoing.undo(x, 0, end, self._states)
        return (undoing.gradient, *undoing.outside_gradients)


class _Undoing:
    # The gradient of the state that was reached is an attribute: handed from call to call, every caller would hold
    # the one that it was given.
    def __init__(self, steps: Sequence[Step], outside: tuple[Variable, ...], gradient: Array) -> None:
        self._steps = steps
        self._outside = outside
        self.gradient = gradient
        self.outside_gradients: list[Any] = [None] * len(outside)

    def undo(self, x: Array, start: int, end: int, states: int) -> None:
        """Go back from the state before step `end` to `x`, the one before step `start`."""
        if states > 1 and end - start > 1:
            middle = start + first_part(end - start, states)
            self.undo(advanced(self._steps[start:middle], x), middle, end, states - 1)
            self.undo(x, start, middle, states)
            return
        for place in range(end - 1, start - 1, -1):
            self._undo_one(self._steps[place], advanced(self._steps[start:place], x))

    def _undo_one(self, step: Step, data: Array) -> None:
        x = Variable(data)
        self.gradient, *others = gradients(
            _recorded(step, x), (x, *self._outside), [self.gradient], retain_graph=False
        )
        for place, gradient in enumerate(others):
            if gradient is not None:
                known = self.outside_gradients[place]
                self.outside_gradients[place] = gradient if known is None else known + gradient


def _recorded(step: Step, x: Variable) -> Variable:
    with using_config(enable_backprop=True):
        return step(x)


def advanced(steps: Sequence[Step], data: Array) -> Array:
    """Return what steps make of an array, without a graph."""
    with no_grad():
        for step in steps:
            data = step(Variable(data)).data
    return data


def checkpoint_binomial(steps: Sequence[Step], x: Operand, states: int) -> Variable:
    """Return what a chain of steps makes of `x`, keeping no more than `states` states between them.

    Parameters
    ----------
    steps : sequence of callable
        One at least; each takes what the one before returned. What they take from outside, such as parameters,
        is found and has its gradient as well.
    x : Variable, numpy.ndarray or scalar
        What goes into the first.
    states : int
        How many states are kept at once, `x` among them: 1 or more.

    Raises
    ------
    ValueError
        There is no step, or `states` is less than 1.
    """
    if not steps or states < 1:
        raise ValueError(f"a chain has a step and a state, at least, not {len(steps)} and {states}")
    y = as_variable(x)
    if not current_config().enable_backprop:
        for step in steps:
            y = step(y)
        return y
    kept: list[tuple[int, Array]] = []
    outside: dict[int, Variable] = {}
    data = y.data
    ends = _kept_at(len(steps), states)
    for place, step in enumerate(steps):
        if place in ends:
            kept.append((place, data))
        (data,), found = computed_apart(step, (Variable(data),))
        outside.update({id(one): one for one in found})
    result: Variable = Binomial(steps, states, data, kept)(y, *outside.values())
    return result


def _kept_at(steps: int, states: int) -> set[int]:
    """Return after how many steps the first sweep keeps a state, `x` itself left out."""
    places, start = set(), 0
    while states > 1 and steps - start > 1:
        start += first_part(steps - start, states)
        places.add(start)
        states -= 1
    return places
