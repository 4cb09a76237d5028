"""Steps 18.3 to 18.5: what does switching the graph off save?

A chain of k squares of arrays of S bytes, forward only: once, and in a loop that makes it anew. x and y are held
at the end. The graph keeps the input of every function for the backward pass: x and k outputs, (k+1) S, and in a
loop two graphs, 2 (k+1) S. Without the graph a function's input goes as soon as the next one has its result: x
and two neighbours, 3 S, and in a loop the last y beside them, 4 S, whatever k is (2 S and 3 S for k = 1).
"""

from toolkit import Experiment, Variable, square


def chain(x, k):
    for _ in range(k):
        x = square(x)
    return x


def workload(trial, *, k, n, iterations):
    for _ in trial.steps(iterations):
        x = Variable(trial.rng.standard_normal(n))
        y = chain(x, k)
    return x, y


def predict(cell, interpreter):
    from toolkit.analysis.predictions import loop_without_garbage

    return loop_without_garbage(
        cell["k"], cell["iterations"], 8 * cell["n"], enable_backprop=cell["enable_backprop"], held=True
    )


def figures(results):
    from toolkit.report.charts.scaling import scaling
    from toolkit.report.charts.timeline import timeline

    n, lengths = results.levels("n")[-1], results.levels("iterations")
    for iterations in dict.fromkeys((lengths[0], lengths[-1])):
        what = "one pass" if iterations == 1 else f"a loop of {iterations} passes"
        yield scaling(
            results,
            "peak_rss_bytes",
            "resident",
            over="k",
            by=["enable_backprop"],
            where={"iterations": iterations, "n": n},
            name=f"peak_{iterations}",
            title=f"Resident peak of {what} over the length of the chain, by whether the graph is recorded",
            caption="k is the number of squares in the chain.",
        )
    # In longer chains the steps of one iteration are too small to be seen.
    k = max((k for k in results.levels("k") if k <= 16), default=results.levels("k")[0])
    yield timeline(
        results,
        by=["enable_backprop"],
        where={"iterations": lengths[-1], "k": k, "n": n},
        name="iterations",
        title=f"Resident bytes over a loop of chains of {k}, by whether the graph is recorded",
    )


def findings(results):
    from toolkit.report import claims, contrasts

    k, n, iterations = results.levels("k")[-1], results.levels("n")[-1], results.levels("iterations")[0]
    what = "One pass" if iterations == 1 else f"A loop of {iterations} passes"
    yield contrasts.times_as_much(
        results,
        "peak_rss_bytes",
        "resident",
        f"{what} forward through {k} squares (n={n:,}) peaks at {{less}} of resident memory under no_grad, and at "
        "{more} with the graph: {ratio}.",
        more={"enable_backprop": True},
        less={"enable_backprop": False},
        k=k,
        n=n,
        iterations=iterations,
    )
    for enable_backprop, expected, what in ((False, 3, "no_grad, k=16"), (True, 17, "with the graph, k=16")):
        yield claims.in_arrays(
            results,
            "peak_traced_bytes",
            "traced",
            f"{what}, one pass forward: traced peak",
            expected=expected,
            within=0.002,
            k=16,
            n=100_000,
            iterations=1,
            enable_backprop=enable_backprop,
        )
    yield from claims.memory_agreement(results, "18.3")
    yield claims.spread(
        results,
        "peak_rss_bytes",
        "resident",
        "same trial 10 times: spread of the resident peak",
        pages=1,
        count=10,
    )


EXPERIMENT = Experiment(
    workload,
    factors={"enable_backprop": [True, False], "k": [1, 16, 64], "iterations": [1, 20]},
    constants={"n": 100_000},
    replicates={"resident": 10, "traced": 1, "timed": 3},
    profiles={
        "smoke": {"k": [1, 16], "replicates": {"resident": 1, "timed": 1}},
        "full": {"k": [1, 2, 4, 8, 16, 32, 64, 128], "replicates": {"timed": 10}},
    },
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
