"""Joining arrays along an axis, and splitting one into several."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from toolkit.core.function import Function, compute
from toolkit.core.variable import Array, Operand, Variable

__all__ = ["Concatenate", "Split", "concatenate", "split", "stack"]


class Concatenate(Function):
    """Arrays one after the other along an axis."""

    __slots__ = ("axis",)
    needs_inputs = False

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, *xs: Array) -> Array:
        """Copy them into one array."""
        return np.concatenate(xs, self.axis)

    def backward(self, gy: Any) -> tuple[Any, ...]:
        """Hand each its part of the gradient: views."""
        ends = [0, *accumulate([x.shape[self.axis] for x in self.inputs])]
        parts = [gy[_part(gy.ndim, self.axis, *ends[i : i + 2])] for i in range(len(self.inputs))]
        return tuple(
            [
                part if part.dtype == x.dtype else part.astype(x.dtype)
                for part, x in zip(parts, self.inputs, strict=True)
            ]
        )


class Split(Function):
    """One array in several parts along an axis."""

    __slots__ = ("axis", "ends")
    needs_inputs = False

    def __init__(self, ends: Sequence[int], axis: int) -> None:
        self.ends = ends
        self.axis = axis

    def forward(self, x: Array) -> tuple[Array, ...]:
        """Cut: views."""
        axis = normalize_axis_index(self.axis, x.ndim)
        starts = [0, *self.ends[:-1]]
        return tuple([x[_part(x.ndim, axis, *ends)] for ends in zip(starts, self.ends, strict=True)])

    def backward(self, *gys: Any) -> Any:
        """Join the gradients."""
        return compute(Concatenate(self.axis), *gys)


def _part(ndim: int, axis: int, start: int, end: int) -> tuple[slice, ...]:
    return (slice(None),) * (axis % ndim) + (slice(start, end),)


def concatenate(xs: Sequence[Operand], axis: int = 0) -> Variable:
    """Return `xs` one after the other along `axis`.

    Parameters
    ----------
    xs : sequence of Variable or numpy.ndarray
        One at least, of one shape but for `axis`; dtypes promote.
    axis : int
        Negative ones count from the last.

    Raises
    ------
    ValueError
        The shapes do not fit, there is nothing to join, or there is no such axis.
    """
    y: Variable = Concatenate(axis).apply(*xs)
    return y


def stack(xs: Sequence[Operand], axis: int = 0) -> Variable:
    """Return `xs`, all of one shape, side by side along a new `axis`; parameters as those of `concatenate`."""
    new = [_with_axis(x, axis) for x in xs]
    return concatenate(new, axis)


def _with_axis(x: Operand, axis: int) -> Variable:
    variable = x if isinstance(x, Variable) else Variable(np.asarray(x))
    place = normalize_axis_index(axis, variable.ndim + 1)
    return variable.reshape((*variable.shape[:place], 1, *variable.shape[place:]))


def split(x: Operand, parts: int | Sequence[int], axis: int = 0) -> tuple[Variable, ...]:
    """Return `x` cut into several parts along `axis`, all outputs of one function.

    Parameters
    ----------
    x : Variable or numpy.ndarray
        One dimension at least.
    parts : int or sequence of int
        How many equal parts, or the positions at which to cut, in rising order.
    axis : int
        Negative ones count from the last.

    Returns
    -------
    tuple of Variable
        Views of the memory of `x`.

    Raises
    ------
    ValueError
        `x` cannot be cut so, or there is no such axis.
    """
    variable = x if isinstance(x, Variable) else Variable(np.asarray(x))
    size = variable.shape[normalize_axis_index(axis, variable.ndim)]
    if isinstance(parts, int):
        if parts < 1 or size % parts:
            raise ValueError(f"{size} elements cannot be cut into {parts} equal parts")
        ends = [size // parts * (i + 1) for i in range(parts)]
    else:
        ends = [*parts, size]
        if any(start > end for start, end in zip([0, *ends], ends, strict=False)):
            raise ValueError(f"the positions to cut at must rise from 0 to {size}, not {list(parts)}")
    ys = Split(ends, axis).apply(variable)
    return ys if isinstance(ys, tuple) else (ys,)
