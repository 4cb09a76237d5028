"""Stochastic gradient descent."""

import numpy as np

from toolkit.core.variable import Array
from toolkit.nn import Optimiser

__all__ = ["SGD"]


class SGD(Optimiser):
    """``data -= rate * gradient``. It keeps nothing, and needs one array more while it changes a parameter."""

    def update(self, place: int, data: Array, gradient: Array) -> None:
        """Step down."""
        np.subtract(data, self.rate * gradient, out=data)
