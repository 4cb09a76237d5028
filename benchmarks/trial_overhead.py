"""Tell what a trial costs beyond the bare start of Python with numpy.

Bare starts and trials take turns, so that both see the same machine; each figure is a mean of rounds. Processor
time is that of all processes together: it tells the cost also where the machine has other work to do.
"""

import sys
from collections.abc import Callable

from toolkit import Experiment
from toolkit.trials import MEASURES, Measure, Trial

ROUNDS = 30
TARGET_MILLISECONDS = 20


def workload(trial: object) -> None:
    """Do nothing: all that is left is the cost of the trial itself."""


EXPERIMENT = Experiment(workload, factors={}, measures=MEASURES, replicates=dict.fromkeys(MEASURES, 1))


def main(rounds: int) -> None:
    """Measure and print."""
    # Here: this file is the script of its trials as well, which would load it all.
    import subprocess
    from pathlib import Path

    from toolkit.planning import plan
    from toolkit.trials.environment import command, variables
    from toolkit.trials.supervisor import supervise

    def start_bare(measure: Measure) -> None:
        *words, _ = command(measure, {}, Path(), Path())
        subprocess.run([*words, "import numpy"], env=variables(measure, {}), check=True)

    def run(trial: Trial) -> None:
        outcome = supervise(trial)
        assert outcome.status == "ok", outcome.message

    trials = plan(EXPERIMENT)
    actions: list[Callable[[], None]] = [
        action
        for trial in trials
        for action in (lambda trial=trial: start_bare(trial.measure), lambda trial=trial: run(trial))
    ]
    costs: list[list[tuple[float, float]]] = [[] for _ in actions]
    # The first round is left out: it compiles, and fills the caches of files.
    for number in range(rounds + 1):
        for action, cost in zip(actions, costs, strict=True):
            spent = _spent(action)
            if number:
                cost.append(spent)
    print(f"{'measure':<10}{'time':<11}{'trial':>8}{'bare':>8}{'overhead':>10}  ratio (milliseconds)")
    for trial, bare, whole in zip(trials, costs[::2], costs[1::2], strict=True):
        for kind, name in enumerate(("wall", "processor")):
            _tell(trial.measure, name, [one[kind] for one in whole], [one[kind] for one in bare])


def _spent(action: Callable[[], None]) -> tuple[float, float]:
    """Return the milliseconds of wall time and of processor time that an action takes, with its children."""
    import os
    import time

    began, before = time.perf_counter(), os.times()
    action()
    after = os.times()
    return 1e3 * (time.perf_counter() - began), 1e3 * (sum(after[:4]) - sum(before[:4]))


def _tell(measure: str, name: str, whole: list[float], bare: list[float]) -> None:
    from statistics import mean

    # Processor time comes in ticks of 10 ms.
    trial, start = mean(whole), mean(bare)
    late = f"  over the target of {TARGET_MILLISECONDS}" if trial - start > TARGET_MILLISECONDS else ""
    print(f"{measure:<10}{name:<11}{trial:8.1f}{start:8.1f}{trial - start:10.1f}{trial / start:7.2f}{late}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else ROUNDS)
