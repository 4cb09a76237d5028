"""What a workload is given: its random generator, its steps, and a place for metrics of its own."""

from collections.abc import Iterator

import numpy as np

from toolkit.probes import Position

__all__ = ["RunningTrial"]


class RunningTrial:
    """A trial as its workload sees it.

    Attributes
    ----------
    rng : numpy.random.Generator
        Seeded alike in every replicate.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.position = Position()
        self.recorded: dict[str, int | float] = {}

    def steps(self, count: int) -> Iterator[int]:
        """Yield 0 to `count` - 1; series tell readings apart by this step."""
        for step in range(count):
            self.position.step = step
            yield step

    def record(self, **metrics: int | float) -> None:
        """Add metrics of the workload's own; the unit ends each name, as in ``backward_calls_count``.

        Raises
        ------
        TypeError
            When a value is no Python number: ``float(...)`` or ``int(...)`` makes one of a numpy scalar.
        """
        for name, value in metrics.items():
            if type(value) not in (int, float):
                raise TypeError(f"metric {name} must be an int or a float, not {type(value).__name__}")
        self.recorded.update(metrics)
