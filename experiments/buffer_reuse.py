"""How much of an engine's time goes into fresh pages of memory, and what gets it back?

In each iteration a chain of k squares is made and gone back through. All that it allocated is freed: large arrays
go back to the kernel, which hands out pages anew, cleared and one fault each, when they are next touched. With
buffers=reused the engine computes into memory of arrays that are gone. Bare numpy does the same arithmetic without
a graph, into new arrays or into ones made once: that is the floor.

How much goes back hangs on the allocator. malloc=fixed maps each array by itself, so that every one of the 2k+1
that an iteration makes, k squares, the first gradient and one of each square, has its pages handed out anew. By
default glibc hands on within an iteration what was freed there, and gives back at its end what lies on top of its
heap, less 128 KiB: that is what was alive at once, k+2 arrays. malloc=heap has glibc keep all that is freed.

Every way must find the gradient of every other to the last bit. One array more than with fresh buffers is needed,
as memory that is used again is not computed into in place; and between iterations all of it stays.
"""

import resource
import time

import numpy as np

from toolkit import Experiment, Variable, square
from toolkit.core.checksum import checksum
from toolkit.core.config import current_config


def workload(trial, *, by, k, n, iterations):
    # Near enough to 1 that no power of 2**k overflows.
    x = trial.rng.uniform(0.9999, 1.0001, n)
    reused = current_config().buffers == "reused"
    way = Engine(x, k) if by == "core" else Reusing(x, k, trial) if reused else Fresh(x, k, trial)
    faults, seconds = [], []
    for _ in trial.steps(iterations):
        faults_before, began = faulted(), time.perf_counter()
        way.iterate()
        seconds.append(time.perf_counter() - began)
        faults.append(faulted() - faults_before)
    # The first iterations find out what to keep: glibc its thresholds, the engine its buffers.
    steady = slice(iterations // 2, None)
    trial.record(
        iteration_seconds=middle(seconds[steady]),
        page_faults_count=middle(faults[steady]),
        gradients_checksum=checksum([way.gradient()]),
    )
    return way


def middle(readings):
    return sorted(readings)[len(readings) // 2]


def faulted():
    """Return how many pages the kernel has given this process so far without reading a disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


class Engine:
    """The core, as its toggles say."""

    def __init__(self, x, k):
        self.x, self.k = Variable(x), k

    def iterate(self):
        self.x.cleargrad()
        y = self.x
        for _ in range(self.k):
            y = square(y)
        y.backward()

    def gradient(self):
        return self.x.grad


class Fresh:
    """Bare numpy with a new array for each result."""

    def __init__(self, x, k, trial):
        self.x, self.k, self.trial = x, k, trial
        self.found = None

    def iterate(self):
        self.found = None
        kept = [self.x]
        for _ in range(self.k):
            kept.append(np.square(kept[-1]))
        gradient = np.ones_like(kept[-1])
        for before in reversed(kept[:-1]):
            given, gradient = gradient, (before + before) * gradient
            self.trial.observe()
            del given
        self.found = gradient

    def gradient(self):
        return self.found


class Reusing:
    """Bare numpy with arrays that are made once."""

    def __init__(self, x, k, trial):
        self.arrays = [x, *[np.empty_like(x) for _ in range(k)]]
        self.gradients = [np.empty_like(x), np.empty_like(x)]
        self.trial = trial

    def iterate(self):
        for before, after in zip(self.arrays, self.arrays[1:], strict=False):
            np.square(before, out=after)
        self.gradients[0].fill(1)
        for before in reversed(self.arrays[:-1]):
            given, found = self.gradients
            np.add(before, before, out=found)
            np.multiply(found, given, out=found)
            self.gradients = [found, given]
        self.trial.observe()

    def gradient(self):
        return self.gradients[0]


def where(cell):
    # Memory is measured with each array on pages of its own; arrays made once know no allocator.
    floor = (cell["by"], cell["buffers"]) == ("numpy", "reused")
    return cell["malloc"] == "fixed" or (cell["measure"] == "timed" and not floor)


def predict(cell, interpreter):
    from dataclasses import replace

    from toolkit.analysis.predictions import Prediction, backward, formula, reused_buffers

    k, array_bytes = cell["k"], 8 * cell["n"]
    if cell["buffers"] == "fresh":
        # x and its gradient are held, and no y.
        fresh = backward(k, array_bytes, retain_grad=False)
        return replace(fresh, end_arrays=2, other_bases={"end": "2 S"})
    if cell["by"] == "numpy":
        once = formula("(k+3) S", k=k)
        return Prediction(peak_arrays=k + 3, end_arrays=k + 3, array_bytes=array_bytes, basis=once)
    # From the second iteration on the temporary is there between functions as well, and x is held here.
    reused = reused_buffers(k, array_bytes)
    return replace(reused, end_arrays=k + 4, temporary_arrays=0, other_bases={"end": reused.basis})


def figures(results):
    from toolkit.report.charts.bars import bars

    for n in results.levels("n"):
        size = {"n": n, **{name: results.levels(name)[-1] for name in ("k", "iterations")}}
        chain = f"A chain of {size['k']} squares, forward and backward."
        ways = (
            "malloc=fixed: each array is mapped by itself; default: glibc as it comes; heap: glibc keeps what is "
            "freed. Arrays that bare numpy makes once know no allocator."
        )
        yield bars(
            results,
            "iteration_seconds",
            "timed",
            by=["by", "buffers", "malloc"],
            where=size,
            name=f"time_{n}",
            title=f"n={n:,}: what an iteration takes",
            caption=f"{chain} {ways}",
        )
        yield bars(
            results,
            "page_faults_count",
            "timed",
            by=["by", "buffers", "malloc"],
            where=size,
            name=f"faults_{n}",
            title=f"n={n:,}: pages that the kernel hands out anew in each iteration",
            caption=f"{chain} {ways}",
        )
        yield bars(
            results,
            "peak_rss_bytes",
            "resident",
            by=["by", "buffers"],
            where=size,
            name=f"peak_{n}",
            title=f"n={n:,}: the resident peak, and what theory says of it",
            caption=chain,
        )


def findings(results):
    from toolkit.report import claims, contrasts

    k, malloc = results.levels("k")[-1], results.level("malloc", "default")
    core = {"by": "core", "buffers": "fresh", "malloc": malloc}
    reused, heap, numpy = {**core, "buffers": "reused"}, {**core, "malloc": "heap"}, {**core, "by": "numpy"}
    floor = {"by": "numpy", "buffers": "reused", "malloc": "fixed"}
    for n in reversed(results.levels("n")):
        size = {"n": n, "k": k, "iterations": results.levels("iterations")[-1]}
        for what, more, less in (
            ("with fresh buffers takes {more}, with reused ones {less}", core, reused),
            ("with fresh buffers takes {more}, where glibc keeps its heap {less}", core, heap),
            ("in bare numpy takes {more} with new arrays, {less} with arrays made once", numpy, floor),
            ("with reused buffers takes {more}, in bare numpy with arrays made once {less}", reused, floor),
        ):
            yield contrasts.times_as_much(
                results,
                "iteration_seconds",
                "timed",
                f"n={n:,}: an iteration {what}: {{ratio}}.",
                more=more,
                less=less,
                **size,
            )
        yield from pages(results, size)
        yield contrasts.times_as_much(
            results,
            "peak_traced_bytes",
            "traced",
            f"n={n:,}: reused buffers peak at {{more}}, fresh ones at {{less}}: {{ratio}}.",
            more={"by": "core", "buffers": "reused"},
            less={"by": "core", "buffers": "fresh"},
            **size,
        )
        yield claims.alike(
            results,
            "gradients_checksum",
            "traced",
            f"n={n:,}: the gradient of every way, the engine's and bare numpy's, to the last bit",
            size,
        )
    yield from claims.memory_agreement(results, "of fresh and reused buffers")


def pages(results, size):
    """Say how many pages are handed out anew in an iteration of the engine, and how many its arrays have."""
    from toolkit.report.finding import judged
    from toolkit.report.units import number

    array_pages = -(-8 * size["n"] // int(results.rows[0].conditions["page_bytes"]))
    # Python's own objects may touch some. A kernel that hands out several pages at a fault counts fewer.
    few = max(8, (size["k"] + 2) * array_pages // 100)
    for what, buffers, malloc, arrays in (
        ("reused buffers", "reused", results.level("malloc", "default"), 0),
        ("fresh ones, each mapped by itself (malloc=fixed)", "fresh", "fixed", 2 * size["k"] + 1),
        ("fresh ones, handed on within it (malloc=default)", "fresh", "default", size["k"] + 2),
    ):
        levels = {"by": "core", "buffers": buffers, "malloc": malloc, **size}
        cells = results.cells("page_faults_count", "timed", (), levels)
        if not cells:
            continue
        (found,) = (cell.estimate.median for cell in cells)
        most = arrays * array_pages
        # What is mapped by itself is met page by page, or in several at a time, but at least once for each array.
        least = arrays if malloc == "fixed" else 0
        figure = f"n={size['n']:,}: pages that an iteration gets anew with {what}"
        of = f" ({arrays} arrays of {number(array_pages, 0)} pages)" if arrays else ""
        expected = f"at most {number(most, 0)}{of}, within {few}"
        if least:
            expected = f"at least {least}, one for each array, and {expected}"
        measured = number(found, 0)
        sentence = f"{figure}: {measured}, expected {expected}."
        yield judged(figure, measured, expected, least <= found <= most + few, cells, sentence=sentence)


EXPERIMENT = Experiment(
    workload,
    factors={
        "by": ["core", "numpy"],
        "buffers": ["fresh", "reused"],
        "malloc": ["fixed", "default", "heap"],
        "n": [100_000],
    },
    constants={"k": 16, "iterations": 20},
    where=where,
    replicates={"resident": 1, "traced": 1, "timed": 3},
    profiles={
        "smoke": {"malloc": ["fixed"], "measures": ["traced", "timed"], "replicates": {"timed": 1}},
        "full": {"n": [10_000, 100_000, 1_000_000], "replicates": {"resident": 3, "timed": 10}},
    },
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
