"""Which allocator keeps the bytes that nobody needs any more, and what does each take in time?

The book's ten iterations with strong references and the collector off: all arrays are garbage at the end. What is
resident once they are dropped, collected, and the allocator has been asked by its own call to give pages back tells
who holds them. Weak references, in a longer loop, free and ask for arrays of one size again and again: that takes
time where an allocator returns to the kernel each time.

What glibc keeps by default, and not with fixed thresholds, is measured in every version of Python that is here; all
else in the one that runs the bench.

What an allocator keeps also hangs on what the process freed before the workload, here the room that the bench makes
for Python and takes back (see the probe `resident`). jemalloc, for one, gives pages back by their age: in a process
without that room it may keep more.
"""

from toolkit import Experiment, Variable, square
from toolkit.trials.levels import PYTHONS, THIS_PYTHON

#: Of the bytes of arrays: a resident peak of less has some of them on pages of before, beyond a rounding.
LACKING_BELOW = 0.95


def workload(trial, *, n, iterations):
    for _ in trial.steps(iterations):
        x = Variable(trial.rng.standard_normal(n))
        y = square(square(square(x)))  # noqa: F841


def where(cell):
    if cell["python"] in PYTHONS and cell["python"] != THIS_PYTHON:
        told_by = cell["references"] == "strong" and cell["malloc"] in ("fixed", "default")
        if not told_by or cell["measure"] == "timed":
            return False
    if cell["references"] == "strong":
        return cell["iterations"] == 10
    return cell["iterations"] > 10 and cell["n"] == 10_000


def predict(cell, interpreter):
    from toolkit.analysis.predictions import loop_without_collector, loop_without_garbage

    # Each array on pages of its own is what the thresholds of `fixed` enforce; others pack arrays together, round
    # sizes up, or put arrays where others have been.
    if cell["malloc"] != "fixed":
        return None
    if cell["references"] == "weak":
        return loop_without_garbage(3, cell["iterations"], 8 * cell["n"])
    return loop_without_collector(3, cell["iterations"], 8 * cell["n"])


def bench(results):
    """Return the level of `python` that all allocators were measured in."""
    return max(
        results.levels("python"),
        key=lambda level: sum(row.factors["python"] == level for row in results.rows),
    )


def figures(results):
    from toolkit.report.charts.bars import bars
    from toolkit.report.charts.waiting import waiting

    python = bench(results)
    for n in results.levels("n"):
        strong = {"references": "strong", "n": n, "python": python}
        yield waiting(
            results,
            by=["malloc"],
            where=strong,
            name=f"waiting_{n}",
            title=f"n={n:,}: what is still there at the end, and what it waits for",
            caption="Bars are of resident pages alone; the table of why bytes are still held has garbage by what "
            f"is traced, too. {without_pages_of_before(results, [n], python)}",
        )
    yield bars(
        results,
        "peak_rss_bytes",
        "resident",
        by=["n", "malloc"],
        where={"references": "strong", "python": python},
        name="peak",
        title="Resident peak under each allocator",
        caption=without_pages_of_before(results, results.levels("n"), python),
    )
    yield bars(
        results,
        "wall_seconds",
        "timed",
        by=["malloc"],
        where={"references": "weak", "python": python},
        name="time",
        title="Time of a loop that frees and takes arrays all the time, under each allocator",
    )


def findings(results):
    from dataclasses import replace

    from toolkit.report import claims

    python = bench(results)
    kept = [one for n in reversed(results.levels("n")) for one in kept_by_each(results, n, python)]
    timed = list(fastest_and_slowest(results, python))
    # Together they answer the question.
    if kept and timed:
        kept[0] = replace(kept[0], sentence=f"{kept[0].sentence} {timed.pop().sentence}")
    yield from (*kept, *timed)
    yield claims.everywhere(
        results,
        "resident",
        "Left to itself glibc keeps most of the freed arrays of 80 kB, and with fixed thresholds gives them back",
        lambda level: glibc_keeps(results, level),
        results.cells("collected_rss_bytes", "resident"),
    )
    yield claims.agreement(
        results,
        ["peak_rss_bytes", "end_rss_bytes"],
        "resident",
        "fixed thresholds: resident peak and end against the prediction, n=100,000",
        where={"malloc": "fixed", "n": 100_000},
    )
    yield claims.same(
        results,
        {"collected_traced_bytes": 0},
        "traced",
        "what is traced once garbage is collected: all that is resident then is the allocator's",
    )


def glibc_keeps(results, python):
    """Return whether only the default keeps freed arrays, with the numbers; None where glibc was not at work."""
    from toolkit.report.units import number, text

    readings = {}
    for malloc in ("default", "fixed"):
        levels = {"malloc": malloc, "references": "strong", "n": 10_000, "python": python}
        trials = results.trials("resident", levels)
        if not trials or not trials[0].conditions["allocator"].startswith("glibc"):
            return None
        names = ("peak", "collected", "trimmed")
        readings[malloc] = [results.at(f"{name}_rss_bytes", "resident", **levels).median for name in names]
    (peak, kept, trimmed), (fixed_peak, fixed_kept, _) = readings["default"], readings["fixed"]
    told = (
        f"the default keeps {text(kept, 'bytes')} of {text(peak, 'bytes')}, of which malloc_trim gives back "
        f"{number(100 * min(1, (kept - trimmed) / kept) if kept > 0 else 0, 0)} %, and fixed thresholds keep "
        f"{text(max(0, fixed_kept), 'bytes')} of {text(fixed_peak, 'bytes')}"
    )
    return kept > peak / 2 and trimmed < peak / 50 and fixed_kept < fixed_peak / 50, told


