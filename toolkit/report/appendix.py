"""What a reader may look up: the datasheets of the probes, and the words of the bench."""

from dataclasses import asdict

from toolkit.analysis.observing import Observed
from toolkit.report import Method
from toolkit.report.observers import told_of
from toolkit.trials.measuring import modules

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
        "in brackets after the median over the replicates: from the smallest reading to the largest, which covers "
        "the true median with 50 % for 2 readings, 75 % for 3, 87.5 % for 4 and 93.8 % for 5; from 6 readings on, "
        "the narrowest between two readings that covers it with 95 % or more, whatever the distribution is",
    ),
    (
        "shift",
        "by how much the readings of one cell lie above those of another: the median of all differences, after "
        "Hodges and Lehmann, with the interval of Moses",
    ),
    ("garbage", "objects that nothing can reach any more, but that hold each other in a cycle"),
    (
        "collector",
        "the part of Python that looks for such cycles once enough objects are new: among the youngest (generation "
        "0) often, among what has survived that (1 and 2) seldom",
    ),
    (
        "named exception",
        "a measurement more than 1 % off, whose prediction says why and how much that cause accounts for",
    ),
    (
        "verdict",
        "why bytes are still held: leak, garbage awaiting collection, cache, retained by the allocator, "
        "untouched pages",
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
                ("observer effect", told_of(observed, name)),
            ),
        )
        for name, module in modules().items()
    )
