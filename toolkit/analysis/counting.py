"""What CPython's collector counts, and when it comes.

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
from dataclasses import dataclass
from typing import Literal

from toolkit.analysis.predictions import Deviation
from toolkit.trials import Level

__all__ = [
    "DRAWN",
    "STEPPED",
    "Counts",
    "Node",
    "call_node",
    "chain_nodes",
    "counted_at_start",
    "deviation",
    "leaf_node",
    "shifted",
    "thresholds_of",
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


def thresholds_of(interpreter: Mapping[str, Level]) -> tuple[int, ...]:
    """Return the thresholds of the collector, of what `Experiment.predict` is told of the interpreter."""
    return tuple(int(interpreter[f"gc_threshold{generation}"]) for generation in range(3))


def counted_at_start(interpreter: Mapping[str, Level]) -> int:
    """Return how many objects of the youngest generation are counted when a loop begins, of what is told so."""
    # The loop itself is an object more: the generator of `trial.steps`.
    return int(interpreter.get("gc_count_at_start", 0)) + 1


def shifted(once: int, apart: int = 1) -> Iterator[tuple[int, Iterator[int]]]:
    """Yield by how many objects collections may come earlier or later, `once` of them at most.

    Parameters
    ----------
    once : int
        How many objects an iteration leaves.
    apart : int
        Every so manieth number is taken.

    Yields
    ------
    shift, each
        One number for the first collection, and numbers at random for every one.
    """
    for shift in range(-once, once + 1, apart):
        # The same numbers each time: a prediction is a function of what it is given.
        chance = random.Random(shift)
        yield shift, iter(lambda chance=chance: chance.randint(-once, once), None)  # type: ignore[misc]


def deviation(peak: float, bound: float, once: int, moved: str) -> Deviation:
    """Return how far off a peak may be that hangs on when collections come.

    Parameters
    ----------
    peak, bound : float
        The peak and how far it moves, in arrays.
    once : int
        By how many objects collections were shifted, either way.
    moved : str
        What else was changed, and what moves, as words after "earlier or later".
    """
    return Deviation(
        percent=100 * bound / peak,
        cause="single objects of the interpreter and the probes decide where in an iteration each collection "
        f"falls: with collections up to {once} objects, those of one iteration, earlier or later{moved} moves by "
        f"up to {bound:.0f} arrays",
    )
