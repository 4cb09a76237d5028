"""Dropout: elements left out at random while training."""

from typing import Any

import numpy as np

from toolkit.core.function import Function, compute
from toolkit.core.functions.selection import Where
from toolkit.core.variable import Array, Operand, Variable

__all__ = ["Dropout", "dropout"]


# numpy loads its random numbers where they are first named, and that is in nobody's trial but theirs who draw: so
# the annotations are text.
class Dropout(Function):
    """Each element 0 with a probability of `rate`, and scaled up otherwise. It saves a mask: a byte an element."""

    __slots__ = ("mask", "rate", "rng")
    needs_inputs = False
    keeps = ("mask",)

    def __init__(self, rate: float, rng: "np.random.Generator") -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"the rate of dropout is at least 0 and below 1, not {rate}")
        self.rate = rate
        self.rng = rng

    def forward(self, x: Array) -> Array:
        """Draw the mask, and leave out."""
        self.mask = self.rng.random(x.shape) >= self.rate
        y: Array = self._applied(x)
        return y

    def backward(self, gy: Any) -> Any:
        """Leave out the same elements of the gradient."""
        return self._applied(gy)

    def _applied(self, x: Any) -> Any:
        return compute(Where(), self.mask, x, 0) / (1 - self.rate)


def dropout(x: Operand, rate: float, rng: "np.random.Generator") -> Variable:
    """Return `x` with elements left out at random, and the others scaled so that the mean stays.

    Parameters
    ----------
    x : Variable or numpy.ndarray
        Any shape.
    rate : float
        The probability of being left out, at least 0 and below 1.
    rng : numpy.random.Generator
        What draws.

    Raises
    ------
    ValueError
        The rate is not a probability below 1.
    """
    y: Variable = Dropout(rate, rng).apply(x)
    return y
