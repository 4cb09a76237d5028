"""Rounds in which every action takes its turn."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from benchmarks import Reading

Action = Callable[[], object]
Around = Callable[[], AbstractContextManager[object]]

#: A block of one action lasts at least as long, so that the clock and the switch from one to the next do not count.
BLOCK_SECONDS = 0.01

#: And at least as many steps of the processor's clock: where the kernel counts ticks, one is up to 10 ms.
BLOCK_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class Ratio(Reading):
    """The median over rounds of one action's time by another's, and the quartiles around it.

    Attributes
    ----------
    low, high : float
        The quartiles.
    """

    low: float
    high: float
    unit: str = "×"

    def __str__(self) -> str:
        return f"{super().__str__()}   ({self.low:.3g} to {self.high:.3g})"


class Times:
    """Seconds of every action in every round."""

    def __init__(self, seconds: Mapping[str, list[float]]) -> None:
        self._seconds = seconds

    def ratio(self, action: str, to: str, name: str = "", at_most: float | None = None) -> Ratio:
        """Return the ratio of two actions, taken within each round."""
        ratios = [a / b for a, b in zip(self._seconds[action], self._seconds[to], strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return Ratio(name=name or f"{action} / {to}", value=median, low=low, high=high, at_most=at_most)


def race(actions: Mapping[str, Action], rounds: int, around: Mapping[str, Around] | None = None) -> Times:
    """Let the actions take turns, each inside what is to be `around` it; entering that is not timed.

    The collector stays on, as users have it; whatever was made before the first round is frozen, so that what one
    engine's import left behind is not searched on the time of the others, and it collects before each block.
    """
    contexts = {name: (around or {}).get(name, nullcontext) for name in actions}
    block = block_seconds()
    repeats = {name: repeats_in(block, action) for name, action in actions.items()}
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    order = list(actions)
    gc.collect()
    gc.freeze()
    try:
        for _ in range(rounds):
            for name in order:
                gc.collect()
                with contexts[name]():
                    # What an engine keeps for the next time is there in a loop from the second time on.
                    actions[name]()
                    seconds[name].append(processor_seconds(actions[name], repeats[name]))
            order.append(order.pop(0))
    finally:
        gc.unfreeze()
    return Times(seconds)


def block_seconds() -> float:
    """Return how long a block is to last on this machine."""
    # Not above: the processes of engines that race alone load no core beside their engine.
    from toolkit.probes.clock import smallest_step

    return max(BLOCK_SECONDS, BLOCK_STEPS * smallest_step())


def repeats_in(seconds: float, action: Action) -> int:
    """Return how often an action must run to last as long.

    By the clock of the wall, which has no ticks, and the fastest of three calls: what others take of the time would
    make the block shorter.
    """
    return max(1, math.ceil(seconds / max(min(_wall_seconds(action) for _ in range(3)), 1e-9)))


def _wall_seconds(action: Action) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def processor_seconds(action: Action, repeats: int = 1) -> float:
    """Return the mean seconds that one call takes on the processor."""
    began = time.process_time()
    for _ in range(repeats):
        action()
    return (time.process_time() - began) / repeats
