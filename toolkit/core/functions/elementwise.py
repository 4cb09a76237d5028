"""Functions of one array that work element by element."""

import numpy as np

from toolkit.core.function import Function
from toolkit.core.variable import Array, Operand, Variable

__all__ = [
    "Exp",
    "Log",
    "ReLU",
    "Sigmoid",
    "Square",
    "Tanh",
    "exp",
    "log",
    "relu",
    "sigmoid",
    "square",
    "tanh",
]

# A gradient that needs the output computes it again from the input, which the graph holds anyway: to keep the
# output's array would be to hold it beyond the output's own life.


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


class Log(Function):
    """The natural logarithm of ``x``."""

    __slots__ = ()

    def forward(self, x: Array) -> Array:
        """Take the logarithm elementwise."""
        y: Array = np.log(x)
        return y

    def backward(self, gy: Array) -> Array:
        """Return ``gy / x``."""
        gx: Array = gy / self.inputs[0].data
        return gx


class Tanh(Function):
    """The hyperbolic tangent of ``x``."""

    __slots__ = ()

    def forward(self, x: Array) -> Array:
        """Take the hyperbolic tangent elementwise."""
        y: Array = np.tanh(x)
        return y

    def backward(self, gy: Array) -> Array:
        """Return ``(1 - tanh(x)**2) * gy``."""
        gx: Array = (1 - np.tanh(self.inputs[0].data) ** 2) * gy
        return gx


class ReLU(Function):
    """``max(x, 0)``."""

    __slots__ = ()

    def forward(self, x: Array) -> Array:
        """Clip from below elementwise."""
        y: Array = np.maximum(x, 0)
        return y

    def backward(self, gy: Array) -> Array:
        """Hand the gradient on where ``x > 0``; at 0 it is 0."""
        return np.where(self.inputs[0].data > 0, gy, 0)


class Sigmoid(Function):
    """``1 / (1 + e**-x)``."""

    __slots__ = ()

    def forward(self, x: Array) -> Array:
        """Squash elementwise, exact in both tails: ``e**-|x|`` never overflows, as ``e**-x`` does."""
        decay = np.exp(-np.abs(x))
        y: Array = np.where(x >= 0, 1, decay) / (1 + decay)
        return y

    def backward(self, gy: Array) -> Array:
        """Return ``sigmoid(x) * sigmoid(-x) * gy``."""
        decay = np.exp(-np.abs(self.inputs[0].data))
        gx: Array = decay / (1 + decay) ** 2 * gy
        return gx


def square(x: Operand) -> Variable:
    """Return ``x ** 2``."""
    y: Variable = Square()(x)
    return y


def exp(x: Operand) -> Variable:
    """Return ``e ** x``."""
    y: Variable = Exp()(x)
    return y


def log(x: Operand) -> Variable:
    """Return the natural logarithm of `x`; numpy warns of elements that are not positive."""
    y: Variable = Log()(x)
    return y


def tanh(x: Operand) -> Variable:
    """Return the hyperbolic tangent of `x`."""
    y: Variable = Tanh()(x)
    return y


def relu(x: Operand) -> Variable:
    """Return ``max(x, 0)``, whose gradient at 0 is 0."""
    y: Variable = ReLU()(x)
    return y


def sigmoid(x: Operand) -> Variable:
    """Return ``1 / (1 + e**-x)``, without overflow for any `x`."""
    y: Variable = Sigmoid()(x)
    return y
