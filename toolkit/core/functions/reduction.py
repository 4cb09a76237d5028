"""Sums and means over axes."""

from typing import Any, TypeAlias

from numpy.lib.array_utils import normalize_axis_tuple

from toolkit.core.function import Function, compute
from toolkit.core.functions.shape import BroadcastTo
from toolkit.core.variable import Array, Operand, Variable

__all__ = ["Mean", "Sum", "mean", "sum"]

_Axis: TypeAlias = int | tuple[int, ...] | None


class _Reduction(Function):
    __slots__ = ("axis", "keepdims")
    needs_inputs = False

    def __init__(self, axis: _Axis = None, keepdims: bool = False) -> None:
        self.axis = axis
        self.keepdims = keepdims

    def spread(self, gradient: Any) -> Any:
        """Return a view that gives every element of the input the gradient of the sum it went into."""
        shape = self.inputs[0].shape
        if self.axis is not None and not self.keepdims:
            axes = normalize_axis_tuple(self.axis, len(shape))
            gradient = gradient.reshape(tuple([1 if axis in axes else n for axis, n in enumerate(shape)]))
        return compute(BroadcastTo(shape), gradient)


class Sum(_Reduction):
    """The sum over `axis`."""

    __slots__ = ()

    def forward(self, x: Array) -> Array:
        """Add up."""
        y: Array = x.sum(axis=self.axis, keepdims=self.keepdims)
        return y

    def backward(self, gy: Any) -> Any:
        """Hand the gradient on to every element: a read-only view, which takes no memory of its own."""
        return self.spread(gy)


class Mean(_Reduction):
    """The mean over `axis`."""

    __slots__ = ()

    def forward(self, x: Array) -> Array:
        """Average; refuse to average nothing."""
        if x.size == 0 and x.sum(axis=self.axis, keepdims=True).size > 0:
            raise ValueError(f"there is nothing to average over axis {self.axis} of shape {x.shape}")
        y: Array = x.mean(axis=self.axis, keepdims=self.keepdims)
        return y

    def backward(self, gy: Any) -> Any:
        """Share the gradient among the elements: a read-only view of one share for each mean."""
        if gy.size == 0:
            return self.spread(gy)
        # In half precision the count itself may be infinite, and its inverse is not.
        return self.spread(gy * (gy.size / self.inputs[0].size))


def sum(x: Operand, axis: _Axis = None, keepdims: bool = False) -> Variable:
    """Return the sum of `x` over `axis`.

    Parameters
    ----------
    x : Variable, numpy.ndarray or scalar
        Any shape.
    axis : int or tuple of int, optional
        Negative ones count from the last. None stands for all of them, ``()`` for none.
    keepdims : bool
        Whether the axes that are summed over stay, with size 1.

    Returns
    -------
    Variable
        Its gradient reaches `x` as a read-only view.

    Raises
    ------
    ValueError
        An axis comes twice, or (``numpy.exceptions.AxisError``) is not there.
    """
    y: Variable = Sum(axis, keepdims).apply(x)
    return y


def mean(x: Operand, axis: _Axis = None, keepdims: bool = False) -> Variable:
    """Return the mean of `x` over `axis`; parameters and result as those of `sum`.

    Raises
    ------
    ValueError
        There is nothing to average: `x` has no element along `axis`. Otherwise as `sum`.
    """
    y: Variable = Mean(axis, keepdims).apply(x)
    return y


Variable.sum = sum  # type: ignore[assignment,method-assign]
Variable.mean = mean  # type: ignore[assignment,method-assign]
