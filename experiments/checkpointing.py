"""Checkpointing: how much memory does computing again save, and what does it take?

A chain of k steps, forward and backward, x and y held at the end; a step is a square less 1.5. A schedule tells
which states of the chain are kept; the others are computed again when the backward pass needs them. "parts of s"
cuts the chain into parts of s steps, keeps what goes into each, and makes the graph of one part at a time. "c
states" keeps c states at most, and makes the graph of one step at a time, by the binomial schedule (Griewank and
Walther 2000). Every schedule must find the gradient of the plain way, to the last bit: no two states are alike, so
that none can stand for another.
"""

import numpy as np

from toolkit import Experiment, Variable, checkpoint_binomial, checkpoint_every
from toolkit.core.checksum import checksum
from toolkit.core.functions.elementwise import Square


class Step(Square):
    """``x**2 - 1.5``, in one array: what starts between -1 and 1 never leaves -2 to 2, and never settles."""

    __slots__ = ()

    def forward(self, x):
        y = np.square(x)
        y -= 1.5
        return y


def workload(trial, *, schedule, k, n):
    evaluations = 0

    def step(x):
        nonlocal evaluations
        evaluations += 1
        return Step()(x)

    x = Variable(trial.rng.uniform(-1, 1, n))
    y = run(schedule, [step] * k, x)
    y.backward()
    trial.record(forward_evaluations_count=evaluations, gradients_checksum=checksum([x.grad]))
    return x, y


def run(schedule, steps, x):
    if schedule == "plain":
        for step in steps:
            x = step(x)
        return x
    if schedule.startswith("parts of "):
        return checkpoint_every(steps, x, int(schedule.removeprefix("parts of ")))
    return checkpoint_binomial(steps, x, int(schedule.removesuffix(" states")))


def predict(cell, interpreter):
    from dataclasses import replace

    from toolkit.analysis.predictions import backward, binomial_checkpoints, checkpoints_every, formula

    schedule, k, array_bytes = cell["schedule"], cell["k"], 8 * cell["n"]
    if schedule == "plain":
        plain = backward(k, array_bytes, retain_grad=False)
        bases = {**plain.other_bases, "forward_evaluations_count": formula("k", k=k)}
        return replace(plain, metrics={"forward_evaluations_count": k}, other_bases=bases)
    if schedule.startswith("parts of "):
        return checkpoints_every(k, int(schedule.removeprefix("parts of ")), array_bytes)
    return binomial_checkpoints(k, int(schedule.removesuffix(" states")), array_bytes)


def figures(results):
    from toolkit.report.charts.bars import bars
    from toolkit.report.charts.pareto import Cost, pareto

    largest = {"n": results.levels("n")[-1], "k": results.levels("k")[-1]}
    theory = theories(largest["k"], 8 * largest["n"])
    for name, price, title, known in (
        (
            "pareto",
            Cost("forward_evaluations_count", "traced"),
            "Memory against steps that are evaluated",
            theory,
        ),
        ("pareto_time", Cost("wall_seconds", "timed"), "Memory against time", ()),
    ):
        yield pareto(
            results,
            Cost("peak_traced_bytes", "traced"),
            price,
            by=["schedule"],
            where=largest,
            reference={"schedule": "plain"},
            name=name,
            title=title,
            caption=f"A chain of {largest['k']} steps, forward and backward; plain: all is kept.",
            theories=known,
        )
    yield bars(
        results,
        "peak_traced_bytes",
        "traced",
        by=["schedule"],
        where=largest,
        name="peak",
        title="The peak of each schedule, and what theory says of it",
        caption=f"A chain of {largest['k']} steps.",
    )


def theories(k, array_bytes):
    """Return what theory says of parts of every size, and of every number of states."""
    from toolkit.analysis.predictions import binomial_checkpoints, checkpoints_every
    from toolkit.report.charts.pareto import Theory

    return [
        Theory(
            f"{label}, theory",
            [
                (one.peak_bytes("traced"), one.metrics["forward_evaluations_count"])
                for one in (predicted(k, choice, array_bytes) for choice in range(1, k))
            ],
        )
        for label, predicted in (("parts of s", checkpoints_every), ("c states", binomial_checkpoints))
    ]


def findings(results):
    from toolkit.report import claims, contrasts

    k, n = results.levels("k")[-1], results.levels("n")[-1]
    others = [schedule for schedule in results.levels("schedule") if schedule != "plain"]
    yield from lowest(results, {"k": k, "n": n})
    for schedule in others:
        yield contrasts.times_as_much(
            results,
            "peak_traced_bytes",
            "traced",
            f"Forward and backward through {k} steps (n={n:,}) peaks at {{more}} of array data, with {schedule} "
            "at {less}: {ratio}.",
            more={"schedule": "plain"},
            less={"schedule": schedule},
            k=k,
            n=n,
        )
    what = f"the gradient of {k} steps by every schedule, to the last bit"
    yield claims.alike(results, "gradients_checksum", "traced", what, {"k": k, "n": n})
    yield claims.agreement(
        results, ["peak_traced_bytes"], "traced", "peak of each schedule against the formulas"
    )


def lowest(results, size):
    """Say with which schedule of each kind least is needed, and for how many evaluations."""
    from toolkit.report import Finding
    from toolkit.report.units import number, text

    def of(metric):
        cells = results.cells(metric, "traced", ["schedule"], size)
        return {cell.levels["schedule"]: cell.estimate.median for cell in cells}

    peaks, evaluations = of("peak_traced_bytes"), of("forward_evaluations_count")
    kinds = [[one for one in peaks if kind in one] for kind in (" states", "parts of ")]
    best = sorted((min(kind, key=peaks.get) for kind in kinds if kind), key=peaks.get)
    if "plain" not in peaks or not best:
        return
    told = (
        f"{text(peaks[one], 'bytes')} with {one} ({number(100 * peaks[one] / peaks['plain'])} %) for "
        f"{number(evaluations[one], 0)}"
        for one in best
    )
    yield Finding(
        sentence=f"Forward and backward through {size['k']} steps (n={size['n']:,}) peaks at "
        f"{text(peaks['plain'], 'bytes')} of array data plainly, for {number(evaluations['plain'], 0)} evaluations "
        f"of a step; at the least of those that ran, of each kind of schedule, at {', and at '.join(told)}."
    )


EXPERIMENT = Experiment(
    workload,
    factors={
        "schedule": ["plain", "parts of 4", "parts of 8", "parts of 16", "3 states", "5 states", "9 states"],
        "k": [64],
        "n": [100_000],
    },
    measures=["traced", "timed"],
    replicates={"traced": 1, "timed": 3},
    profiles={
        "smoke": {
            "schedule": ["plain", "parts of 4", "3 states"],
            "k": [16],
            "replicates": {"timed": 1},
        },
        "full": {
            "schedule": [
                "plain",
                *[f"parts of {size}" for size in (2, 4, 8, 16, 32)],
                *[f"{states} states" for states in (1, 2, 3, 4, 5, 7, 9, 12, 16)],
            ],
            "k": [16, 64, 128],
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
