"""The way back through NumPy's broadcasting."""

from typing import Any

import numpy as np

__all__ = ["reduce_to"]


def reduce_to(gradient: Any, shape: tuple[int, ...], dtype: np.dtype[Any] | None = None) -> Any:
    """Sum `gradient` over the axes that broadcasting added or stretched, so that it has `shape`.

    Parameters
    ----------
    gradient : numpy.ndarray or Variable
        Of a shape that `shape` broadcasts to.
    shape : tuple of int
        The shape before broadcasting.
    dtype : numpy.dtype, optional
        The dtype before promotion; without it the gradient's own stays.

    Returns
    -------
    numpy.ndarray or Variable
        `gradient` itself where there is nothing to do.
    """
    if gradient.shape != shape:
        added = gradient.ndim - len(shape)
        stretched = [added + axis for axis, size in enumerate(shape) if size == 1]
        if stretched or not shape:
            gradient = gradient.sum(axis=(*range(added), *stretched), keepdims=True).reshape(shape)
        else:
            # As above, where no axis was stretched, but with no reshape: it makes a view, into which no later
            # gradient can be added in place.
            gradient = gradient.sum(axis=tuple(range(added)))
    if dtype is not None and gradient.dtype != dtype:
        gradient = gradient.astype(dtype)
    return gradient
