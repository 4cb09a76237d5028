"""Step 18.1: what does dropping the gradients of intermediate variables save?

A chain of k squares, forward and backward, x and y held at the end.
"""

from toolkit import Experiment, Variable, square


def workload(trial, *, k, n):
    x = Variable(trial.rng.standard_normal(n))
    y = x
    for _ in range(k):
        y = square(y)
    y.backward()
    return x, y


def predict(cell, interpreter):
    from toolkit.analysis.predictions import backward

    return backward(cell["k"], 8 * cell["n"], retain_grad=cell["retain_grad"])


def figures(results):
    from toolkit.report.charts.roles import roles
    from toolkit.report.charts.scaling import scaling
    from toolkit.report.charts.waterfall import waterfall

    largest = {"n": results.levels("n")[-1]}
    # Beyond some 16 squares single events can no longer be told apart.
    k = min(results.levels("k"), key=lambda k: abs(k - 16))
    yield scaling(
        results,
        "peak_rss_bytes",
        "resident",
        over="k",
        by=["retain_grad"],
        where=largest,
        name="peak",
        title="Resident peak over the length of the chain",
        caption="k is the number of squares in the chain.",
    )
    yield scaling(
        results,
        "end_rss_bytes",
        "resident",
        over="k",
        by=["retain_grad"],
        where=largest,
        name="end",
        title="Resident bytes that the held result keeps, over the length of the chain",
        caption="k is the number of squares in the chain.",
    )
    yield scaling(
        results,
        "wall_seconds",
        "timed",
        over="k",
        by=["retain_grad"],
        where=largest,
        name="time",
        title="Time over the length of the chain",
        caption="k is the number of squares in the chain.",
    )

    yield roles(
        results,
        by=["retain_grad"],
        where={**largest, "k": k},
        name="roles",
        title="Bytes of each role, from event to event",
        caption=f"A chain of {k} squares. At the peak there are x, the {k} squares and two gradients, (k+3) S; "
        "with retain_grad all gradients, (2k+2) S.",
    )
    yield waterfall(
        results,
        by=["retain_grad"],
        where={**largest, "k": k},
        name="waterfall",
        title="What lies between the arrays of the peak and its resident pages",
        caption=f"A chain of {k} squares.",
    )


def findings(results):
    from toolkit.report import claims, contrasts

    k, n = results.levels("k")[-1], results.levels("n")[-1]
    yield contrasts.times_as_much(
        results,
        "peak_rss_bytes",
        "resident",
        f"Forward and backward through {k} squares (n={n:,}) peaks at {{less}} of resident memory, with "
        "retain_grad at {more}: {ratio}.",
        more={"retain_grad": True},
        less={"retain_grad": False},
        k=k,
        n=n,
    )
    for retain_grad, expected in ((False, 19), (True, 34)):
        yield claims.in_arrays(
            results,
            "peak_traced_bytes",
            "traced",
            f"chain k=16, n=100,000, forward and backward, retain_grad={retain_grad}: traced peak",
            expected=expected,
            within=0.002,
            k=16,
            n=100_000,
            retain_grad=retain_grad,
        )
    yield from claims.memory_agreement(results, "18.1")


EXPERIMENT = Experiment(
    workload,
    factors={"retain_grad": [False, True], "k": [1, 4, 16, 64], "n": [10_000, 100_000]},
    measures=["resident", "traced", "timed", "ledger"],
    replicates={"resident": 2, "traced": 1, "timed": 3, "ledger": 1},
    profiles={
        "smoke": {"k": [4, 16], "n": [100_000], "replicates": {"resident": 1, "timed": 1}},
        "full": {
            "k": [1, 2, 4, 8, 16, 32, 64, 128],
            "n": [10_000, 32_767, 32_768, 100_000, 1_000_000],
            "replicates": {"resident": 3, "timed": 10},
        },
    },
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
