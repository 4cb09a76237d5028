"""Softmax and its logarithm."""

from typing import Any

import numpy as np

from toolkit.core.function import Function, compute
from toolkit.core.functions.elementwise import Exp
from toolkit.core.variable import Array, Operand, Variable

__all__ = ["LogSoftmax", "Softmax", "log_softmax", "softmax"]


class Softmax(Function):
    """``e ** x``, divided by its sum over `axis`."""

    __slots__ = ("axis",)
    needs_inputs = False
    needs_output = True

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        """Exponentiate below the largest element, so that nothing overflows, and divide."""
        y: Array = x - x.max(axis=self.axis, keepdims=True)
        np.exp(y, out=y)
        y /= y.sum(axis=self.axis, keepdims=True)
        return y

    def backward(self, gy: Any) -> Any:
        """Return ``y * (gy - sum(y * gy))``."""
        y = self.output_like(gy)
        gx = y * gy
        return gx - y * gx.sum(axis=self.axis, keepdims=True)


class LogSoftmax(Function):
    """The logarithm of `Softmax`."""

    __slots__ = ("axis",)
    needs_inputs = False
    needs_output = True

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        """Subtract the logarithm of the sum of exponentials, taken below the largest element."""
        y: Array = x - x.max(axis=self.axis, keepdims=True)
        y -= np.log(np.exp(y).sum(axis=self.axis, keepdims=True))
        return y

    def backward(self, gy: Any) -> Any:
        """Return ``gy - softmax(x) * sum(gy)``."""
        return gy - compute(Exp(), self.output_like(gy)) * gy.sum(axis=self.axis, keepdims=True)


def softmax(x: Operand, axis: int = -1) -> Variable:
    """Return ``e ** x`` divided by its sum over `axis`, without overflow for any finite `x`.

    Parameters
    ----------
    x : Variable or numpy.ndarray
        One dimension at least.
    axis : int
        Over which the result adds up to 1.

    Raises
    ------
    ValueError
        There is no such axis (``numpy.exceptions.AxisError``), or nothing along it.
    """
    y: Variable = Softmax(axis).apply(x)
    return y


def log_softmax(x: Operand, axis: int = -1) -> Variable:
    """Return the logarithm of `softmax`, exact also where that is 0; parameters as there."""
    y: Variable = LogSoftmax(axis).apply(x)
    return y
