"""The convolutional layer."""

import numpy as np
import numpy.typing as npt

from toolkit.core.functions.convolution import conv2d
from toolkit.core.variable import Variable
from toolkit.nn import Layer, Parameter

__all__ = ["Convolution"]


class Convolution(Layer):
    """`conv2d` with filters and a bias of its own.

    Parameters
    ----------
    inputs, outputs : int
        How many channels go in and come out.
    size : int
        Height and width of a filter.
    rng : numpy.random.Generator
        Draws the filters: normal, of variance 2 / (inputs * size**2) (He et al. 2015, equation 10).
    stride, padding : int
        As those of `conv2d`.
    dtype : dtype
        Of the parameters.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        rng: np.random.Generator,
        *,
        stride: int = 1,
        padding: int = 0,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        self.stride, self.padding = stride, padding
        scale = np.sqrt(2 / (inputs * size**2))
        filters = scale * rng.standard_normal((outputs, inputs, size, size))
        self.weights = Parameter(filters.astype(dtype), "filters")
        self.bias = Parameter(np.zeros(outputs, dtype), "bias")

    def __call__(self, x: Variable) -> Variable:
        """Return the images that the filters make; shape (images, inputs, rows, columns) of `x`."""
        return conv2d(x, self.weights, self.bias, self.stride, self.padding)
