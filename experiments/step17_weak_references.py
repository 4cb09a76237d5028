"""Step 17.5: do weak output references free each iteration's graph at once?

With strong references a function and its outputs refer to each other, so each graph is a cycle that waits for the
collector. The book's ten iterations never reach it; a longer loop shows what it holds back, and when.
"""

from toolkit import Experiment, Variable, square


def workload(trial, *, n, iterations):
    for _ in trial.steps(iterations):
        x = Variable(trial.rng.standard_normal(n))
        y = square(square(square(x)))  # noqa: F841


def where(cell):
    # With the collector off, 1000 iterations at n = 100,000 need 3.2 GB.
    return cell["gc"] == "default" or cell["iterations"] <= 400


def predict(cell, interpreter):
    from toolkit.analysis.collection import chain_nodes, loop_under
    from toolkit.analysis.predictions import loop_without_garbage

    array_bytes, iterations = 8 * cell["n"], cell["iterations"]
    if cell["references"] == "weak":
        return loop_without_garbage(3, iterations, array_bytes)
    return loop_under(cell["gc"], chain_nodes(3), iterations, array_bytes, interpreter, held=True)


def figures(results):
    from toolkit.report.charts.bars import bars
    from toolkit.report.charts.pauses import pauses
    from toolkit.report.charts.timeline import timeline
    from toolkit.report.charts.waiting import waiting

    largest = {"n": results.levels("n")[-1]}
    longest = {**largest, "iterations": results.levels("iterations")[-1]}
    off = {**largest, "iterations": results.levels("iterations")[:2][-1]}
    book = {**largest, "iterations": results.levels("iterations")[0]}
    yield timeline(
        results,
        by=["references"],
        where={**longest, "gc": "default"},
        name="iterations",
        title="Strong references hold graphs until the collector runs; weak ones free each at once",
    )
    yield timeline(
        results,
        by=["references", "gc"],
        where=book,
        name="book",
        title="The book's ten iterations never reach the collector",
    )
    yield bars(
        results,
        "peak_rss_bytes",
        "resident",
        where=off,
        name="peak",
        title="Weak references need 8 arrays; strong ones as many as the collector lets pile up",
    )
    yield waiting(results, where=off, name="waiting", title="What is left at the end is garbage, not a leak")
    yield pauses(
        results,
        by=["references"],
        where={**longest, "gc": "default"},
        name="pauses",
        title="The collector stops the program to free what weak references never let pile up",
    )


def findings(results):
    from toolkit.report import claims

    n, iterations = results.levels("n")[-1], results.levels("iterations")[:2][-1]
    yield claims.times_as_much(
        results,
        "peak_rss_bytes",
        "resident",
        f"With strong references the loop of {iterations} iterations (n={n:,}) peaks at {{more}} of resident "
        "memory, with weak ones at {less}: {ratio} as much, and how much is up to the collector.",
        more={"references": "strong"},
        less={"references": "weak"},
        gc="default",
        n=n,
        iterations=iterations,
    )
    yield claims.times_as_much(
        results,
        "wall_seconds",
        "timed",
        "The same loop takes {more} with strong references and {less} with weak ones, {ratio} as long.",
        more={"references": "strong"},
        less={"references": "weak"},
        gc="default",
        n=n,
        iterations=iterations,
    )
    book = {"n": 100_000, "iterations": 10, "gc": "default"}
    yield claims.in_arrays(
        results,
        "peak_traced_bytes",
        "traced",
        "17.5, n=100,000, 10 iterations, weak: traced peak",
        expected=8,
        within=0.1,
        references="weak",
        **book,
    )
    yield claims.in_arrays(
        results,
        "peak_traced_bytes",
        "traced",
        "the same, strong, collector not reached",
        expected=40,
        within=0.1,
        references="strong",
        **book,
    )
    yield claims.in_arrays(
        results,
        "peak_traced_bytes",
        "traced",
        "17.5, weak, 400 iterations, default collector: traced peak",
        expected=8,
        within=0.1,
        references="weak",
        **{**book, "iterations": 400},
    )
    for measure, metric in (("traced", "peak_traced_bytes"), ("resident", "peak_rss_bytes")):
        yield claims.agreement(
            results,
            [metric],
            measure,
            f"17.5 strong, 400 iterations or more, default collector: {measure} peak against the model",
            where={"references": "strong", "gc": "default"},
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
