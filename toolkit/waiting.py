"""Trials that wait for their turn, made when it comes: until then each is a number of eight bytes."""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from random import Random

from toolkit.grid import Grid
from toolkit.trials import Trial

__all__ = ["Waiting"]


class Waiting:
    """Trials of several grids in one order, to be gone through at will.

    Parameters
    ----------
    grids : sequence of Grid
        Whose trials wait: at first in their order.
    waits : callable
        Of a trial, whether it does.
    """

    def __init__(self, grids: Sequence[Grid], waits: Callable[[Trial], bool]) -> None:
        self._grids = grids
        self._firsts = [0, *accumulate(grid.span for grid in grids)]
        self._numbers = array(
            "Q",
            (
                first + number
                for first, grid in zip(self._firsts, grids, strict=False)
                for number, trial in grid.numbered()
                if waits(trial)
            ),
        )

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Trial]:
        for number in self._numbers:
            place = bisect_right(self._firsts, number) - 1
            yield self._grids[place].trial(number - self._firsts[place])

    def shuffle(self, seed: int) -> None:
        """Change the order to the one that `random.Random(seed).shuffle` gives a list."""
        Random(seed).shuffle(self._numbers)
