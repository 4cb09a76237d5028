"""Which allocator keeps the bytes that nobody needs any more, and what does each take in time?

The book's ten iterations with strong references and the collector off: all arrays are garbage at the end. What is
resident once they are dropped, collected, and the allocator has been asked by its own call to give pages back tells
who holds them. Weak references, in a longer loop, free and ask for arrays of one size again and again: that takes
time where an allocator returns to the kernel each time.
"""

from toolkit import Experiment, Variable, square


def workload(trial, *, n, iterations):
    for _ in trial.steps(iterations):
        x = Variable(trial.rng.standard_normal(n))
        y = square(square(square(x)))  # noqa: F841


def where(cell):
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


def figures(results):
    from toolkit.report.charts.bars import bars
    from toolkit.report.charts.waiting import waiting

    for n in results.levels("n"):
        strong = {"references": "strong", "n": n}
        yield waiting(
            results,
            by=["malloc"],
            where=strong,
            name=f"waiting_{n}",
            title=f"n={n:,}: what goes when garbage is collected, and what the allocator keeps",
            caption="mimalloc gives pages back after a delay: what it still has from before is room for arrays, "
            "and moves its figures from one trial to the next.",
        )
    yield bars(
        results,
        "peak_rss_bytes",
        "resident",
        by=["n", "malloc"],
        where={"references": "strong"},
        name="peak",
        title="The peaks differ by how arrays are packed, little of it for large ones",
    )
    yield bars(
        results,
        "wall_seconds",
        "timed",
        by=["malloc"],
        where={"references": "weak"},
        name="time",
        title="What returns every array to the kernel pays for it in time (weak references, n=10,000)",
    )


def findings(results):
    from toolkit.report import Finding, claims
    from toolkit.report.units import text

    for n in results.levels("n"):
        for malloc in results.levels("malloc"):
            yield from verdict(results, malloc=malloc, n=n, references="strong")
    times = results.cells("wall_seconds", "timed", ["malloc"], {"references": "weak"})
    if times:
        slowest, fastest = (choose(times, key=lambda cell: cell.estimate.median) for choose in (max, min))
        loop = f"{slowest.trial.factors['iterations']} iterations with weak references, n=10,000"
        yield Finding(
            sentence=f"{loop}, take {text(fastest.estimate.median, 'seconds')} with {fastest.levels['malloc']} and "
            f"{text(slowest.estimate.median, 'seconds')} with {slowest.levels['malloc']}."
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


def verdict(results, **levels):
    from toolkit.report import Finding
    from toolkit.report.units import number, text

    names = ("peak", "dropped", "collected", "trimmed")
    readings = {name: results.at(f"{name}_rss_bytes", "resident", **levels) for name in names}
    if not all(readings.values()):
        return
    peak, dropped, collected, trimmed = (max(0, readings[name].median) for name in names)
    (told,) = {row.conditions["allocator"] for row in results.trials("resident", levels)}
    (call,) = {row.conditions["trimmed_by"] for row in results.trials("resident", levels)}
    # Below a fiftieth of the peak they are pages that the interpreter's own objects moved.
    least = peak / 50
    after = "nothing stays"
    if collected > least:
        back = max(0, collected - trimmed)
        after = (
            f"{text(collected, 'bytes')} stay, retained by the allocator; of these {call} gives back "
            f"{number(100 * back / collected, 0)} %"
        )
    yield Finding(
        sentence=f"{levels['malloc']} ({told}), n={levels['n']:,}: of a peak of {text(peak, 'bytes')}, "
        f"{text(dropped, 'bytes')} are resident when all is dropped, garbage awaiting collection. "
        f"Collected, {after}."
    )


EXPERIMENT = Experiment(
    workload,
    factors={
        "malloc": ["fixed", "default", "heap", "python", "jemalloc", "mimalloc", "tcmalloc"],
        "references": ["strong", "weak"],
        "n": [10_000, 100_000],
        "iterations": [10, 400],
    },
    constants={"gc": "off"},
    where=where,
    replicates={"resident": 1, "traced": 1, "timed": 3},
    profiles={
        "smoke": {
            "malloc": ["fixed", "default", "jemalloc"],
            "references": ["strong"],
            "iterations": [10],
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
