"""Is what one recording of a workload predicts what it needs, for any graph and under every mode?

Each graph is recorded once; its peak and end under every mode are computed by simulating the lifetime of every
array, and stand beside what numpy allocates when it runs under that mode by itself.
"""

import numpy as np

from toolkit import Experiment, Function, Variable, add, exp, matmul, square, tanh


class Halves(Function):
    """Two outputs."""

    __slots__ = ()

    def forward(self, x):
        return x[: x.size // 2].copy(), x[x.size // 2 :].copy()

    def backward(self, gy0, gy1):
        return np.concatenate([gy0, gy1])


def chain(drawn, n):
    x = y = Variable(drawn(n))
    for _ in range(4):
        y = square(y)
    y.backward()
    return x, y


def diamond(drawn, n):
    x = y = Variable(drawn(n))
    for _ in range(3):
        a = square(y)
        y = add(tanh(a), tanh(a))
    y.backward()
    return x, y


def fan_out(drawn, n):
    x = Variable(drawn(n))
    total = exp(x)
    for _ in range(6):
        total = total + exp(x)
    total.backward()
    return x


def multi_output(drawn, n):
    x = Variable(drawn(n))
    kept, dropped = Halves()(tanh(x))
    del dropped
    y = square(kept)
    y.backward()
    return x


def shared_leaf(drawn, n):
    w = Variable(drawn(n))
    for _ in range(3):
        loss = (tanh(w * Variable(drawn(n))) + w).sum()
        loss.backward()
    return w


def broadcasting(drawn, n):
    x, bias = Variable(drawn((n // 100, 100))), Variable(drawn(100))
    y = tanh(x * 2.0 + bias).mean()
    y.backward()
    return x, bias


def mlp_step(drawn, n):
    return _trained(drawn, n, steps=1)


def training_loop(drawn, n):
    return _trained(drawn, n, steps=5)


def _trained(drawn, n, steps):
    first, bias, last = (
        Variable(drawn((100, n // 100))),
        Variable(drawn(n // 100)),
        Variable(drawn((n // 100, 10))),
    )
    for _ in range(steps):
        output = matmul(tanh(matmul(Variable(drawn((100, 100))), first) + bias), last)
        loss = (output * output).mean()
        for parameter in (first, bias, last):
            parameter.cleargrad()
        loss.backward()
        for parameter in (first, bias, last):
            parameter.data -= 0.01 * parameter.grad
    return first, bias, last


GRAPHS = {
    graph.__name__.replace("_", " "): graph
    for graph in (
        chain,
        diamond,
        fan_out,
        multi_output,
        shared_leaf,
        broadcasting,
        mlp_step,
        training_loop,
    )
}


def workload(trial, *, graph, n):
    return GRAPHS[graph](trial.rng.standard_normal, n)


def predict(cell, interpreter):
    from toolkit.analysis.predictions import Prediction
    from toolkit.analysis.simulation import Mode
    from toolkit.analysis.simulation.engine import simulate
    from toolkit.recording.recorder import record

    rng = np.random.default_rng(0)
    recording = record(lambda: GRAPHS[cell["graph"]](rng.standard_normal, cell["n"]))
    simulated = simulate(recording, Mode(references=cell["references"], retain_grad=cell["retain_grad"]))
    array_bytes = 8 * cell["n"]
    return Prediction(
        peak_arrays=simulated.peak_bytes / array_bytes,
        end_arrays=simulated.end_bytes / array_bytes,
        array_bytes=array_bytes,
        basis="lifetimes simulated from one recording",
    )


def findings(results):
    from toolkit.report import claims

    yield claims.agreement(
        results,
        ["peak_traced_bytes", "end_traced_bytes"],
        "traced",
        "traced peak and end of each graph under each mode, simulated",
    )


def figures(results):
    from toolkit.report.charts.bars import bars

    yield bars(
        results,
        "peak_traced_bytes",
        "traced",
        where={"retain_grad": results.level("retain_grad", False)},
        name="peak",
        title="The traced peak of each graph, and what was simulated",
    )


EXPERIMENT = Experiment(
    workload,
    factors={"graph": [*GRAPHS], "references": ["weak", "strong"], "retain_grad": [False, True]},
    constants={"n": 100_000, "gc": "off"},
    profiles={"smoke": {"graph": ["diamond"], "references": ["weak"]}},
    measures=("traced",),
    replicates={"traced": 1},
    predict=predict,
    findings=findings,
    figures=figures,
)

if __name__ == "__main__":
    EXPERIMENT.main()
