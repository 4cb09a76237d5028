"""Step 15: does the backward pass visit functions in the right order, and what does the wrong one cost?

Chained diamonds: in a diamond one variable goes two ways, a -> (b, c) -> add(b, c). By generation the youngest
function comes first, so both ways have arrived at a before a is passed on, and every function is visited once: 4
steps for a diamond. In the last-in-first-out order (LIFO) of step 15.2 a function is visited once for every path
that leads to it, and each visit passes on all that has arrived so far: the steps double with every diamond, 5
(2^d - 1) for d of them, and the gradients are wrong as well.
"""

import numpy as np

from toolkit import Experiment, Variable, add, square


def workload(trial, *, diamonds):
    x = Variable(np.array(2.0))
    a = square(x)
    y = add(square(a), square(a))  # the diamond of step 16.4
    for _ in range(diamonds - 1):
        b = -y
        y = b * -0.5 + b * -0.5  # a diamond that changes neither value nor gradient
    y.backward()
    trial.record(output_value=float(y.data), gradient_value=float(x.grad))
    return x, y


def predict(cell, interpreter):
    from toolkit.analysis.predictions import Prediction

    # 4 functions in a diamond. In LIFO order the one way out of each doubles the visits to all before it.
    diamonds = cell["diamonds"]
    if cell["traversal"] == "generation":
        return Prediction(metrics={"backward_steps_count": 4 * diamonds}, basis="4 diamonds")
    visits = 5 * (2**diamonds - 1)
    return Prediction(metrics={"backward_steps_count": visits}, basis="5 (2**diamonds - 1)")


def figures(results):
    from toolkit.report.charts.scaling import scaling

    yield scaling(
        results,
        "backward_steps_count",
        "traced",
        over="diamonds",
        by=["traversal"],
        logarithmic=True,
        name="backward_steps",
        title="Backward steps over the depth, by order of traversal",
    )
    yield scaling(
        results,
        "gradient_value",
        "traced",
        over="diamonds",
        by=["traversal"],
        logarithmic=True,
        name="gradient",
        title="The gradient over the depth, by order of traversal",
    )
    yield scaling(
        results,
        "wall_seconds",
        "timed",
        over="diamonds",
        by=["traversal"],
        logarithmic=True,
        name="time",
        title="Time over the depth, by order of traversal",
    )


def findings(results):
    from toolkit.report import claims, contrasts

    deepest = results.levels("diamonds")[-1]
    found = {
        traversal: results.at("gradient_value", "traced", traversal=traversal, diamonds=deepest)
        for traversal in ("generation", "lifo")
    }
    differs = all(found.values()) and found["lifo"].median != found["generation"].median
    yield contrasts.times_as_much(
        results,
        "backward_steps_count",
        "traced",
        f"By generation the backward pass through {deepest} chained diamonds takes {{less}} steps; in LIFO order "
        f"it takes {{more}}{', for another gradient' if differs else ''}: {{ratio}}.",
        more={"traversal": "lifo"},
        less={"traversal": "generation"},
        diamonds=deepest,
    )
    yield claims.same(
        results,
        {"output_value": 32, "gradient_value": 64},
        "traced",
        "the diamond x -> square -> (square + square) at 2.0, by generation",
        traversal="generation",
        diamonds=1,
    )
    if deepest > 1:
        yield claims.same(
            results,
            {"output_value": 32, "gradient_value": 64},
            "traced",
            f"{deepest} chained diamonds, which make of 2.0 what one makes, by generation",
            traversal="generation",
            diamonds=deepest,
        )
    yield claims.same(
        results,
        {"gradient_value": 96},
        "traced",
        "the same diamond in LIFO order, which is wrong",
        traversal="lifo",
        diamonds=1,
    )
    yield claims.agreement(
        results, ["backward_steps_count"], "traced", "visits in the backward pass against the formula"
    )


EXPERIMENT = Experiment(
    workload,
    factors={"traversal": ["generation", "lifo"], "diamonds": [1, 2, 4, 8, 12]},
    measures=["traced", "timed"],
    replicates={"traced": 1, "timed": 3},
    profiles={
        "smoke": {"diamonds": [1, 4], "replicates": {"timed": 1}},
        "full": {"diamonds": [1, 2, 4, 6, 8, 10, 12, 14, 16], "replicates": {"timed": 10}},
    },
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
