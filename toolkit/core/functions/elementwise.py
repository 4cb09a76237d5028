"""Functions of one array that work element by element."""

import numpy as np

from toolkit.core.function import Function
from toolkit.core.variable import Array, Operand, Variable

__all__ = ["Exp", "Square", "exp", "square"]


class Square(Function):
    """``x ** 2`` (step 13.3)."""

    __slots__ = ()

    def forward(self, x: Array) -> Array:
        """Square elementwise."""
        return np.square(x)

    def backward(self, gy: Array) -> Array:
        """Return ``2 * x * gy``."""
        gx: Array = 2 * self.inputs[0].data * gy
        return gx


class Exp(Function):
    """``e ** x``."""

    __slots__ = ()

    def forward(self, x: Array) -> Array:
        """Exponentiate elementwise."""
        y: Array = np.exp(x)
        return y

    def backward(self, gy: Array) -> Array:
        """Return ``exp(x) * gy``."""
        gx: Array = np.exp(self.inputs[0].data) * gy
        return gx


def square(x: Operand) -> Variable:
    """Return ``x ** 2``."""
    y: Variable = Square()(x)
    return y


def exp(x: Operand) -> Variable:
    """Return ``e ** x``."""
    y: Variable = Exp()(x)
    return y
