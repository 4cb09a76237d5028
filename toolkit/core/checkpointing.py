"""Checkpointing: keep the inputs of a part of a computation, and compute the rest again in the backward pass.

Of a chain of k steps, cut into parts of s steps, the inputs of the parts are kept: about k/s + s arrays in place of
k, for one more evaluation of each step (Chen et al. 2016, arXiv 1604.06174).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import isqrt
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary, WeakSet

from toolkit.core.backward import gradients, place_of
from toolkit.core.config import current_config, no_grad, using_config
from toolkit.core.events import Listener, listening
from toolkit.core.function import Function
from toolkit.core.saving import Guarded
from toolkit.core.variable import Array, Operand, Variable, as_variable

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Checkpoint", "Step", "checkpoint", "checkpoint_every", "computed_apart"]

#: A step of a chain.
Step: TypeAlias = Callable[[Variable], Variable]


class Checkpoint(Function):
    """A computation of which the graph keeps the inputs alone, those among them that it takes from outside."""

    __slots__ = ("_compute", "_count", "_made", "_rng", "_state")

    def __init__(
        self,
        compute: Callable[..., Any],
        count: int,
        made: tuple[Array, ...],
        rng: "np.random.Generator | None" = None,
        state: Any = None,
    ) -> None:
        self._compute = compute
        self._count = count
        self._made = made
        self._rng, self._state = rng, state

    def forward(self, *_: Array) -> tuple[Array, ...]:
        """Hand out what was computed already, without a graph."""
        made = self._made
        del self._made
        return made

    def backward(self, *gys: Any) -> tuple[Any, ...]:
        """Compute again, with a graph, and go back through it as far as the inputs."""
        create_graph = any(isinstance(gy, Variable) for gy in gys)
        places_of_outputs: list[int] = []
        # The outputs are nobody's but the call's below: their arrays are gone when the way back begins.
        gxs = gradients(
            self._outputs(places_of_outputs),
            self.variables(),
            [gys[place] for place in places_of_outputs],
            retain_graph=create_graph,
            create_graph=create_graph,
        )
        # An input that came twice has its whole gradient at either place, and the pass would add them.
        first: dict[Any, int] = {}
        xs = [x.variable if isinstance(x, Guarded) else x for x in self.inputs]
        places = [first.setdefault(place_of(x), at) for at, x in enumerate(xs)]
        return tuple([gx if places[at] == at else None for at, gx in enumerate(gxs)])

    def _outputs(self, places: list[int]) -> list[Variable]:
        """Return the outputs that have a gradient, and add their places to `places`."""
        with using_config(enable_backprop=True), _drawing_again(self._rng, self._state):
            ys = self._compute(*self.variables()[: self._count])
        ys = ys if isinstance(ys, tuple) else (ys,)
        places += [place for place, y in enumerate(ys) if not y.untracked and y.dtype.kind == "f"]
        return [ys[place] for place in places]


def checkpoint(compute: Callable[..., Any], *xs: Operand, rng: "np.random.Generator | None" = None) -> Any:
    """Return ``compute(*xs)``, of which the graph keeps the inputs alone: the backward pass computes it again.

    Parameters
    ----------
    compute : callable
        Takes variables and returns a variable or a tuple of variables, the same ones for the same inputs. What it
        takes from outside, such as parameters, is found and has its gradient as well.
    *xs : Variable, numpy.ndarray or scalar
        Its inputs.
    rng : numpy.random.Generator, optional
        What draws inside of `compute`. It is put back for the second time, so that the same numbers are drawn.

    Returns
    -------
    Variable or tuple of Variable
        As `compute` has it.

    Raises
    ------
    ValueError
        `compute` leaves elements out at random (`dropout`), by another generator than `rng`.
    """
    inputs = tuple([as_variable(x) for x in xs])
    if not current_config().enable_backprop:
        return compute(*inputs)
    state = None if rng is None else rng.bit_generator.state
    arrays, outside = computed_apart(compute, inputs, rng)
    return Checkpoint(compute, len(inputs), arrays, rng, state)(*inputs, *outside)


def checkpoint_every(steps: Sequence[Step], x: Operand, every: int | None = None) -> Variable:
    """Return what a chain of steps makes of `x`, keeping what goes into every part of `every` steps.

    Parameters
    ----------
    steps : sequence of callable
        Each takes what the one before returned.
    x : Variable, numpy.ndarray or scalar
        What goes into the first.
    every : int, optional
        How many steps a part has; without it the root of their number, which needs the least memory.

    Raises
    ------
    ValueError
        `every` is less than 1.
    """
    size = max(1, isqrt(len(steps))) if every is None else every
    if size < 1:
        raise ValueError(f"a part has one step or more, not {every}")
    y = as_variable(x)
    for start in range(0, len(steps), size):
        y = checkpoint(_Part(steps[start : start + size]), y)
    return y


class _Part:
    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps

    def __call__(self, x: Variable) -> Variable:
        for step in self._steps:
            x = step(x)
        return x


def computed_apart(
    compute: Callable[..., Any], inputs: tuple[Variable, ...], rng: "np.random.Generator | None" = None
) -> tuple[tuple[Array, ...], tuple[Variable, ...]]:
    """Return the arrays that `compute` makes without a graph, and the variables that it takes from outside."""
    outside = _Outside(inputs, rng)
    with no_grad(), listening(outside):
        ys = compute(*inputs)
    arrays = tuple([y.data for y in (ys if isinstance(ys, tuple) else (ys,))])
    return arrays, outside.found()


class _Outside(Listener):
    """Finds what a computation takes beside its inputs, and did not make."""

    def __init__(self, inputs: tuple[Variable, ...], rng: "np.random.Generator | None") -> None:
        # Weak references, not ids: those of what has died go to what is made after it, such as a parameter.
        self._known = WeakSet(inputs)
        self._rng = rng
        self._thread = get_ident()
        #: In the order in which they were met, which a dictionary keeps and a set does not.
        self._found: WeakKeyDictionary[Variable, None] = WeakKeyDictionary()

    def called(self, function: Function, inputs: tuple[Variable, ...], outputs: tuple[Variable, ...]) -> None:
        # Listeners hear all threads, and what others compute is no part of this.
        if get_ident() != self._thread:
            return
        drawn_by = getattr(function, "rng", None)
        if drawn_by is not None and drawn_by is not self._rng:
            raise ValueError(
                f"{type(function).__name__} draws at random inside of a checkpoint, which would draw other numbers "
                "when it is computed again: hand its generator to checkpoint as rng"
            )
        for x in inputs:
            if x not in self._known:
                self._found[x] = None
        self._known.update(outputs)

    def found(self) -> tuple[Variable, ...]:
        """Return what is still alive, now that the computation has ended: what it made of numbers is not."""
        return tuple(self._found)


@contextmanager
def _drawing_again(rng: "np.random.Generator | None", state: Any) -> Iterator[None]:
    if rng is None:
        yield
        return
    now = rng.bit_generator.state
    rng.bit_generator.state = state
    try:
        yield
    finally:
        rng.bit_generator.state = now
