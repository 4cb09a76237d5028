"""A model of CPython's generational collector, for loops whose every iteration leaves one cyclic graph behind.

Source: CPython 3.11 Modules/gcmodule.c, 3.12 and 3.13 Python/gc.c. An allocation of a tracked object adds one to
the count of the youngest generation; above the threshold that generation is collected. Survivors move up, so
what is alive at that moment waits as garbage for the next older collection. Tuples that a collection of a young
generation frees are kept in a free list, and taking one from there is no allocation that is counted. Objects that
come and go within a call count while they are there: they decide at which point of an iteration a collection falls.

The counts within an iteration are those of 3.11. From 3.12 on a collection does not run within the allocation that
crosses the threshold, but when the interpreter next looks at its eval breaker, at the start of a function or at a
jump back: the object that set it off is among those that it looks at, and more may have been made. And
comprehensions are inlined there (PEP 709), so that none passes as a function of its own. Both move a collection
within an iteration, which is what the bound of a prediction allows for.
"""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from toolkit.analysis.predictions import Deviation, Prediction, formula, loop_without_collector
from toolkit.trials import Level
from toolkit.trials.collecting import policy_of

__all__ = [
    "DRAWN",
    "STEPPED",
    "Counts",
    "Node",
    "call_node",
    "chain_nodes",
    "leaf_node",
    "loop_collected_every",
    "loop_under",
    "loop_with_collector",
    "moved_bytes",
]

#: How many tuples of one length wait for reuse (PyTuple_MAXFREELIST).
FREE_LIST_LENGTH = 2000


#: What passes within a step of a pass (`backward._Pass._step`), as a test counts: the pass itself, and up to four
#: objects at a time. Passing gradients on takes two; exp takes three to compute its output again, and a sum
#: over what was broadcast four (`broadcasting.reduce_to`).
STEPPED = 5

#: What passes while numpy's random generator makes an array: two objects, before that is there.
DRAWN = (2, 0)


@dataclass(frozen=True)
class Node:
    """What is made along with one array.

    Attributes
    ----------
    objects, tuples : int
        That the collector counts; the tuples are of one length.
    held_by_earlier : bool
        Whether objects that the iteration made before refer to these: a collection in between then moves those
        up, and they hold these back from the collections of younger objects.
    passing : tuple of two int
        How many more are counted just before the array is there, and just after it, and then gone. All but one of
        the node's own objects, and one of its tuples, are made before the array.
    """

    objects: int
    tuples: int = 0
    held_by_earlier: bool = True
    passing: tuple[int, int] = (0, 0)


def chain_nodes(k: int) -> tuple[Node, ...]:
    """Return what an iteration of step 17.5 makes: x, and for each of `k` calls itself, its output, two tuples.

    A call refers to what it was given, and nothing refers to the calls that come after it. While it computes,
    nothing else is there; while it tells the probes, another iterator, a generator and its function are, and pass
    (`core.events.announce_call`).
    """
    return (leaf_node(), *[call_node(1)] * k)


def leaf_node() -> Node:
    """Return what is made along with the array of a leaf that is drawn at random."""
    return Node(objects=1, held_by_earlier=False, passing=DRAWN)


def call_node(outputs: int) -> Node:
    """Return what a call of so many outputs makes along with their arrays."""
    # Of several outputs the layouts are kept too (`Function.output_layouts`), each with its shape.
    layouts = 1 + 2 * outputs if outputs > 1 else 0
    return Node(objects=1 + outputs, tuples=2 + layouts, held_by_earlier=False, passing=(0, 3))


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
    thresholds = [int(interpreter[f"gc_threshold{generation}"]) for generation in range(3)]
    once = _counted_once(nodes)
    if policy.automatic and thresholds[0] < 2 * once:
        return None
    # What else the process makes counts too: far from the threshold it is never reached.
    if policy.automatic and iterations * once > thresholds[0] / 4:
        # The loop itself is an object more: the generator of `trial.steps`.
        counted = int(interpreter.get("gc_count_at_start", 0)) + 1
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
        exception=Deviation(
            percent=100 * bound / peak,
            cause="single objects of the interpreter and the probes decide where in an iteration each collection "
            f"falls: with collections up to {_counted_once(nodes)} objects, those of one iteration, earlier or "
            "later, or with one more or fewer passing beside each array, the model's peak moves by up to "
            f"{bound} arrays",
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
    for shift in range(-once, once + 1):
        # The same numbers each time: a prediction is a function of what it is given.
        chance = random.Random(shift)
        each = iter(lambda chance=chance: chance.randint(-once, once), None)  # type: ignore[misc]
        moved += peak(counted + shift, itertools.repeat(0)), peak(counted + shift, each)
    for before, after in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        others = [
            replace(node, passing=(max(0, node.passing[0] + before), max(0, node.passing[1] + after)))
            for node in nodes
        ]
        moved.append(peak(counted, itertools.repeat(0), others))
    return found, max(1, *(abs(one - found) for one in moved))


class Counts:
    """What the collector counts, and which generations it collects when.

    Attributes
    ----------
    made : int
        How many objects were counted in all.
    """

    def __init__(
        self, thresholds: Sequence[int], counted: int = 0, shifts: Iterator[int] | None = None
    ) -> None:
        self.made = 0
        self._count = counted
        self._shifts = itertools.repeat(0) if shifts is None else shifts
        self._thresholds = thresholds
        # A trial settles before its workload, last of all with a collection of the youngest generation.
        self._young_collections = 1
        self._free_tuples = 0

    def make(self, node: Node) -> Iterator[tuple[Literal["before", "with", "after"], bool]]:
        """Count what is made along with an array: before that is there, with it, and after.

        Yields
        ------
        moment, due
            Whether a collection falls there; the caller lets it `begin` before he goes on. The object that sets
            off the one with the array is not yet among those that it looks at.
        """
        reused = min(node.tuples, self._free_tuples)
        self._free_tuples -= reused
        tuples = node.tuples - reused
        self.made += node.objects + tuples
        before = node.objects - 1 + min(tuples, 1)
        before_array, after_array = node.passing
        if self._count + before + before_array > self._thresholds[0]:
            yield "before", True
        else:
            self._count += before
            yield "before", False
        self._count += node.objects + tuples - before
        yield "with", self._count > self._thresholds[0]
        yield "after", self._count + after_array > self._thresholds[0]

    def passes(self, objects: int) -> bool:
        """Count objects that are gone at once, and return whether a collection falls while they are there."""
        return self._count + objects > self._thresholds[0]

    def begin(self) -> int:
        """Begin a collection, and return the oldest generation that is collected."""
        self._count = next(self._shifts)
        if self._young_collections > self._thresholds[1]:
            self._young_collections = 0
            return 1
        self._young_collections += 1
        return 0

    def freed(self, tuples: int) -> None:
        """Know that a collection has freed tuples."""
        self._free_tuples = min(self._free_tuples + tuples, FREE_LIST_LENGTH)


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
