"""How much of what a graph keeps do its gradients need?

The book's functions keep their inputs (saves=inputs). With saves=needed each keeps what its gradient is computed
from: a square its input, exp and relu their output, a sum or a minus nothing at all. The backward pass may let go
of each function's part (retain_graph=False), and what is kept may be rounded to float32. A chain of k steps is
made and gone back through, x and y held; a step is one of four formulas.

No mode can win by computing something wrong: where nothing is rounded the gradient is the plain one to the last
bit, and everywhere it is held against the derivative that bare numpy carries forward, without a graph.
"""

import numpy as np

from toolkit import Experiment, Variable, exp, relu, square
from toolkit.core.checksum import checksum

#: What a step computes, and with it, in bare numpy, its result and the derivative by what the chain began with.
STEPS = {
    "exp(-x)": (lambda x: exp(-x), lambda x, d: (np.exp(-x), -np.exp(-x) * d)),
    "relu(x + 0.01)": (
        lambda x: relu(x + 0.01),
        lambda x, d: (np.maximum(x + 0.01, 0), np.where(x > -0.01, d, 0)),
    ),
    "x + 1": (lambda x: x + 1.0, lambda x, d: (x + 1, d)),
    "square(x)": (lambda x: square(x), lambda x, d: (x * x, 2 * x * d)),
}
#: How far off a gradient may be that was computed from rounded numbers, relative to the right one.
ERRORS = {"exact": 1e-12, "float32": 1e-5, "float16": 2e-2}
PLAIN = {"saves": "inputs", "retain_graph": True, "storage": "exact"}
LEAN = {"saves": "needed", "retain_graph": False, "storage": "exact"}


def workload(trial, *, step, k, n):
    compute, derive = STEPS[step]
    # What k squares make of it is within a factor of e**7 of 1; farther off it would soon be 0 or infinite.
    about_1 = 6.5536 / 2**k
    x = Variable(trial.rng.uniform(*((1 - about_1, 1 + about_1) if step == "square(x)" else (-1, 1)), n))
    y = x
    for _ in range(k):
        y = compute(y)
    y.backward()
    trial.record(gradient_error_value=error(x, derive, k), gradients_checksum=checksum([x.grad]))
    return x, y


