"""The linear layer."""

import numpy as np
import numpy.typing as npt

from toolkit.core.functions.matmul import matmul
from toolkit.core.variable import Variable
from toolkit.nn import Layer, Parameter

__all__ = ["Linear"]


class Linear(Layer):
    """``x @ weights + bias``.

    Parameters
    ----------
    inputs, outputs : int
        How many features go in and come out.
    rng : numpy.random.Generator
        Draws the weights: uniform, of variance 2 / (inputs + outputs) (Glorot and Bengio 2010, equation 16).
    bias : bool
        Whether something is added.
    dtype : dtype
        Of the parameters.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        rng: np.random.Generator,
        *,
        bias: bool = True,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        bound = np.sqrt(6 / (inputs + outputs))
        self.weights = Parameter(rng.uniform(-bound, bound, (inputs, outputs)).astype(dtype), "weights")
        self.bias = Parameter(np.zeros(outputs, dtype), "bias") if bias else None

    def __call__(self, x: Variable) -> Variable:
        """Return the product; shape (..., inputs) becomes (..., outputs)."""
        y = matmul(x, self.weights)
        return y if self.bias is None else y + self.bias
