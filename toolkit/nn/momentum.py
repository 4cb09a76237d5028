"""Gradient descent with momentum."""

from collections.abc import Iterator, Sequence

import numpy as np

from toolkit.core.variable import Array, Variable
from toolkit.nn import Optimiser

__all__ = ["Momentum"]


class Momentum(Optimiser):
    """``velocity = momentum * velocity - rate * gradient; data += velocity`` (Sutskever et al. 2013, equation 1).

    It keeps a velocity for each parameter, made at its first step.

    Parameters
    ----------
    parameters, rate
        As those of `Optimiser`.
    momentum : float
        How much of the velocity stays, at least 0 and below 1.
    """

    def __init__(
        self, parameters: Sequence[Variable] | Iterator[Variable], rate: float, momentum: float = 0.9
    ) -> None:
        super().__init__(parameters, rate)
        if not 0 <= momentum < 1:
            raise ValueError(f"the momentum is at least 0 and below 1, not {momentum}")
        self.momentum = momentum
        self._velocities: dict[int, Array] = {}

    def update(self, place: int, data: Array, gradient: Array) -> None:
        """Change the velocity, and move by it."""
        velocity = self._velocities.get(place)
        if velocity is None:
            velocity = self._velocities[place] = np.zeros_like(data)
        velocity *= self.momentum
        velocity -= self.rate * gradient
        data += velocity