def on_pages_of_before(results, n, python):
    """Return, by allocator, the bytes of arrays at the peak, and how many of them its resident peak lacks.

    Every array is written to, so those that are not in the resident peak lie on pages of the baseline.
    """
    lacking = {}
    for malloc in results.levels("malloc"):
        levels = {"malloc": malloc, "references": "strong", "n": n, "python": python}
        arrays = results.at("peak_traced_bytes", "traced", **levels)
        peak = results.at("peak_rss_bytes", "resident", **levels)
        if arrays is not None and peak is not None and peak.median < LACKING_BELOW * arrays.median:
            lacking[malloc] = (arrays.median, arrays.median - peak.median)
    return lacking


def without_pages_of_before(results, sizes, python):
    """Return why some allocators peak at less than their arrays are; "" where none does."""
    found = dict.fromkeys(malloc for n in sizes for malloc in on_pages_of_before(results, n, python))
    if not found:
        return ""
    return (
        f"{' and '.join(found)} had pages resident before the workload, which do not count, and put arrays on "
        "them: what is shown is less than the arrays are, by an amount that may differ from trial to trial."
    )


def kept_by_each(results, n, python):
    """Say of each allocator what it keeps of the memory that was freed, before and after its release call."""
    from toolkit.report import Finding
    from toolkit.report.units import text

    told = []
    for malloc in results.levels("malloc"):
        levels = {"malloc": malloc, "references": "strong", "n": n, "python": python}
        readings = [
            results.at(f"{name}_rss_bytes", "resident", **levels) for name in ("peak", "collected", "trimmed")
        ]
        if not all(readings):
            continue
        # Below 0 are pages that were resident before the workload.
        peak, collected, trimmed = (text(max(0, reading.median), "bytes") for reading in readings)
        told.append(f"{malloc} {collected} of {peak}" + (f" ({trimmed})" if trimmed != collected else ""))
    before = "".join(
        f" {malloc} peaks at {text(lacking, 'bytes')} less than the {text(arrays, 'bytes')} of its arrays, because "
        "it puts the rest on pages that were resident before the workload, which do not count."
        for malloc, (arrays, lacking) in on_pages_of_before(results, n, python).items()
    )
    if told:
        yield Finding(
            sentence=f"n={n:,}, all arrays garbage, which is collected at the end: of its resident peak each "
            f"allocator keeps (in brackets: after its own release call) {'; '.join(told)}.{before}"
        )


def fastest_and_slowest(results, python):
    from toolkit.analysis.noise import effect
    from toolkit.report import Finding
    from toolkit.report.units import estimate_text, number, text

    weak = {"references": "weak", "python": python}
    cells = results.cells("wall_seconds", "timed", ["malloc"], weak)
    if len(cells) < 2:
        return
    fastest, *_, slowest = sorted(cells, key=lambda cell: cell.estimate.median)
    told = " and ".join(
        f"{estimate_text(cell.estimate, 'seconds')} with {cell.levels['malloc']}"
        for cell in (fastest, slowest)
    )
    readings = [results.readings("wall_seconds", "timed", **weak, **cell.levels) for cell in cells]
    differs = effect(readings[cells.index(fastest)], readings[cells.index(slowest)], readings)
    if differs.shift.low is None:
        judged = "without replicates there is no interval, which tells nothing of the allocators."
    elif differs.stands_out:
        judged = (
            f"the shift between them, {estimate_text(differs.shift, 'seconds')}, is more than noise (noise floor "
            f"{text(differs.floor, 'seconds')}, Cliff's delta {number(differs.delta)})."
        )
    else:
        judged = "halves of one cell lie as far apart, which tells nothing of the allocators."
    yield Finding(
        sentence=f"{results.levels('iterations')[-1]} iterations with weak references, n=10,000, take {told}: "
        f"{judged}"
    )


EXPERIMENT = Experiment(
    workload,
    factors={
        "malloc": ["fixed", "default", "heap", "python", "jemalloc", "mimalloc", "tcmalloc"],
        "references": ["strong", "weak"],
        "n": [10_000, 100_000],
        "iterations": [10, 400],
        "python": PYTHONS,
    },
    constants={"gc": "off"},
    where=where,
    replicates={"resident": 1, "traced": 1, "timed": 3},
    profiles={
        "smoke": {
            "malloc": ["fixed", "default", "jemalloc"],
            "references": ["strong"],
            "iterations": [10],
            "python": [THIS_PYTHON],
            "replicates": {"timed": 1},
        },
        "full": {"n": [10_000, 100_000, 1_000_000], "replicates": {"resident": 3, "timed": 10}},
    },
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
