"""The garbage collector: when it ran, what it freed, and how long the program stood still."""

import gc
from array import array
from time import perf_counter

from toolkit.probes import Datasheet, Moment, Position

DATASHEET = Datasheet(
    includes="every collection between start and stop, also one that the workload asks for",
    excludes="collections before the start and after the workload has returned",
    keeps_alive="four numbers for each collection, in four arrays",
    unit="counts and seconds",
    error="0 for counts; a pause includes about 1 us of the probe's own",
    cost="about 1 us for each collection",
    exact_on="CPython",
    disturbs="nothing: between start and stop it makes no object that the collector counts",
)

MEASURES = ("resident", "traced", "timed", "ledger", "lines", "profiled")
METRICS = (
    "gc_collections_count",
    "gc_generation0_collections_count",
    "gc_generation1_collections_count",
    "gc_generation2_collections_count",
    "gc_collected_count",
    "gc_pause_total_seconds",
    "gc_pause_max_seconds",
)
DETAILS = METRICS
RANK = 0


class Collector:
    """Listens to `gc.callbacks`."""

    exact = True
    moments: tuple[Moment, ...] = ()

    def __init__(self, position: Position) -> None:
        self._position = position
        # Made here and not at the start: a bound method is an object that the collector counts.
        self._callback = self._hear
        self._began = 0.0
        self._clear()

    def _clear(self) -> None:
        self._steps = array("q")
        self._generations = array("q")
        self._collected = array("q")
        self._pauses = array("d")

    def start(self) -> None:
        """Listen to the collector."""
        self._clear()
        gc.callbacks.append(self._callback)

    def stop(self) -> None:
        """Listen no more."""
        gc.callbacks.remove(self._callback)

    def observe(self) -> None:
        """Do nothing: it takes no readings on the way."""

    def read(self, moment: Moment) -> None:
        """Do nothing: it counts up to the end."""

    def _hear(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = perf_counter()
            return
        self._pauses.append(perf_counter() - self._began)
        self._steps.append(self._position.step)
        self._generations.append(info["generation"])
        self._collected.append(info["collected"])

    def metrics(self) -> dict[str, int | float]:
        """Return how often it ran, what it freed and how long that took."""
        return {
            "gc_collections_count": len(self._pauses),
            **{
                f"gc_generation{generation}_collections_count": self._generations.count(generation)
                for generation in range(3)
            },
            "gc_collected_count": sum(self._collected),
            "gc_pause_total_seconds": sum(self._pauses, start=0.0),
            "gc_pause_max_seconds": max(self._pauses, default=0.0),
        }

    def series(self) -> dict[str, list[int] | list[float]]:
        """Return step, generation, objects freed and pause of each collection."""
        return {
            "collection_step": self._steps.tolist(),
            "collection_generation": self._generations.tolist(),
            "collection_collected_count": self._collected.tolist(),
            "collection_pause_seconds": self._pauses.tolist(),
        }


PROBE = Collector
