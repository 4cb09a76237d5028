"""Choosing between elements: where, and clipping to bounds."""

from typing import Any

import numpy as np

from toolkit.core.broadcasting import reduce_to
from toolkit.core.function import Function, compute
from toolkit.core.variable import Array, Operand, Variable

__all__ = ["Clip", "Where", "clip", "where"]


class Where(Function):
    """``x0`` where the condition holds, ``x1`` elsewhere."""

    __slots__ = ()
    needs_inputs = (0,)

    def forward(self, condition: Array, x0: Any, x1: Any) -> Array:
        """Choose elementwise."""
        y: Array = np.where(condition, x0, x1)
        return y

    def backward(self, gy: Any) -> tuple[None, Any, Any]:
        """Hand each gradient on to where its element came from; the condition has none."""
        condition, (_, x0, x1) = self.constant(), self.inputs
        gx0, gx1 = compute(Where(), condition, gy, 0), compute(Where(), condition, 0, gy)
        return None, reduce_to(gx0, x0.shape, x0.dtype), reduce_to(gx1, x1.shape, x1.dtype)


class Clip(Function):
    """``x``, but no lower than `lowest` and no higher than `highest`."""

    __slots__ = ("highest", "lowest")

    def __init__(self, lowest: float | None, highest: float | None) -> None:
        if lowest is None and highest is None:
            raise ValueError("clip needs a bound: lowest, highest or both")
        self.lowest, self.highest = lowest, highest

    def forward(self, x: Array) -> Array:
        """Clip elementwise."""
        return np.clip(x, self.lowest, self.highest)

    def backward(self, gy: Any) -> Any:
        """Hand the gradient on where nothing was cut off; on a bound it passes."""
        x = self.constant()
        kept = np.ones(x.shape, bool) if self.lowest is None else x >= self.lowest
        if self.highest is not None:
            kept &= x <= self.highest
        return compute(Where(), kept, gy, 0)


def where(condition: Operand, x0: Operand, x1: Operand) -> Variable:
    """Return `x0` where `condition` holds and `x1` elsewhere; shapes broadcast, dtypes promote.

    Parameters
    ----------
    condition : Variable or numpy.ndarray of bool
        It has no gradient.
    x0, x1 : Variable, numpy.ndarray or scalar
        Where an element is not chosen, its gradient is 0.
    """
    y: Variable = Where().apply(condition, x0, x1)
    return y


def clip(x: Operand, lowest: float | None = None, highest: float | None = None) -> Variable:
    """Return `x` with what lies below `lowest` or above `highest` put on that bound.

    Parameters
    ----------
    x : Variable, numpy.ndarray or scalar
        Any shape.
    lowest, highest : float, optional
        The bounds, one at least.

    Raises
    ------
    ValueError
        There is no bound.
    """
    y: Variable = Clip(lowest, highest).apply(x)
    return y
