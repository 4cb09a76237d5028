"""How far predictions are from what they should be: one number."""

from typing import Any

import numpy as np

from toolkit.core.function import Function, compute
from toolkit.core.functions.arithmetic import sub
from toolkit.core.functions.softmax import LogSoftmax, Softmax
from toolkit.core.variable import Array, Operand, Variable

__all__ = ["CrossEntropy", "cross_entropy", "mean_squared_error"]


class CrossEntropy(Function):
    """The mean over rows of minus the log-softmax at the row's class."""

    __slots__ = ()

    def forward(self, x: Array, classes: Array) -> Array:
        """Average; the probabilities are made again in `backward`, and not kept."""
        if x.ndim != 2 or classes.shape != x.shape[:1] or classes.dtype.kind not in "iu" or not len(x):
            raise ValueError(
                "cross_entropy takes scores of shape (rows, classes) and an integer class for each row, not "
                f"shapes {x.shape} and {classes.shape} of {classes.dtype}"
            )
        if (classes < 0).any():
            raise IndexError(f"cross_entropy takes classes from 0, not {classes.min()}")
        logarithms = LogSoftmax().forward(x)
        y: Array = -logarithms[np.arange(len(x)), classes].mean()
        return y

    def backward(self, gy: Any) -> tuple[Any, None]:
        """Return ``(softmax(x) - 1 at the class) * gy / rows``; classes have no gradient."""
        x, classes = self.input_like(gy, 0), self.constant(1)
        target = np.zeros(x.shape, x.dtype)
        target[np.arange(len(target)), classes] = 1
        return (compute(Softmax(), x) - target) * (gy * (1 / len(target))), None


def cross_entropy(x: Operand, classes: Operand) -> Variable:
    """Return the mean cross-entropy of the softmax of `x` against the right classes.

    Parameters
    ----------
    x : Variable or numpy.ndarray
        Scores, shape (rows, classes).
    classes : Variable or numpy.ndarray of int
        The right class of each row, shape (rows,); it has no gradient.

    Returns
    -------
    Variable
        0-d.

    Raises
    ------
    ValueError
        Shapes or dtypes are others, or there is no row.
    IndexError
        A class is not among the columns of `x`, which count from 0.
    """
    y: Variable = CrossEntropy().apply(x, classes)
    return y


def mean_squared_error(x0: Operand, x1: Operand) -> Variable:
    """Return the mean of ``(x0 - x1) ** 2`` over all elements, 0-d; shapes broadcast."""
    return (sub(x0, x1) ** 2).mean()
