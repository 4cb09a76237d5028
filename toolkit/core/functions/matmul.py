"""The matrix product, with numpy's rules for vectors and stacks of matrices."""

from math import prod
from typing import Any

import numpy as np

from toolkit.core.broadcasting import reduce_to
from toolkit.core.function import Function
from toolkit.core.variable import Array, Operand, Variable

__all__ = ["MatMul", "matmul"]


class MatMul(Function):
    """``x0 @ x1``."""

    __slots__ = ()
    keeps_shapes = True

    def forward(self, x0: Array, x1: Array) -> Array:
        """Multiply as ``numpy.matmul`` does."""
        y: Array = np.matmul(x0, x1)
        return y

    def backward(self, gy: Any) -> tuple[Any, Any]:
        """Return ``gy @ x1.T`` and ``x0.T @ gy``, added up over the axes that broadcasting made.

        The product that an operand without a gradient would take, such as the data of a first layer, is left out.
        """
        x0, x1 = self.input_like(gy, 0), self.input_like(gy, 1)
        if x0.ndim == x1.ndim == 2:
            # What most products are of. The same as below, which a recurrent step over small matrices takes a
            # thirtieth longer by.
            gx0 = None if self.is_constant(0) else reduce_to(gy @ x1.T, x0.shape, x0.dtype)
            return gx0, None if self.is_constant(1) else reduce_to(x0.T @ gy, x1.shape, x1.dtype)
        left, right = x0, x1
        # A vector is a matrix of one row on the left, of one column on the right; the product lacks it.
        if x1.ndim == 1:
            right, gy = right.reshape(x1.size, 1), gy.reshape(*gy.shape, 1)
        if x0.ndim == 1:
            left, gy = left.reshape(1, x0.size), gy.reshape(*gy.shape[:-1], 1, gy.shape[-1])
        gx0 = None if self.is_constant(0) else _to_input(gy @ _transposed(right), left, x0)
        if self.is_constant(1):
            return gx0, None
        # One matrix for a whole stack: its gradient is one product too, with no stack of products to add up.
        shared = right.ndim == 2 < left.ndim
        gx1 = _rows(left).T @ _rows(gy) if shared else _transposed(left) @ gy
        return gx0, _to_input(gx1, right, x1)


def _rows(matrices: Any) -> Any:
    *rows, columns = matrices.shape
    return matrices.reshape(prod(rows), columns)


def _transposed(matrices: Any) -> Any:
    if matrices.ndim == 2:
        return matrices.T
    *stack, rows, columns = range(matrices.ndim)
    return matrices.transpose((*stack, columns, rows))


def _to_input(gradient: Any, matrices: Any, x: Any) -> Any:
    return reduce_to(gradient, matrices.shape, x.dtype).reshape(x.shape)


def matmul(x0: Operand, x1: Operand) -> Variable:
    """Return ``x0 @ x1``.

    Parameters
    ----------
    x0 : Variable or numpy.ndarray
        Shape (k,), (n, k) or (..., n, k).
    x1 : Variable or numpy.ndarray
        Shape (k,), (k, m) or (..., k, m).

    Returns
    -------
    Variable
        Shape (..., n, m), without n where `x0` is a vector and without m where `x1` is. The axes before the
        last two broadcast, dtypes promote.

    Raises
    ------
    ValueError
        The shapes do not fit, or an operand is a scalar.
    """
    y: Variable = MatMul().apply(x0, x1)
    return y


Variable.__matmul__ = matmul  # type: ignore[method-assign]
Variable.__rmatmul__ = lambda self, other: matmul(other, self)  # type: ignore[method-assign]
