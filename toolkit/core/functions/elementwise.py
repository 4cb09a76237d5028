"""Functions of one array that work element by element."""

from typing import Any

import numpy as np

from toolkit.core.function import Function, compute
from toolkit.core.functions.selection import Where
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


class Square(Function):
    """``x ** 2`` (step 13.3)."""

    __slots__ = ()
    keeps_shapes = True

    def forward(self, x: Array) -> Array:
        """Square elementwise."""
        return np.square(x)

    def backward(self, gy: Any) -> Any:
        """Return ``2 * x * gy``."""
        x = self.input_like(gy)
        # The same bits as 2 * x, in a third less time: numpy makes an array of the 2 at every call.
        return (x + x) * gy


class Exp(Function):
    """``e ** x``."""

    __slots__ = ()
    keeps_shapes = True
    needs_inputs = False
    needs_output = True

    def forward(self, x: Array) -> Array:
        """Exponentiate elementwise."""
        y: Array = np.exp(x)
        return y

    def backward(self, gy: Any) -> Any:
        """Return ``exp(x) * gy``."""
        return self.output_like(gy) * gy


class Log(Function):
    """The natural logarithm of ``x``."""

    __slots__ = ()
    keeps_shapes = True

    def forward(self, x: Array) -> Array:
        """Take the logarithm elementwise."""
        y: Array = np.log(x)
        return y

    def backward(self, gy: Any) -> Any:
        """Return ``gy / x``."""
        return gy / self.input_like(gy)


class Tanh(Function):
    """The hyperbolic tangent of ``x``."""

    __slots__ = ()
    keeps_shapes = True
    needs_inputs = False
    needs_output = True

    def forward(self, x: Array) -> Array:
        """Take the hyperbolic tangent elementwise."""
        y: Array = np.tanh(x)
        return y

    def backward(self, gy: Any) -> Any:
        """Return ``(1 - tanh(x)**2) * gy``."""
        return (1 - self.output_like(gy) ** 2) * gy


class ReLU(Function):
    """``max(x, 0)``."""

    __slots__ = ()
    needs_inputs = False
    needs_output = True

    def forward(self, x: Array) -> Array:
        """Clip from below elementwise."""
        y: Array = np.maximum(x, 0)
        return y

    def backward(self, gy: Any) -> Any:
        """Hand the gradient on where ``x > 0``, which is where ``y > 0``; at 0 it is 0."""
        return compute(Where(), self.sign_of() > 0, gy, 0)

    def sign_of(self) -> Array:
        """Return an array with the sign of the input, whichever of input and output is there."""
        return self.kept_output() if hasattr(self, "output_data") else self.constant()


class Sigmoid(Function):
    """``1 / (1 + e**-x)``."""

    __slots__ = ()
    keeps_shapes = True

    def forward(self, x: Array) -> Array:
        """Squash elementwise, exact in both tails: ``e**-|x|`` never overflows, as ``e**-x`` does."""
        decay = np.exp(-np.abs(x))
        y: Array = np.where(x >= 0, 1, decay) / (1 + decay)
        return y

    def backward(self, gy: Any) -> Any:
        """Return ``sigmoid(x) * sigmoid(-x) * gy``."""
        x = self.input_like(gy)
        # The gradient is even, so that the sign may be chosen with which e**-|x| never overflows; 0 would be none.
        sign = np.where(self.constant() >= 0, -1, 1).astype(x.dtype)
        decay = compute(Exp(), x * sign)
        return decay / (1 + decay) ** 2 * gy


def square(x: Operand) -> Variable:
    """Return ``x ** 2``."""
    y: Variable = Square().apply(x)
    return y


def exp(x: Operand) -> Variable:
    """Return ``e ** x``."""
    y: Variable = Exp().apply(x)
    return y


def log(x: Operand) -> Variable:
    """Return the natural logarithm of `x`; numpy warns of elements that are not positive."""
    y: Variable = Log().apply(x)
    return y


def tanh(x: Operand) -> Variable:
    """Return the hyperbolic tangent of `x`."""
    y: Variable = Tanh().apply(x)
    return y


def relu(x: Operand) -> Variable:
    """Return ``max(x, 0)``, whose gradient at 0 is 0."""
    y: Variable = ReLU().apply(x)
    return y


def sigmoid(x: Operand) -> Variable:
    """Return ``1 / (1 + e**-x)``, without overflow for any `x`."""
    y: Variable = Sigmoid().apply(x)
    return y
