"""A model of CPython's generational collector, for loops whose every iteration leaves one cyclic graph behind.

Source: CPython 3.11 Modules/gcmodule.c, 3.12 and 3.13 Python/gc.c. An allocation of a tracked object adds one to
the count of the youngest generation; above the threshold that generation is collected. Survivors move up, so a
graph that is alive at that moment waits as garbage for the next older collection. Tuples that a collection of a
young generation frees are kept in a free list, and taking one from there is no allocation that is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.analysis.predictions import Prediction

__all__ = ["loop_with_collector"]

#: What one call of a function of one input and one output leaves behind: itself and its output, and two tuples.
_COUNTED_PER_CALL = 2
_TUPLES_PER_CALL = 2
#: How many tuples of one length wait for reuse (PyTuple_MAXFREELIST).
_FREE_LIST_LENGTH = 2000


def loop_with_collector(k: int, iterations: int, array_bytes: int, thresholds: Sequence[int]) -> Prediction:
    """Predict the loop of step 17.5 with strong references and the collector at work.

    Parameters
    ----------
    k : int
        Functions in the chain of each iteration.
    iterations : int
        Of the loop.
    array_bytes : int
        The data of one array, in bytes.
    thresholds : sequence of three int
        `gc.get_threshold()` of the interpreter. Full collections are left out: they wait until a quarter of all
        old objects is new.

    Returns
    -------
    Prediction
        Marked as not exact: what else the process allocates moves a collection by an iteration or two.
    """
    collector = _Collector(thresholds)
    peak = 0
    for iteration in range(iterations):
        collector.allocate(counted=1)  # x
        peak = max(peak, (k + 1) * collector.graphs + 1)
        for call in range(k):
            collector.allocate(_COUNTED_PER_CALL, _TUPLES_PER_CALL)
            if collector.due:
                # Beside the graph in the making, the one that the names of the loop still hold is alive.
                collector.collect(alive=min(iteration, 1), tuples_per_graph=k * _TUPLES_PER_CALL)
            peak = max(peak, (k + 1) * collector.graphs + 2 + call)
        collector.finish_graph()
    return Prediction(
        peak_arrays=peak,
        end_arrays=(k + 1) * collector.graphs,
        array_bytes=array_bytes,
        basis=f"model of the collector, thresholds {', '.join(map(str, thresholds))}",
        exact=False,
    )


@dataclass
class _Collector:
    """Counts and generations, in whole graphs."""

    thresholds: Sequence[int]
    count: int = 0
    young_collections: int = 0
    free_tuples: int = 0
    in_making: int = 0
    young: int = 0
    middle: int = 0
    old: int = 0

    @property
    def graphs(self) -> int:
        """Finished graphs that occupy memory, alive or garbage."""
        return self.young + self.middle + self.old

    @property
    def due(self) -> bool:
        return self.count > self.thresholds[0]

    def allocate(self, counted: int, tuples: int = 0) -> None:
        reused = min(tuples, self.free_tuples)
        self.free_tuples -= reused
        self.count += counted + tuples - reused

    def finish_graph(self) -> None:
        # One that a collection met half made has moved up by its older part, which keeps the rest alive.
        if self.in_making == 0:
            self.young += 1
        elif self.in_making == 1:
            self.middle += 1
        else:
            self.old += 1
        self.in_making = 0

    def collect(self, alive: int, tuples_per_graph: int) -> None:
        self.count = 0
        before = self.graphs
        if self.young_collections > self.thresholds[1]:
            self.young_collections = 0
            self.old += alive
            self.middle = 0
            self.in_making = 2
        else:
            self.young_collections += 1
            self.middle += alive
            self.in_making = max(self.in_making, 1)
        self.young = 0
        freed = before - self.graphs
        self.free_tuples = min(self.free_tuples + freed * tuples_per_graph, _FREE_LIST_LENGTH)
