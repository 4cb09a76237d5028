"""What do gradients of gradients leave behind, and which way out is there?

To differentiate a gradient again, the backward pass is itself recorded (create_graph). A leaf's grad then is a
variable, whose graph leads back to the leaf: a cycle through `grad`, which no reference count frees, weak
references or not. In each round one square is made and gone back through: plainly; with create_graph; with it, and
`cleargrad` at the end; and by `gradients`, which returns gradients and keeps them in no grad.

Of a round with create_graph four arrays stay: x, the gradient of y, 2 x and the gradient of x. The collector is
off.
"""

from toolkit import Experiment, Variable, gradients, square


def workload(trial, *, way, n, rounds):
    for _ in trial.steps(rounds):
        x = Variable(trial.rng.standard_normal(n))
        y = square(x)
        if way == "gradients":
            gradients(y, [x], create_graph=True)
        else:
            y.backward(create_graph=way != "plain")
        if way == "cleargrad":
            x.cleargrad()
        trial.observe()


def predict(cell, interpreter):
    from toolkit.analysis.predictions import Prediction, formula, square_temporaries

    array_bytes, rounds = 8 * cell["n"], cell["rounds"]
    if cell["way"] == "create_graph":
        # Beside what stays of every round there is y of the last one.
        return Prediction(
            peak_arrays=4 * rounds + 1,
            end_arrays=4 * rounds,
            array_bytes=array_bytes,
            basis=formula("(4T+1) S", T=rounds),
            other_bases={"end": formula("4T S", T=rounds)},
        )
    peak = 5
    if cell["way"] == "plain":
        # Two rounds: the names hold x, y and the gradient of the first until there is the y of the second.
        tau = square_temporaries(array_bytes)
        peak = max(5 if rounds > 1 else 0, 4 + tau)
    end = {"end": "0 S"}
    return Prediction(
        peak_arrays=peak, end_arrays=0, array_bytes=array_bytes, basis=f"{peak} S", other_bases=end
    )


def figures(results):
    from toolkit.report.charts.bars import bars
    from toolkit.report.charts.timeline import timeline

    largest = {name: results.levels(name)[-1] for name in ("n", "rounds")}
    yield timeline(
        results,
        measure="traced",
        by=["way"],
        where=largest,
        name="rounds",
        title="The traced peak over the rounds",
    )
    yield bars(
        results,
        "end_traced_bytes",
        "traced",
        by=["way"],
        where=largest,
        name="end",
        title="What is left when the rounds have ended, and what it waits for",
    )


def findings(results):
    from toolkit.report import claims

    n, rounds = results.levels("n")[-1], results.levels("rounds")[-1]
    for way in results.levels("way"):
        yield claims.in_arrays(
            results,
            "end_traced_bytes",
            "traced",
            f"{rounds} rounds of gradients, {way}: what is left without the collector",
            expected=4 * rounds if way == "create_graph" else 0,
            within=0.1,
            way=way,
            n=n,
            rounds=rounds,
        )
    yield from claims.memory_agreement(results, "of gradients of gradients")


EXPERIMENT = Experiment(
    workload,
    factors={"way": ["plain", "create_graph", "cleargrad", "gradients"], "n": [100_000], "rounds": [10]},
    constants={"gc": "off"},
    measures=["resident", "traced"],
    replicates={"resident": 2, "traced": 1},
    profiles={
        "smoke": {"replicates": {"resident": 1}},
        "full": {"n": [10_000, 100_000], "rounds": [1, 10, 100], "replicates": {"resident": 3}},
    },
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
