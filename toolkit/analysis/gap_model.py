"""The gap model: what a loop needs whose every iteration leaves one cyclic graph behind for the collector.

Survivors of a collection move up, so what is alive at that moment waits as garbage for the next older collection:
that is the gap between what is garbage and what is freed. How the collector counts says `analysis.counting`.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

from toolkit.analysis.counting import (
    Counts,
    Node,
    chain_nodes,
    counted_at_start,
    deviation,
    shifted,
    thresholds_of,
)
from toolkit.analysis.predictions import (
    Prediction,
    check_lengths,
    formula,
    loop_without_collector,
    loop_without_garbage,
)
from toolkit.trials import Level
from toolkit.trials.collecting import policy_of

__all__ = ["loop_collected_every", "loop_of_step17", "loop_under", "loop_with_collector", "moved_bytes"]


def loop_of_step17(cell: Mapping[str, Level], interpreter: Mapping[str, Level]) -> Prediction | None:
    """Predict the loop of step 17.5, three squares of a drawn x in each step.

    Parameters
    ----------
    cell : mapping of str to level
        Of `references`, `gc`, `n` and `iterations`.
    interpreter : mapping
        As `loop_under` takes it.
    """
    array_bytes, iterations = 8 * int(cell["n"]), int(cell["iterations"])
    check_lengths(3, iterations)
    if cell["references"] == "weak":
        return loop_without_garbage(3, iterations, array_bytes)
    return loop_under(cell["gc"], chain_nodes(3), iterations, array_bytes, interpreter, held=True)


def loop_under(
    gc_level: Level,
    nodes: Sequence[Node],
    iterations: int,
    array_bytes: int,
    interpreter: Mapping[str, Level],
    *,
    held: bool,
) -> Prediction | None:
    """Predict a loop that leaves a cyclic graph behind in each step, under a level of the factor `gc`.

    Exact where collections come at steps or not at all; a model where Python runs the collector. Frozen objects
    are not of the loop, so `frozen` leaves its memory as it is. None for a threshold that every second iteration or
    more crosses: where in an iteration that happens then decides all.

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
        "gc_threshold0" to "gc_threshold2" are the thresholds at work, and "gc_count_at_start" how many objects of
        the youngest generation were counted before the workload began, as `Experiment.predict` is given them.
    held : bool
        Whether the names of the loop hold one iteration's graph until the next one's is complete.
    """
    policy = policy_of(gc_level)
    if policy.every or policy.at_epoch_end:
        return loop_collected_every(
            policy.every or iterations, len(nodes), iterations, array_bytes, held=held
        )
    thresholds = thresholds_of(interpreter)
    once = _counted_once(nodes)
    if policy.automatic and thresholds[0] < 2 * once:
        return None
    # What else the process makes counts too: far from the threshold it is never reached.
    if policy.automatic and iterations * once > thresholds[0] / 4:
        counted = counted_at_start(interpreter)
        return loop_with_collector(nodes, iterations, array_bytes, thresholds, held=held, counted=counted)
    alone = loop_without_collector(len(nodes) - 1, iterations, array_bytes)
    none = {"gc_collections_count": "0, for the collector is off or too few objects are made"}
    return replace(alone, metrics={"gc_collections_count": 0}, other_bases=none)


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
        basis=formula("g a S", g=peak, a=arrays),
        other_bases={
            "end": formula("g a S", g=end, a=arrays),
            "gc_collections_count": formula("T // c", T=iterations, c=steps),
        },
        metrics={"gc_collections_count": iterations // steps},
    )


def loop_with_collector(
    nodes: Sequence[Node],
    iterations: int,
    array_bytes: int,
    thresholds: Sequence[int],
    *,
    held: bool,
    counted: int = 0,
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
    counted : int
        How many objects of the youngest generation were counted already when the loop began.

    Returns
    -------
    Prediction
        Marked as not exact: what else the process allocates moves a collection by an iteration or two, which is
        why nothing is predicted for the end. Its exception is as far as the peak of the model moves when the first
        collection, or every one by another number, comes up to an iteration's objects earlier or later, or one
        object more or fewer passes beside each array, as it may in another release of Python.
    """
    peak, bound = _peak_and_bound(tuple(nodes), iterations, tuple(thresholds), held, counted)
    return Prediction(
        peak_arrays=peak,
        array_bytes=array_bytes,
        basis=f"model of the collector, thresholds {', '.join(map(str, thresholds))}",
        exact=False,
        exception=deviation(
            peak,
            bound,
            _counted_once(nodes),
            ", or with one more or fewer passing beside each array, the model's peak",
        ),
    )


