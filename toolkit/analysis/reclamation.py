"""How long garbage waits: the iterations of a loop from the end of a graph's use to its collection."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Reclamation", "reclamation"]

_OLDEST = 2


@dataclass(frozen=True, slots=True)
class Reclamation:
    """What became of the garbage that each iteration left.

    Attributes
    ----------
    median_iterations, max_iterations : float
        From unreachable to freed, over the iterations whose garbage was freed; 0 where none was.
    freed_count, waiting_count : int
        Iterations whose garbage was freed by the end, and those whose garbage still waited.
    longest_waiting_iterations : int
        For how long the oldest of those had waited by the end; 0 where none did. It would have waited longer in a
        longer loop, so it is no part of the maximum.
    """

    median_iterations: float
    max_iterations: float
    freed_count: int
    waiting_count: int
    longest_waiting_iterations: int = 0


def reclamation(steps: Sequence[int], generations: Sequence[int], iterations: int) -> Reclamation:
    """Return how long the garbage of a loop waited that leaves one graph of cycles in each iteration.

    The names of the loop hold a graph until the next one is complete, so it becomes unreachable at the end of the
    iteration after its own. A collection that meets it before then moves it to an older generation;
    a graph that it meets half made counts as a whole one.

    Parameters
    ----------
    steps, generations : sequence of int
        The iteration, from 0, and the generation of each collection, as the probe `collector` tells them.
    iterations : int
        How many the loop had.
    """
    waits = []
    unfreed = []
    for own in range(iterations):
        generation = 0
        for step, collected in zip(steps, generations, strict=True):
            if step < own or collected < generation:
                continue
            if step > own + 1:
                waits.append(step - (own + 1))
                break
            generation = min(collected + 1, _OLDEST)
        else:
            unfreed.append(own)
    return Reclamation(
        median_iterations=median(waits) if waits else 0,
        max_iterations=max(waits, default=0),
        freed_count=len(waits),
        waiting_count=len(unfreed),
        longest_waiting_iterations=iterations - (unfreed[0] + 1) if unfreed else 0,
    )
