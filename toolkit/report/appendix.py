"""What a reader may look up: the datasheets of the probes, and the words of the bench."""

import itertools
from dataclasses import asdict

from toolkit.analysis.observing import Observed
from toolkit.analysis.statistics import CONFIDENCE, coverage
from toolkit.report import Method
from toolkit.report.observers import told_of
from toolkit.trials.measuring import modules


def _enough() -> int:
    """Return how many readings give an interval that covers as much as it is to."""
    return next(count for count in itertools.count(2) if (coverage(count) or 0) >= CONFIDENCE)


def _ranges() -> str:
    """Return what the range of fewer readings covers, in words."""
    covers = {count: f"{100 * (coverage(count) or 0):.3g} %" for count in range(2, _enough())}
    *first, last = (f"{told} for {count}{' readings' * (count == 2)}" for count, told in covers.items())
    return f"{', '.join(first)} and {last}"


#: The settings of the core that factors name, with the levels that the book has first.
_TOGGLES = (
    (
        "references",
        "how a function holds its outputs: by weak references, or by strong ones, which close a cycle",
    ),
    (
        "traversal",
        "the order of the backward pass: by generation, or last in, first out (lifo), which is wrong",
    ),
    ("retain_grad", "whether gradients of intermediate variables outlive the backward pass"),
    ("enable_backprop", "whether calls record the graph that a backward pass needs"),
    ("saves", "what a function keeps for its gradient: its inputs, or only what is needed"),
    (
        "retain_graph",
        "whether the graph outlives the backward pass, or each function's part of it goes as soon as it was used",
    ),
    ("storage", "how functions keep data: exact, or rounded to float32 or float16"),
    ("accumulation", "where a sum of gradients goes: into a new array, or in_place into the first"),
    (
        "buffers",
        "whether results are computed into fresh memory, or into reused memory of arrays that are gone",
    ),
)

#: One word per concept.
GLOSSARY = (
    ("experiment", "one question, in one script: factors, workload, probes, figures"),
    ("factor, level", "a thing that is varied; one of its values"),
    ("cell", "one combination of levels"),
    ("trial", "one run of the workload at one combination of levels, in a process of its own"),
    ("replicate", "the same trial again"),
    ("workload", "the function that a trial runs"),
    ("probe", "reads one source of truth during a trial"),
    (
        "measure",
        "the kind of figures that a trial takes, resident, traced, timed, ledger, lines or profiled: each disturbs "
        "the others",
    ),
    ("metric", "a named number with a unit that a probe yields"),
    ("series", "a metric over time"),
    ("engine", "an autograd implementation that can run a workload"),
    ("prediction", "what theory says the metric must be"),
    ("S", "the data of one array, in bytes: 8 n for n numbers of float64"),
    ("page", "the unit in which the kernel gives memory"),
    ("resident", "in memory and counted by the kernel for the process, less what it had before the workload"),
    (
        "RSS",
        "resident set size: how many bytes are resident; peak RSS, the most at any moment of the workload",
    ),
    ("traced", "allocated and not yet freed, as Python's tracemalloc counts it"),
    (
        "interval",
        f"in brackets after the median over {_enough()} replicates or more: the narrowest between two readings "
        f"that covers the true median with {100 * CONFIDENCE:.3g} % or more, whatever the distribution is, its "
        "ends rounded outward",
    ),
    (
        "range",
        "in the place of an interval where readings are too few for one: from the smallest to the largest, which "
        f"covers the true median with {_ranges()}",
    ),
    (
        "shift",
        "by how much the readings of one cell lie above those of another: the median of all differences, after "
        "Hodges and Lehmann, with the interval of Moses",
    ),
    (
        "noise floor",
        "by how much the replicates of a cell that ran first differ from those that ran later, median against "
        "median, in the cell where that is most: a smaller difference between cells is none; single readings may "
        "lie further apart",
    ),
    (
        "Cliff's delta",
        "from -1 to 1: how much more often a reading of the one cell is the larger one than a reading of the other",
    ),
    ("garbage", "objects that nothing can reach any more, but that hold each other in a cycle"),
    (
        "collector",
        "the part of Python that looks for such cycles once enough objects are new: among the youngest (generation "
        "0) often, among what has survived that (1 and 2) seldom",
    ),
    (
        "agreement",
        "whether what was measured is what was predicted, within what the prediction claims",
    ),
    (
        "named exception",
        "a measurement more than 1 % off, whose prediction says why and how much that cause accounts for",
    ),
    (
        "verdict",
        "why bytes are still held: garbage awaiting collection, frozen garbage, cache, leak, memory that no array "
        "owns, retained by the allocator, retained after release, untouched pages; garbage is counted by what is "
        "traced, what is retained by resident pages, so that bytes whose pages stay once they are collected have "
        "both, and the two do not add up",
    ),
    (
        "still there after all",
        "what no step after the end took away: dropping the result, collecting garbage and, of resident bytes, "
        "the allocator's release call",
    ),
    *_TOGGLES,
    (
        "gc",
        "what runs the collector: Python as it comes (default), with another threshold for the youngest, or "
        "leaving out what was there before the workload (frozen); nothing (off); the trial itself, at the end of "
        "every k-th step (every=k) or of the whole loop (manual)",
    ),
    (
        "malloc",
        "the allocator: glibc with each array on pages of its own (fixed), as it comes (default), or keeping what "
        "is freed (heap); with Python's own objects from it as well (python); or another, such as jemalloc",
    ),
    ("store", "the one database file of results"),
    ("report", "what people read: a pure function of the store"),
)


def methods(observed: Observed) -> tuple[Method, ...]:
    """Return the datasheet of each probe, by the name of its file, with what it was seen to change."""
    return tuple(
        Method(
            probe=name,
            rows=(
                *((key.replace("_", " "), told) for key, told in asdict(module.DATASHEET).items()),
                (
                    "observer effect",
                    told_of(observed, name) if hasattr(module, "PROBE") else "from outside: nothing",
                ),
            ),
        )
        for name, module in modules().items()
    )
