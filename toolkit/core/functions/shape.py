"""The same elements in another shape, and the two directions of broadcasting."""

from typing import Any, TypeAlias

import numpy as np

from toolkit.core.broadcasting import reduce_to
from toolkit.core.function import Function, compute
from toolkit.core.variable import Array, Operand, Variable

__all__ = [
    "BroadcastTo",
    "Reshape",
    "SumTo",
    "Transpose",
    "broadcast_to",
    "reshape",
    "sum_to",
    "transpose",
]

_Shape: TypeAlias = int | tuple[int, ...]


class Reshape(Function):
    """The same elements in the same order, in another shape."""

    __slots__ = ("shape",)
    needs_inputs = False

    def __init__(self, shape: _Shape) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        """Reshape: a view where numpy can make one."""
        return x.reshape(self.shape)

    def backward(self, gy: Any) -> Any:
        """Give the gradient the shape of the input."""
        return gy.reshape(self.inputs[0].shape)


class Transpose(Function):
    """The axes in another order."""

    __slots__ = ("axes",)
    needs_inputs = False

    def __init__(self, axes: tuple[int, ...] | None = None) -> None:
        self.axes = axes

    def forward(self, x: Array) -> Array:
        """Permute the axes: a view."""
        return np.transpose(x, self.axes)

    def backward(self, gy: Any) -> Any:
        """Permute the axes back."""
        if self.axes is None:
            return gy.transpose()
        order = [axis % gy.ndim for axis in self.axes]
        return gy.transpose(tuple([order.index(axis) for axis in range(gy.ndim)]))


class BroadcastTo(Function):
    """The elements repeated along new or stretched axes."""

    __slots__ = ("shape",)
    needs_inputs = False

    def __init__(self, shape: _Shape) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        """Broadcast: a read-only view."""
        return np.broadcast_to(x, self.shape)

    def backward(self, gy: Any) -> Any:
        """Add up the gradients of every repetition."""
        return reduce_to(gy, self.inputs[0].shape)


class SumTo(Function):
    """The sum over the axes that broadcasting would add or stretch."""

    __slots__ = ("shape",)
    needs_inputs = False

    def __init__(self, shape: _Shape) -> None:
        self.shape = shape if isinstance(shape, tuple) else (shape,)

    def forward(self, x: Array) -> Array:
        """Add up; where there is nothing to add, the array itself."""
        sizes = zip(reversed(self.shape), reversed(x.shape), strict=False)
        if len(self.shape) > x.ndim or not all(size in (1, full) for size, full in sizes):
            raise ValueError(f"{self.shape} does not broadcast to {x.shape}, so there is no sum to it")
        y: Array = reduce_to(x, self.shape)
        return y

    def backward(self, gy: Any) -> Any:
        """Hand the gradient on to every element that was added: a read-only view."""
        return compute(BroadcastTo(self.inputs[0].shape), gy)


def reshape(x: Operand, shape: _Shape) -> Variable:
    """Return the elements of `x`, in the same order, in `shape`.

    Parameters
    ----------
    x : Variable, numpy.ndarray or scalar
        Any shape.
    shape : int or tuple of int
        One size may be -1: it follows from the others.

    Returns
    -------
    Variable
        Shares its memory with `x` where numpy can make a view.

    Raises
    ------
    ValueError
        `shape` does not hold as many elements.
    """
    y: Variable = Reshape(shape).apply(x)
    return y


def transpose(x: Operand, axes: tuple[int, ...] | None = None) -> Variable:
    """Return `x` with its axes in the order `axes`.

    Parameters
    ----------
    x : Variable, numpy.ndarray or scalar
        Any shape.
    axes : tuple of int, optional
        Every axis once; negative ones count from the last. Without it the axes are reversed.

    Returns
    -------
    Variable
        Shares its memory with `x`.

    Raises
    ------
    ValueError
        `axes` does not name every axis once.
    """
    y: Variable = Transpose(axes).apply(x)
    return y


def broadcast_to(x: Operand, shape: _Shape) -> Variable:
    """Return `x` repeated, as numpy broadcasts it, so that it has `shape`.

    Parameters
    ----------
    x : Variable, numpy.ndarray or scalar
        Of a shape that broadcasts to `shape`.
    shape : int or tuple of int
        The shape of the result.

    Returns
    -------
    Variable
        A read-only view of the memory of `x`.

    Raises
    ------
    ValueError
        `x` does not broadcast to `shape`.
    """
    y: Variable = BroadcastTo(shape).apply(x)
    return y


def sum_to(x: Operand, shape: _Shape) -> Variable:
    """Return `x` summed so that it has `shape`: the way back of `broadcast_to`.

    Parameters
    ----------
    x : Variable, numpy.ndarray or scalar
        Of a shape that `shape` broadcasts to.
    shape : int or tuple of int
        The shape of the result.

    Returns
    -------
    Variable
        Shares its memory with `x` where there is nothing to sum. Its gradient reaches `x` as a read-only
        view.

    Raises
    ------
    ValueError
        `shape` does not broadcast to the shape of `x`.
    """
    y: Variable = SumTo(shape).apply(x)
    return y


def _reshape_method(self: Variable, *shape: int | tuple[int, ...]) -> Variable:
    return reshape(self, _unpacked(shape))


def _transpose_method(self: Variable, *axes: int | tuple[int, ...]) -> Variable:
    return transpose(self, _unpacked(axes) if axes else None)


def _unpacked(numbers: tuple[int | tuple[int, ...], ...]) -> tuple[int, ...]:
    first = numbers[0] if len(numbers) == 1 else numbers
    return first if isinstance(first, tuple) else (first,)  # type: ignore[return-value]


Variable.reshape = _reshape_method  # type: ignore[method-assign]
Variable.transpose = _transpose_method  # type: ignore[method-assign]
Variable.T = property(transpose)  # type: ignore[assignment,method-assign]
