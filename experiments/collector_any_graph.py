"""Is what one recording predicts right where the collector decides it, for graphs other than the loop of step 17.5?

Each iteration of a loop leaves a graph behind, which strong references keep until the collector comes. The loop is
recorded once, with weak references and the collector off; what it needs under each policy is simulated: to the
byte where collections come at steps, by a model of the collector's counts where Python runs it. There the
prediction has a bound: how far the peak moves when collections come up to an iteration's objects earlier or later.
The count begins at what each trial had counted; `toolkit predict`, which runs none, begins at 0, and may differ.
"""

from functools import cache

import numpy as np

from toolkit import Experiment, Function, Variable, add, exp, matmul, square, tanh


class Halves(Function):
    """Two outputs."""

    __slots__ = ()

    def forward(self, x):
        return x[: x.size // 2].copy(), x[x.size // 2 :].copy()

    def backward(self, gy0, gy1):
        return np.concatenate([gy0, gy1])


def forward_only(drawn, n):
    return square(square(square(Variable(drawn(n)))))


def diamond(drawn, n):
    y = Variable(drawn(n))
    for _ in range(3):
        a = tanh(y)
        y = add(square(a), exp(a))
    y.backward()
    return y


def two_outputs(drawn, n):
    first, last = Halves()(tanh(Variable(drawn(n))))
    y = square(first) * last
    y.backward()
    return y


def training_step(drawn, n):
    weights, bias, last = (Variable(drawn(shape)) for shape in ((n // 100, 100), 100, (100, 10)))
    loss = (matmul(tanh(matmul(Variable(drawn((100, n // 100))), weights) + bias), last) ** 2).mean()
    loss.backward()
    return loss


GRAPHS = {
    graph.__name__.replace("_", " "): graph for graph in (forward_only, diamond, two_outputs, training_step)
}


def workload(trial, *, graph, n, iterations):
    for _ in trial.steps(iterations):
        y = GRAPHS[graph](trial.rng.standard_normal, n)  # noqa: F841


def predict(cell, interpreter):
    from toolkit.analysis.simulated_loop import simulated_under

    recording = recording_of(cell["graph"], cell["n"], cell["iterations"])
    return simulated_under(cell["gc"], recording, 8 * cell["n"], interpreter)


@cache  # Its cells differ in `gc` alone, for which one recording stands.
def recording_of(graph, n, iterations):
    from toolkit.analysis.rehearsal import recorded

    return recorded(workload, {"graph": graph, "n": n, "iterations": iterations})


def findings(results):
    from toolkit.report import claims

    yield claims.agreement(
        results,
        ["peak_traced_bytes"],
        "traced",
        "any graph, Python runs the collector: traced peak against what is simulated",
        exact=False,
    )
    yield claims.agreement(
        results,
        ["peak_traced_bytes", "end_traced_bytes"],
        "traced",
        "any graph, collected at steps: traced peak and garbage at the end against what is simulated",
    )


def figures(results):
    from toolkit.report.charts.bars import bars

    yield bars(
        results,
        "peak_traced_bytes",
        "traced",
        by=["graph", "gc"],
        where={name: results.levels(name)[-1] for name in ("n", "iterations")},
        name="peak",
        title="The traced peak of each graph under each policy, and what was simulated",
        caption="S is the data of one array of n numbers.",
    )


EXPERIMENT = Experiment(
    workload,
    factors={
        "graph": [*GRAPHS],
        "gc": ["default", "threshold=200", "every=10"],
    },
    constants={"references": "strong", "n": 2000, "iterations": 120},
    profiles={
        "smoke": {"graph": ["two outputs"], "gc": ["default", "every=10"], "iterations": 100},
        "full": {
            "gc": [
                "default",
                *(f"threshold={count}" for count in (100, 200, 400, 1000, 2000, 5000)),
                *(f"every={steps}" for steps in (1, 3, 10, 30)),
                "manual",
            ]
        },
    },
    measures=("traced",),
    replicates={"traced": 1},
    predict=predict,
    findings=findings,
    figures=figures,
)

if __name__ == "__main__":
    EXPERIMENT.main()
