"""Step 17.5: do weak output references free each iteration's graph at once?"""

from toolkit import Experiment, Variable, square


def workload(trial, *, n, iterations):
    for _ in trial.steps(iterations):
        x = Variable(trial.rng.standard_normal(n))
        y = square(square(square(x)))  # noqa: F841


EXPERIMENT = Experiment(
    workload,
    factors={"references": ["weak", "strong"], "gc": ["default", "off"], "n": [100_000], "iterations": [10, 400]},
)

if __name__ == "__main__":
    EXPERIMENT.main()
