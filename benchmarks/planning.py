"""Planning grids of a thousand to a million trials: the time, and the memory, which must not grow."""

import time
import tracemalloc
from collections.abc import Iterator

from benchmarks import Reading
from toolkit.experiment import Experiment
from toolkit.planning import plan

#: Factors of ten levels each; every cell runs a hundred times.
FACTORS = (1, 2, 3, 4)


def workload(trial: object, **levels: object) -> None:
    """Do nothing: no trial is run here."""


def measure() -> Iterator[Reading]:
    """Yield for each size the time to plan and go through every trial, and the peak of traced memory."""
    for factors in FACTORS:
        experiment = Experiment(
            workload,
            factors={f"factor{place}": list(range(10)) for place in range(factors)},
            measures=["timed"],
            replicates={"timed": 100},
            where=lambda cell: True,
        )
        began = time.perf_counter()
        count = sum(1 for _ in plan(experiment))
        taken = time.perf_counter() - began
        yield Reading(name=f"plan {count:,} trials", value=taken, unit="s")
        tracemalloc.start()
        for _ in plan(experiment):
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        yield Reading(
            name=f"plan {count:,} trials: peak of memory", value=peak / 2**20, unit="MiB", at_most=1.0
        )
