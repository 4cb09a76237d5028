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
    from toolkit.report.charts.references import references
    from toolkit.report.charts.timeline import timeline
    from toolkit.report.charts.waiting import waiting

    largest = {name: results.levels(name)[-1] for name in ("n", "rounds")}
    yield timeline(
        results,
        measure="traced",
        by=["way"],
        where=largest,
        name="rounds",
        title="The traced bytes over the rounds, by the way to the gradient",
        caption="In a round x is made, y = square(x), and y is gone back through. With create_graph each round "
        "leaves 4 S behind, and at the peak there is y of the last one as well.",
        step="round",
    )
    yield waiting(
        results,
        measure="traced",
        by=["way"],
        where=largest,
        name="end",
        title="What is left when the rounds have ended, and what it waits for",
    )
    yield references(
        lambda: [still_alive("create_graph"), still_alive("gradients")],
        name="cycle",
        title="Why is the array of x still alive? By the way to its gradient",
        caption="Taken from the objects of y = square(x) themselves, n=1,000, while the report was drawn: it shows "
        "structure and measures nothing. The names x and y are gone; below, what comes of it when a name of the "
        "gradient goes too.",
        alt="Two diagrams. With create_graph x holds its gradient in grad, whose creators lead back to x: a cycle, "
        "which no name leads to and which waits for the collector. By gradients a variable of the program holds "
        "the gradient, from which the same creators lead to x, which holds no gradient: when the variable goes, "
        "all is freed at once.",
    )


def still_alive(way):
    import weakref

    import numpy as np

    from toolkit import explain
    from toolkit.report.charts.references import Panel
    from toolkit.trials.collecting import collecting

    with collecting("off"):
        x, found = Variable(np.ones(1000), name="x"), None
        y = square(x)
        if way == "create_graph":
            y.backward(create_graph=True)
        else:
            (found,) = gradients(y, [x], create_graph=True)
        array = weakref.ref(x.data)
        del x, y
        diagram = explain(array()).diagram()
        # Whoever holds the gradient lets go of it: nobody but its own x does, with create_graph.
        del found
        after = "then freed at once" if array() is None else f"then held by a {explain(array()).kind}"
    return Panel(way, diagram, after)


def findings(results):
    from toolkit.report import claims

    n, rounds = results.levels("n")[-1], results.levels("rounds")[-1]
    # The way that leaves something behind is the answer.
    for way in sorted(results.levels("way"), key=lambda way: way != "create_graph"):
        yield claims.in_arrays(
            results,
            "end_traced_bytes",
            "traced",
            f"{rounds} rounds of gradients, {way}: what is left without the collector",
            expected=4 * rounds if way == "create_graph" else 0,
            within=0.002,
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
