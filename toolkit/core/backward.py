"""The traversal: how gradients travel from a variable to the leaves (book steps 13 to 16 and 18.1)."""

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from toolkit.core import events
from toolkit.core.config import current_config

if TYPE_CHECKING:
    from toolkit.core.function import Function
    from toolkit.core.variable import Array, Variable

__all__ = ["go_backward"]


class _Queue(Protocol):
    """The functions that wait to be gone back through."""

    visits_once: bool

    def push(self, function: "Function") -> None: ...
    def pop(self) -> "Function": ...
    def __bool__(self) -> bool: ...


class _ByGeneration:
    """The youngest function first, each one once (steps 15.3 and 16.2): a heap, so nothing is ever sorted."""

    visits_once = True

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Function]] = []
        self._seen: set[Function] = set()

    def push(self, function: "Function") -> None:
        if function not in self._seen:
            # The count of functions seen breaks ties: the later one goes first, as in the book's sorted list.
            heappush(self._heap, (-function.generation, -len(self._seen), function))
            self._seen.add(function)

    def pop(self) -> "Function":
        return heappop(self._heap)[2]

    def __bool__(self) -> bool:
        return bool(self._heap)


class _LastInFirstOut:
    """The order of step 15.2, kept to show why it is wrong: a function is revisited for every path to it."""

    visits_once = False

    def __init__(self) -> None:
        self._stack: list[Function] = []

    def push(self, function: "Function") -> None:
        self._stack.append(function)

    def pop(self) -> "Function":
        return self._stack.pop()

    def __bool__(self) -> bool:
        return bool(self._stack)


def go_backward(root: "Variable", retain_grad: bool) -> None:
    """Carry the gradient of `root` back to the leaves; `Variable.backward` tells the rest."""
    seed = _seed(root)
    if root.creator is None:
        root.grad = seed
        return
    queue: _Queue = _ByGeneration() if current_config().traversal == "generation" else _LastInFirstOut()
    # What has arrived at a variable and not yet been passed on. It is kept apart from `grad`, so that a
    # second pass does not send on what the first one left there.
    arrived = {root: seed}
    root.grad = None
    queue.push(root.creator)
    del seed
    while queue:
        _step(queue.pop(), arrived, queue, retain_grad)
    if retain_grad:
        for variable, gradient in arrived.items():
            variable.grad = _accumulated(variable.grad, gradient, (), ())


def _seed(root: "Variable") -> "Array":
    if root.untracked:
        raise RuntimeError(
            "this variable was made while enable_backprop was False (no_grad), so no graph leads back from "
            "it; compute it with the graph switched on"
        )
    if root.data.dtype.kind != "f":
        raise TypeError(f"backward needs real floating data, and this variable holds {root.data.dtype}")
    if root.grad is None:
        return np.ones_like(root.data)
    seed = np.asarray(root.grad)
    if seed.shape != root.data.shape or seed.dtype != root.data.dtype:
        raise ValueError(
            f"backward starts from this variable's grad, which is {_layout(seed)}; "
            f"its data is {_layout(root.data)}"
        )
    return seed


def _step(function: "Function", arrived: "dict[Variable, Array]", queue: _Queue, retain_grad: bool) -> None:
    # One step is one call, so that its arrays die with it: the predicted peaks allow for no leftovers.
    outputs = function.live_outputs()
    gys = _output_gradients(function, outputs, arrived, take=queue.visits_once)
    gxs = function.backward(*gys)
    if type(gxs) is not tuple:
        gxs = (gxs,)
    if len(gxs) != len(function.inputs):
        raise ValueError(
            f"{type(function).__name__}.backward returned {len(gxs)} gradients "
            f"for {len(function.inputs)} inputs"
        )
    # All are checked before the first is passed on: a refused gradient leaves no half of a step behind.
    gxs = tuple([_checked(gx, function, position) for position, gx in enumerate(gxs)])
    for x, gx in zip(function.inputs, gxs, strict=True):
        if gx is None:
            continue
        if x.creator is None:
            x.grad = _accumulated(x.grad, gx, gys, gxs)
        else:
            arrived[x] = _accumulated(arrived.get(x), gx, gys, gxs)
            queue.push(x.creator)
    if events.listeners:
        events.announce_backward_step(function, gys, gxs)
    for output, gy in zip(outputs, gys, strict=True):
        if output is not None and queue.visits_once:
            output.grad = _accumulated(output.grad, gy, gys, gxs) if retain_grad else None


def _output_gradients(
    function: "Function",
    outputs: "tuple[Variable | None, ...]",
    arrived: "dict[Variable, Array]",
    *,
    take: bool,
) -> "tuple[Array, ...]":
    gradients = []
    for position, output in enumerate(outputs):
        gradient = None
        if output is not None:
            gradient = arrived.pop(output, None) if take else arrived.get(output)
        gradients.append(function.zero_gradient(position) if gradient is None else gradient)
    return tuple(gradients)


def _accumulated(
    gradient: "Array | None",
    more: "Array",
    gys: "tuple[Array, ...]",
    gxs: "tuple[Array | None, ...]",
) -> "Array":
    if gradient is None:
        return more
    # Out of place (step 14.2): functions such as Add hand the same array to several variables. A 0-d sum
    # comes back as a scalar.
    total = np.asarray(gradient + more)
    if events.listeners:
        events.announce_accumulation(gradient, total, gys, gxs)
    return total


def _checked(gradient: Any, function: "Function", position: int) -> "Array | None":
    if gradient is None:
        return None
    gradient = np.asarray(gradient)
    data = function.inputs[position].data
    if data.dtype.kind != "f":
        raise TypeError(
            f"input {position} of {type(function).__name__} holds {data.dtype}, which has no gradient: "
            "make it floating data, or let backward return None for it"
        )
    if gradient.shape != data.shape or gradient.dtype != data.dtype:
        raise ValueError(
            f"{type(function).__name__}.backward returned a gradient of {_layout(gradient)} "
            f"for input {position}, whose data is {_layout(data)}"
        )
    checked: Array = gradient
    return checked


def _layout(array: "Array") -> str:
    return f"shape {array.shape} and dtype {array.dtype}"
