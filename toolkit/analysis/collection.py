"""A model of CPython's generational collector, for loops whose every iteration leaves one cyclic graph behind.

Source: CPython 3.11 Modules/gcmodule.c, 3.12 and 3.13 Python/gc.c. An allocation of a tracked object adds one to
the count of the youngest generation; above the threshold that generation is collected. Survivors move up, so a
graph that is alive at that moment waits as garbage for the next older collection. Tuples that a collection of a
young generation frees are kept in a free list, and taking one from there is no allocation that is counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from toolkit.analysis.predictions import Prediction, loop_without_collector
from toolkit.trials import Level
from toolkit.trials.collecting import policy_of

__all__ = ["Node", "chain_nodes", "loop_collected_every", "loop_under", "loop_with_collector"]

#: How many tuples of one length wait for reuse (PyTuple_MAXFREELIST).
FREE_LIST_LENGTH = 2000


@dataclass(frozen=True)
class Node:
    """What is made along with one array: objects that the collector counts, and tuples of one length."""

    objects: int
    tuples: int = 0


def chain_nodes(k: int) -> tuple[Node, ...]:
    """Return what an iteration of step 17.5 makes: x, and for each of `k` calls itself, its output, two tuples."""
    return (Node(objects=1), *[Node(objects=2, tuples=2)] * k)


def loop_under(
    gc_level: Level,
    nodes: Sequence[Node],
    iterations: int,
    array_bytes: int,
    interpreter: Mapping[str, Level],
    *,
    held: bool,
) -> Prediction:
    """Predict a loop that leaves a cyclic graph behind in each step, under a level of the factor `gc`.

    Exact where collections come at steps or not at all; a model where Python runs the collector. Frozen objects
    are not of the loop, so `frozen` leaves its memory as it is.

    Parameters
    ----------
    gc_level : level
        Of the factor.
    nodes : sequence of Node
        What one iteration makes, array by array.
    iterations : int
        Of the loop, which is one epoch.
    array_bytes : int
        The data of one array, in bytes.
    interpreter : mapping
        "gc_threshold0" to "gc_threshold2" are the thresholds at work, as `Experiment.predict` is given them.
    held : bool
        Whether the names of the loop hold one iteration's graph until the next one's is complete.
    """
    policy = policy_of(gc_level)
    if policy.every or policy.at_epoch_end:
        return loop_collected_every(
            policy.every or iterations, len(nodes), iterations, array_bytes, held=held
        )
    thresholds = [int(interpreter[f"gc_threshold{generation}"]) for generation in range(3)]
    made = iterations * sum(node.objects + node.tuples for node in nodes)
    # What else the process makes counts too: far from the threshold it is never reached.
    if policy.automatic and made > thresholds[0] / 4:
        return loop_with_collector(nodes, iterations, array_bytes, thresholds, held=held)
    alone = loop_without_collector(len(nodes) - 1, iterations, array_bytes)
    return replace(alone, metrics={"gc_collections_count": 0})


def loop_collected_every(
    steps: int, arrays: int, iterations: int, array_bytes: int, *, held: bool
) -> Prediction:
    """Predict the same loop with the collector off and a full collection at the end of every so many `steps`.

    A collection leaves the graph that the names of the loop still hold; `steps` more pile up until the next
    one. So the peak of a long loop is steps + 1 graphs, and steps graphs where nothing is held.
    """
    kept = int(held)
    later = iterations - steps
    peak = iterations if later < 0 else max(steps, kept + min(steps, later))
    end = iterations if later < 0 else kept + iterations % steps
    return Prediction(
        peak_arrays=peak * arrays,
        end_arrays=end * arrays,
        array_bytes=array_bytes,
        basis=f"min(T, {steps + kept}) graphs of {arrays} S",
        metrics={"gc_collections_count": iterations // steps},
    )


def loop_with_collector(
    nodes: Sequence[Node], iterations: int, array_bytes: int, thresholds: Sequence[int], *, held: bool
) -> Prediction:
    """Predict a loop that leaves a cyclic graph behind in each iteration, with the collector at work.

    Parameters
    ----------
    nodes : sequence of Node
        What one iteration makes, array by array.
    iterations : int
        Of the loop.
    array_bytes : int
        The data of one array, in bytes.
    thresholds : sequence of three int
        `gc.get_threshold()` of the interpreter. Full collections are left out: they wait until a quarter of all
        old objects is new.
    held : bool
        Whether the names of the loop hold one iteration's graph until the next one's is complete.

    Returns
    -------
    Prediction
        Marked as not exact: what else the process allocates moves a collection by an iteration or two, which is
        why nothing is predicted for the end.
    """
    collector = _Collector(thresholds)
    arrays = len(nodes)
    tuples = sum(node.tuples for node in nodes)
    peak = 0
    for iteration in range(iterations):
        for made, node in enumerate(nodes, start=1):
            collector.allocate(node)
            if collector.due:
                collector.collect(alive=int(held and iteration > 0), tuples_per_graph=tuples)
            peak = max(peak, arrays * collector.graphs + made)
        collector.finish_graph()
    return Prediction(
        peak_arrays=peak,
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

    def allocate(self, node: Node) -> None:
        reused = min(node.tuples, self.free_tuples)
        self.free_tuples -= reused
        self.count += node.objects + node.tuples - reused

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
        self.free_tuples = min(self.free_tuples + freed * tuples_per_graph, FREE_LIST_LENGTH)
