"""Addition, subtraction, multiplication, division, negation and powers, with NumPy's broadcasting."""

from typing import Any

import numpy as np

from toolkit.core.broadcasting import reduce_to
from toolkit.core.function import Function
from toolkit.core.variable import Array, Operand, Variable

__all__ = ["Add", "Div", "Mul", "Neg", "Pow", "Sub", "add", "div", "mul", "neg", "pow", "sub"]


class Add(Function):
    """``x0 + x1`` (step 11)."""

    __slots__ = ()
    keeps_shapes = True
    needs_inputs = False

    def forward(self, x0: Array, x1: Array) -> Array:
        """Add elementwise."""
        return x0 + x1

    def backward(self, gy: Any) -> tuple[Any, Any]:
        """Hand the gradient on to both inputs (step 13.1)."""
        return _to_inputs(self, gy, gy)


class Sub(Function):
    """``x0 - x1``."""

    __slots__ = ()
    keeps_shapes = True
    needs_inputs = False

    def forward(self, x0: Array, x1: Array) -> Array:
        """Subtract elementwise."""
        return x0 - x1

    def backward(self, gy: Any) -> tuple[Any, Any]:
        """Hand the gradient on, with its sign changed for the second input."""
        gx0, gx1 = _to_inputs(self, gy, gy)
        return gx0, -gx1


class Mul(Function):
    """``x0 * x1``."""

    __slots__ = ()
    keeps_shapes = True

    def forward(self, x0: Array, x1: Array) -> Array:
        """Multiply elementwise."""
        return x0 * x1

    def backward(self, gy: Any) -> tuple[Any, Any]:
        """Multiply by the other input."""
        x0, x1 = self.input_like(gy, 0), self.input_like(gy, 1)
        return reduce_to(gy * x1, x0.shape, x0.dtype), reduce_to(gy * x0, x1.shape, x1.dtype)


class Div(Function):
    """``x0 / x1``."""

    __slots__ = ()
    keeps_shapes = True

    def forward(self, x0: Array, x1: Array) -> Array:
        """Divide elementwise."""
        return x0 / x1

    def backward(self, gy: Any) -> tuple[Any, Any]:
        """Return ``gy / x1`` and ``-gy * x0 / x1**2``."""
        x0, x1 = self.input_like(gy, 0), self.input_like(gy, 1)
        gx0 = gy / x1
        return _to_inputs(self, gx0, -gx0 * x0 / x1)


class Neg(Function):
    """``-x``."""

    __slots__ = ()
    keeps_shapes = True
    needs_inputs = False

    def forward(self, x: Array) -> Array:
        """Change the sign."""
        return -x

    def backward(self, gy: Any) -> Any:
        """Change the sign of the gradient."""
        return -gy


class Pow(Function):
    """``x ** exponent`` for a constant exponent."""

    __slots__ = ("exponent",)

    def __init__(self, exponent: float) -> None:
        if isinstance(exponent, Variable | np.ndarray):
            raise TypeError(f"pow needs a number as its exponent, not {type(exponent).__name__}")
        self.exponent = exponent

    def forward(self, x: Array) -> Array:
        """Raise elementwise."""
        y: Array = x**self.exponent
        return y

    def backward(self, gy: Any) -> Any:
        """Return ``exponent * x**(exponent - 1) * gy``."""
        x, exponent = self.input_like(gy), self.exponent
        if exponent == 0:
            # 0 * x**-1 is not a number at x = 0, where the gradient of a constant is still 0.
            zeros = np.zeros(x.shape, x.dtype)
            return Variable(zeros) if isinstance(gy, Variable) else zeros
        # A numpy scalar as the exponent promotes, as it does in numpy.
        return reduce_to(exponent * x ** (exponent - 1) * gy, x.shape, x.dtype)


def _to_inputs(function: Function, gx0: Any, gx1: Any) -> tuple[Any, Any]:
    x0, x1 = function.inputs
    # Nothing was broadcast or promoted: to find that out here, by their data, and not in `reduce_to`, twice and by
    # the properties of variables, takes a twentieth or more off a pass over small arrays.
    if type(x0) is Variable is type(x1):
        data0, data1 = x0.data, x1.data
        if data0.shape == data1.shape and data0.dtype is data1.dtype:
            return gx0, gx1
    return reduce_to(gx0, x0.shape, x0.dtype), reduce_to(gx1, x1.shape, x1.dtype)


def add(x0: Operand, x1: Operand) -> Variable:
    """Return ``x0 + x1``; shapes broadcast, dtypes promote."""
    y: Variable = Add().apply(x0, x1)
    return y


def sub(x0: Operand, x1: Operand) -> Variable:
    """Return ``x0 - x1``; shapes broadcast, dtypes promote."""
    y: Variable = Sub().apply(x0, x1)
    return y


def mul(x0: Operand, x1: Operand) -> Variable:
    """Return ``x0 * x1``; shapes broadcast, dtypes promote."""
    y: Variable = Mul().apply(x0, x1)
    return y


def div(x0: Operand, x1: Operand) -> Variable:
    """Return ``x0 / x1``; shapes broadcast, dtypes promote."""
    y: Variable = Div().apply(x0, x1)
    return y


def neg(x: Operand) -> Variable:
    """Return ``-x``."""
    y: Variable = Neg().apply(x)
    return y


def pow(x: Operand, exponent: float) -> Variable:
    """Return ``x ** exponent`` for a number `exponent`.

    Raises
    ------
    TypeError
        When `exponent` is a variable or an array.
    """
    y: Variable = Pow(exponent).apply(x)
    return y


Variable.__add__ = add  # type: ignore[method-assign]
Variable.__radd__ = lambda self, other: add(other, self)  # type: ignore[method-assign]
Variable.__sub__ = sub  # type: ignore[method-assign]
Variable.__rsub__ = lambda self, other: sub(other, self)  # type: ignore[method-assign]
Variable.__mul__ = mul  # type: ignore[method-assign]
Variable.__rmul__ = lambda self, other: mul(other, self)  # type: ignore[method-assign]
Variable.__truediv__ = div  # type: ignore[method-assign]
Variable.__rtruediv__ = lambda self, other: div(other, self)  # type: ignore[method-assign]
Variable.__neg__ = neg  # type: ignore[method-assign]
Variable.__pow__ = pow  # type: ignore[method-assign]
