"""The largest and the smallest element over axes."""

from typing import Any, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from toolkit.core.function import Function, compute
from toolkit.core.functions.shape import BroadcastTo
from toolkit.core.variable import Array, Operand, Variable

__all__ = ["Max", "Min", "max", "min"]

_Axis: TypeAlias = int | tuple[int, ...] | None


class _Extreme(Function):
    __slots__ = ("axis", "keepdims")

    def __init__(self, axis: _Axis = None, keepdims: bool = False) -> None:
        self.axis = axis
        self.keepdims = keepdims

    def backward(self, gy: Any) -> Any:
        """Share the gradient equally among the elements that are the extreme."""
        x = self.constant()
        axes = tuple(range(x.ndim)) if self.axis is None else normalize_axis_tuple(self.axis, x.ndim)
        kept = tuple([1 if axis in axes else size for axis, size in enumerate(x.shape)])
        found = x == np.asarray(self.forward(x)).reshape(kept)
        share = found / found.sum(axis=axes, keepdims=True)
        return compute(BroadcastTo(x.shape), gy.reshape(kept)) * share.astype(x.dtype)


class Max(_Extreme):
    """The largest element over `axis`."""

    __slots__ = ()

    def forward(self, x: Array) -> Array:
        """Find the largest."""
        y: Array = x.max(axis=self.axis, keepdims=self.keepdims)
        return y


class Min(_Extreme):
    """The smallest element over `axis`."""

    __slots__ = ()

    def forward(self, x: Array) -> Array:
        """Find the smallest."""
        y: Array = x.min(axis=self.axis, keepdims=self.keepdims)
        return y


def max(x: Operand, axis: _Axis = None, keepdims: bool = False) -> Variable:
    """Return the largest element of `x` over `axis`; parameters as those of `sum`.

    Elements that are equally large share the gradient equally.

    Raises
    ------
    ValueError
        There is nothing to choose from, or an axis comes twice or (``numpy.exceptions.AxisError``) is not there.
    """
    y: Variable = Max(axis, keepdims).apply(x)
    return y


def min(x: Operand, axis: _Axis = None, keepdims: bool = False) -> Variable:
    """Return the smallest element of `x` over `axis`; as `max` otherwise."""
    y: Variable = Min(axis, keepdims).apply(x)
    return y


Variable.max = max  # type: ignore[assignment,method-assign]
Variable.min = min  # type: ignore[assignment,method-assign]