def error(x, derive, k):
    """Return how far the gradient lies from the derivative, relative to that; a hundredth at a time."""
    worst = 0.0
    part = -(-len(x) // 100)
    for start in range(0, len(x), part):
        some = slice(start, start + part)
        value = x.data[some]
        derivative = np.ones_like(value)
        for _ in range(k):
            value, derivative = derive(value, derivative)
        scale = np.where(derivative == 0, 1, np.abs(derivative))
        # Not max(), which passes over what is no number: a trial that records that fails.
        worst = float(np.maximum(worst, (np.abs(x.grad[some] - derivative) / scale).max()))
    return worst


def where(cell):
    toggles = {name: cell[name] for name in PLAIN}
    if cell["measure"] == "timed":
        return toggles in (PLAIN, LEAN)
    # Rounding is told where the graph is let go of.
    return cell["storage"] == "exact" or not cell["retain_graph"]


def predict(cell, interpreter):
    from toolkit.analysis.rehearsal import rehearsed

    return rehearsed(workload, cell, 8 * cell["n"], interpreter)


def figures(results):
    from toolkit.report.charts.bars import bars

    size = {name: results.levels(name)[-1] for name in ("n", "k")}
    chain = f"A chain of {size['k']} steps, forward and backward."
    saved = "saves=inputs: a function keeps its inputs, as in the book; needed: only what its gradient needs."
    let_go = (
        "retain_graph=False: the backward pass lets go of what each function kept as soon as it was used."
    )
    exact = results.level("storage", "exact")
    yield bars(
        results,
        "peak_traced_bytes",
        "traced",
        by=["step", "saves"],
        where={**size, "storage": exact, "retain_graph": results.level("retain_graph", False)},
        name="peak",
        title="The peak, by what functions save",
        caption=f"{chain} {saved} {let_go}",
    )
    yield bars(
        results,
        "peak_traced_bytes",
        "traced",
        by=["step", "storage"],
        where={**size, "saves": "needed", "retain_graph": results.level("retain_graph", False)},
        name="storage",
        title="The peak, by whether what functions save is rounded",
        caption=f"{chain} storage=exact: what a function keeps, it keeps as it is; float32: rounded, in half the "
        f"bytes. A leaf such as x is not rounded, and adding keeps nothing to round. {let_go}",
    )
    yield bars(
        results,
        "end_traced_bytes",
        "traced",
        by=["saves", "retain_graph"],
        where={**size, "storage": exact, "step": results.level("step", "exp(-x)")},
        name="end",
        title=f"What is still there at the end, a step being {results.level('step', 'exp(-x)')}",
        caption=f"{chain} x, its gradient and y are held, and with them the graph, as far as the backward pass has "
        f"left it. {saved} {let_go}",
    )
    yield bars(
        results,
        "wall_seconds",
        "timed",
        by=["step", "saves"],
        where=size,
        name="time",
        title="What each takes in time, by what functions save",
        caption=f"{chain} {saved} With needed the backward pass lets go of it as well (retain_graph=False), with "
        "inputs it does not.",
    )


def findings(results):
    from toolkit.report import claims, contrasts

    k, n = results.levels("k")[-1], results.levels("n")[-1]
    for step in results.levels("step"):
        yield contrasts.times_as_much(
            results,
            "peak_traced_bytes",
            "traced",
            f"{k} times {step} (n={n:,}) peaks at {{more}} where inputs are saved and the graph is kept "
            "(saves=inputs, retain_graph=True), at {less} where what the gradient needs is saved, and let go of "
            "once it was used (saves=needed, retain_graph=False): {ratio}.",
            more=PLAIN,
            less=LEAN,
            step=step,
            k=k,
            n=n,
        )
    for step in results.levels("step"):
        for storage in (one for one in results.levels("storage") if one != "exact"):
            yield contrasts.times_as_much(
                results,
                "peak_traced_bytes",
                "traced",
                f"{k} times {step}, what the gradient needs kept as it is: {{more}}; in {storage}: {{less}}, "
                "{ratio}.",
                more=LEAN,
                less={**LEAN, "storage": storage},
                step=step,
                k=k,
                n=n,
            )
    for step in results.levels("step"):
        yield claims.alike(
            results,
            "gradients_checksum",
            "traced",
            f"the gradient of {k} times {step} in every mode that rounds nothing, to the last bit",
            {"storage": "exact", "step": step, "k": k, "n": n},
        )
    for storage in results.levels("storage"):
        yield claims.at_most_anywhere(
            results,
            "gradient_error_value",
            "traced",
            f"how far gradients lie from numpy's derivative, relative to it, with what is kept {storage}",
            ERRORS[storage],
            {"storage": storage},
        )
    metrics = ["peak_traced_bytes", "end_traced_bytes"]
    yield claims.agreement(results, metrics, "traced", "peak and end of each mode against the simulation")


EXPERIMENT = Experiment(
    workload,
    factors={
        "step": [*STEPS],
        "saves": ["inputs", "needed"],
        "retain_graph": [True, False],
        "storage": ["exact", "float32"],
        "k": [16],
        "n": [100_000],
    },
    where=where,
    measures=["traced", "timed"],
    replicates={"traced": 1, "timed": 3},
    profiles={
        "smoke": {"step": ["exp(-x)"], "retain_graph": [False], "measures": ["traced"]},
        "full": {
            "storage": ["exact", "float32", "float16"],
            "k": [4, 16, 64],
            "n": [10_000, 100_000, 1_000_000],
            "replicates": {"timed": 10},
        },
    },
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
