"""What a workload is given: its random generator, its steps, and a place for metrics of its own."""

from collections.abc import Callable, Collection, Iterator

import numpy as np

from toolkit.probes import Position
from toolkit.trials.metric import check_metric

__all__ = ["RunningTrial"]


class RunningTrial:
    """A trial as its workload sees it.

    Attributes
    ----------
    rng : numpy.random.Generator
        Seeded alike in every replicate.
    observe : callable
        ``observe()`` lets every probe take a reading now. The core's events do so by themselves; a workload that
        does without the core asks for readings where memory is highest.
    """

    def __init__(
        self,
        seed: int,
        position: Position,
        observe: Callable[[], None],
        end_step: Callable[[int, int], None],
        taken: Collection[str] = (),
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.observe = observe
        self._end_step = end_step
        self._taken = taken
        self._position = position
        self.recorded: dict[str, int | float] = {}

    def steps(self, count: int) -> Iterator[int]:
        """Yield 0 to `count` - 1: one epoch. Series tell readings apart by this step.

        Some levels of the factor `gc` collect when a step ends, which is when the next one is asked for.
        """
        for step in range(count):
            self._position.step = step
            yield step
            self._end_step(step, count)

    def record(self, **metrics: int | float) -> None:
        """Add metrics of the workload's own; the unit ends each name, as in ``backward_calls_count``.

        Raises
        ------
        TypeError
            When a value is no Python number, or one in bytes or counts is no int: ``float(...)`` or ``int(...)``
            makes one of a numpy scalar.
        ValueError
            When a value is infinite, not a number, or an int beyond 64 bits, or when a name is one that a probe
            or a prediction gives its own metrics.
        """
        for name, value in metrics.items():
            if name in self._taken or name.startswith("predicted_"):
                raise ValueError(f"metric {name} is the toolkit's own: give yours another name")
            check_metric(name, value)
        self.recorded.update(metrics)
