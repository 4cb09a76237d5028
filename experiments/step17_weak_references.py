"""Step 17.5: do weak output references free each iteration's graph at once?

Each iteration makes 4 arrays of S bytes: x and three squares. While the next graph is built, the names x and y
still hold the last one, so two graphs are alive at the peak: 8 S, however long the loop runs. With strong
references a function and its outputs refer to each other: each graph is a cycle, and nothing of it is freed until
the collector runs. The book's ten iterations never reach it and hold all 40 arrays. In longer loops the collector
runs every 50 to 100 iterations on CPython 3.11 and 3.12, every 150 to 290 on 3.13. The two graphs that are alive
at that moment move to an older generation, which is collected once in a dozen times: they wait there as garbage,
so the floor rises.
"""

from toolkit import Experiment, Variable, square


def workload(trial, *, n, iterations):
    for _ in trial.steps(iterations):
        x = Variable(trial.rng.standard_normal(n))
        y = square(square(square(x)))  # noqa: F841


def where(cell):
    if cell["measure"] in ("lines", "profiled"):
        # The book's own loop alone: listings of the other cells would say the same of the same lines.
        return (cell["n"], cell["iterations"], cell["gc"]) == (100_000, 10, "default")
    # With the collector off, 1000 iterations at n = 100,000 need 3.2 GB.
    return cell["gc"] == "default" or cell["iterations"] <= 400


def predict(cell, interpreter):
    from toolkit.analysis.gap_model import loop_of_step17

    return loop_of_step17(cell, interpreter)


def figures(results):
    from toolkit.report.charts.bars import bars
    from toolkit.report.charts.pauses import pauses
    from toolkit.report.charts.references import references
    from toolkit.report.charts.timeline import timeline
    from toolkit.report.charts.waiting import waiting

    n = {"n": results.level("n", 100_000)}
    elsewhere = (
        "What a trial's own probes make counts for the collector as well: in {} trials, where other probes run, a "
        "collection may fall on another iteration, or take another generation."
    )
    longest = {**n, "iterations": results.level("iterations", 1000)}
    off = {**n, "iterations": results.level("iterations", 400)}
    book = {**n, "iterations": results.level("iterations", 10)}
    yield timeline(
        results,
        by=["references"],
        where={**longest, "gc": "default"},
        name="iterations",
        title=f"{_size(longest)}: resident bytes over the loop, by kind of reference",
        caption=elsewhere.format("timed"),
    )
    yield timeline(
        results,
        by=["references", "gc"],
        where=book,
        name="book",
        title=f"{_size(book)}: resident bytes over the loop",
    )
    yield bars(
        results,
        "peak_rss_bytes",
        "resident",
        where=off,
        name="peak",
        title=f"{_size(off)}: resident peak, by kind of reference",
    )
    yield waiting(
        results,
        where=off,
        name="waiting",
        title=f"{_size(off)}: what is still there at the end, and what it waits for",
    )
    yield pauses(
        results,
        by=["references"],
        where={**longest, "gc": "default"},
        name="pauses",
        title=f"{_size(longest)}: when, and for how long, the collector stops the program",
        caption=elsewhere.format("resident"),
    )
    yield references(
        lambda: [still_alive("weak"), still_alive("strong")],
        name="held",
        title="Why is the array of x still alive? By kind of reference",
        caption="Taken from the objects of y = square(x) themselves, n=1,000, while the report was drawn: it shows "
        "structure and measures nothing. The name x is gone, the variable y of a function is the root.",
        alt="Two diagrams from the variable y down to the array of x: y holds its creator, Square, which holds "
        "its input x, which holds the array. Square refers back to y: by a weak reference in the one, by a "
        "strong one in the other. When y goes as well, the first is freed at once and the second waits for the "
        "collector as a cycle.",
    )


def still_alive(level):
    import weakref

    import numpy as np

    from toolkit import explain, using_config
    from toolkit.report.charts.references import Panel

    with using_config(references=level):
        x = Variable(np.ones(1000), name="x")
        y = square(x)
    y.name = "y"
    array = weakref.ref(x.data)
    del x
    diagram = explain(array()).diagram()
    del y
    after = "freed at once" if array() is None else f"held by a {explain(array()).kind}"
    return Panel(f"{level} output references", diagram, f"when y goes as well: {after}")


def _size(cell):
    return f"{cell['iterations']:,} iterations, n={cell['n']:,}"


def findings(results):
    from toolkit.report import claims, contrasts, holding

    n, iterations = results.level("n", 100_000), results.level("iterations", 400)
    yield contrasts.times_as_much(
        results,
        "peak_rss_bytes",
        "resident",
        f"With weak references the loop of {iterations} iterations (n={n:,}) peaks at {{less}} of resident memory, "
        "with strong ones at {more}: {ratio}.",
        more={"references": "strong"},
        less={"references": "weak"},
        gc="default",
        n=n,
        iterations=iterations,
    )
    yield contrasts.times_as_much(
        results,
        "wall_seconds",
        "timed",
        "The same loop takes {more} with strong references and {less} with weak ones: {ratio}.",
        more={"references": "strong"},
        less={"references": "weak"},
        gc="default",
        n=n,
        iterations=iterations,
    )
    yield holding.latency(results, references="strong", gc="default", n=n, iterations=iterations)
    book = {"n": 100_000, "iterations": 10, "gc": "default"}
    yield claims.in_arrays(
        results,
        "peak_traced_bytes",
        "traced",
        "17.5, n=100,000, 10 iterations, weak references: traced peak",
        expected=8,
        within=0.002,
        references="weak",
        **book,
    )
    yield claims.in_arrays(
        results,
        "peak_traced_bytes",
        "traced",
        "17.5, n=100,000, 10 iterations, strong references, collector not reached: traced peak",
        expected=40,
        within=0.002,
        references="strong",
        **book,
    )
    yield claims.in_arrays(
        results,
        "peak_traced_bytes",
        "traced",
        "17.5, weak, 400 iterations, default collector: traced peak",
        expected=8,
        within=0.002,
        references="weak",
        **{**book, "iterations": 400},
    )
    for measure, metric in (("traced", "peak_traced_bytes"), ("resident", "peak_rss_bytes")):
        yield claims.agreement(
            results,
            [metric],
            measure,
            f"17.5 strong, 400 iterations or more, default collector: {measure} peak against the model",
            where={
                "references": "strong",
                "gc": "default",
                "iterations": [one for one in results.levels("iterations") if one >= 400],
            },
            exact=False,
        )
    yield claims.agreement(
        results, ["peak_rss_bytes"], "resident", "17.5: resident peak against the page-rounded prediction"
    )


EXPERIMENT = Experiment(
    workload,
    factors={
        "references": ["weak", "strong"],
        "gc": ["default", "off"],
        "n": [10_000, 100_000],
        "iterations": [10, 400, 1000],
    },
    where=where,
    measures=["resident", "traced", "timed", "lines", "profiled"],
    replicates={"resident": 2, "traced": 1, "timed": 3},
    profiles={
        "smoke": {"n": [100_000], "iterations": [10, 100], "replicates": {"resident": 1, "timed": 1}},
        "full": {"iterations": [10, 400, 1000, 5000], "replicates": {"resident": 3, "timed": 10}},
    },
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