def moved_bytes(
    nodes: Sequence[Node], iterations: int, array_bytes: int, thresholds: Sequence[int], counted: int
) -> int:
    """Return how far the peak of such a loop, whose names hold its last graph, moves with its collections."""
    _, bound = _peak_and_bound(tuple(nodes), iterations, tuple(thresholds), True, counted)
    return bound * array_bytes


def _counted_once(nodes: Sequence[Node]) -> int:
    return sum(node.objects + node.tuples for node in nodes)


@cache
def _peak_and_bound(
    nodes: tuple[Node, ...], iterations: int, thresholds: tuple[int, ...], held: bool, counted: int
) -> tuple[int, int]:
    """Return the peak of the model, and how far it moves with its collections, one array at least, in arrays."""

    def peak(counted: int, shifts: Iterator[int], nodes: Sequence[Node] = nodes) -> int:
        collector = _Collector(nodes, thresholds, counted, shifts)
        return max(
            collector.make(iteration, position, oldest_alive=iteration - int(held))
            for iteration in range(iterations)
            for position in range(len(nodes))
        )

    once = _counted_once(nodes)
    found = peak(counted, itertools.repeat(0))
    moved = [found]
    for shift, each in shifted(once):
        moved += peak(counted + shift, itertools.repeat(0)), peak(counted + shift, each)
    for before, after in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        others = [
            replace(node, passing=(max(0, node.passing[0] + before), max(0, node.passing[1] + after)))
            for node in nodes
        ]
        moved.append(peak(counted, itertools.repeat(0), others))
    return found, max(1, *(abs(one - found) for one in moved))


class _Collector:
    """In each generation its arrays, by iteration and position.

    Of `shifts` each collection takes one: how many objects earlier the next one comes than is counted.
    """

    def __init__(
        self, nodes: Sequence[Node], thresholds: Sequence[int], counted: int, shifts: Iterator[int]
    ) -> None:
        self._counts = Counts(thresholds, counted, shifts)
        self._arrays = 0
        self._nodes = nodes
        self._young: list[tuple[int, int]] = []
        self._middle: list[tuple[int, int]] = []
        #: The iterations of which a part has moved to the middle generation, and further up.
        self._in_middle: set[int] = set()
        self._in_old: set[int] = set()
        #: Arrays whose call was there already when a collection moved it up.
        self._called_before: set[tuple[int, int]] = set()

    def make(self, iteration: int, position: int, oldest_alive: int) -> int:
        """Make a node, collect where that is due, and return how many arrays there were at most.

        Iterations before `oldest_alive` are garbage.
        """
        most = 0
        for moment, due in self._counts.make(self._nodes[position]):
            if moment == "with":
                self._arrays += 1
                most = self._arrays
            if moment == "after":
                self._young.append((iteration, position))
            if due:
                self._collect(oldest_alive)
            if due and moment == "before":
                self._called_before.add((iteration, position))
        return most

    def _collect(self, oldest_alive: int) -> None:
        """Collect the youngest generation, and the middle one if it is its turn."""
        if self._counts.begin():
            kept = self._free([*self._middle, *self._young], oldest_alive, self._in_old)
            self._in_old.update(iteration for iteration, _ in kept)
            self._middle, self._in_middle = [], set()
        else:
            kept = self._free(self._young, oldest_alive, self._in_middle | self._in_old)
            self._in_middle.update(iteration for iteration, _ in kept)
            self._middle += kept
        self._young = []

    def _free(
        self, arrays: Sequence[tuple[int, int]], oldest_alive: int, moved_up: set[int]
    ) -> list[tuple[int, int]]:
        """Free the garbage among `arrays` and return the rest."""
        kept = []
        for iteration, position in arrays:
            node = self._nodes[position]
            held = node.held_by_earlier or (iteration, position) in self._called_before
            if iteration >= oldest_alive or (held and iteration in moved_up):
                kept.append((iteration, position))
            else:
                self._arrays -= 1
                self._counts.freed(node.tuples)
        return kept
