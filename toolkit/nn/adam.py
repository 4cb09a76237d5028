"""Adam."""

from collections.abc import Iterator, Sequence

import numpy as np

from toolkit.core.variable import Array, Variable
from toolkit.nn import Optimiser

__all__ = ["Adam"]


class Adam(Optimiser):
    """Steps scaled by running means of gradients and of their squares (Kingma and Ba 2015, algorithm 1).

    It keeps two arrays for each parameter, made at its first step, and needs one more while it changes one.

    Parameters
    ----------
    parameters, rate
        As those of `Optimiser`.
    decay, square_decay : float
        How much of each running mean stays, at least 0 and below 1: beta1 and beta2 of the paper.
    epsilon : float
        Added to the root of the mean of squares.
    """

    def __init__(
        self,
        parameters: Sequence[Variable] | Iterator[Variable],
        rate: float = 1e-3,
        decay: float = 0.9,
        square_decay: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(parameters, rate)
        for one in (decay, square_decay):
            if not 0 <= one < 1:
                raise ValueError(f"a decay is at least 0 and below 1, not {one}")
        self.decay, self.square_decay, self.epsilon = decay, square_decay, epsilon
        self._means: dict[int, tuple[Array, Array]] = {}
        self._steps: dict[int, int] = {}

    def update(self, place: int, data: Array, gradient: Array) -> None:
        """Change both means, and step by their quotient; both lean towards 0 at first, which is undone."""
        if place not in self._means:
            self._means[place] = np.zeros_like(data), np.zeros_like(data)
        mean, mean_square = self._means[place]
        steps = self._steps[place] = self._steps.get(place, 0) + 1
        room = np.empty_like(mean)
        np.multiply(gradient, 1 - self.decay, out=room)
        mean *= self.decay
        mean += room
        np.multiply(gradient, gradient, out=room)
        room *= 1 - self.square_decay
        mean_square *= self.square_decay
        mean_square += room
        np.divide(mean_square, 1 - self.square_decay**steps, out=room)
        np.sqrt(room, out=room)
        room += self.epsilon
        np.divide(mean, room, out=room)
        room *= self.rate / (1 - self.decay**steps)
        data -= room
