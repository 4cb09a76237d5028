"""Planning runs of a thousand to a million trials: the time, and the memory, of which each may take few bytes."""

import time
import tracemalloc
from collections.abc import Iterator

from benchmarks import Reading
from toolkit.experiment import Experiment
from toolkit.planning import plan
from toolkit.waiting import Waiting

#: Factors of ten levels each; every cell runs a hundred times.
FACTORS = (1, 2, 3, 4)
#: A number of eight bytes, while what holds them grows.
MOST_BYTES_A_TRIAL = 20


def workload(trial: object, **levels: object) -> None:
    """Do nothing: no trial is run here."""


def measure() -> Iterator[Reading]:
    """Yield for each size the time to plan, shuffle and go through every trial, and the peak of traced memory."""
    for factors in FACTORS:
        experiment = Experiment(
            workload,
            factors={f"factor{place}": list(range(10)) for place in range(factors)},
            measures=["timed"],
            replicates={"timed": 100},
            where=lambda cell: True,
        )
        began = time.perf_counter()
        count = _gone_through(experiment)
        taken = time.perf_counter() - began
        yield Reading(name=f"plan {count:,} trials", value=taken, unit="s")
        tracemalloc.start()
        _gone_through(experiment)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        yield Reading(
            name=f"plan {count:,} trials: peak of memory",
            value=peak / 2**20,
            unit="MiB",
            at_most=round(1 + count * MOST_BYTES_A_TRIAL / 2**20, 1),
        )


def _gone_through(experiment: Experiment) -> int:
    """Do what a run does with its trials but run them, and return how many there are."""
    waiting = Waiting([plan(experiment)], lambda trial: True)
    waiting.shuffle(0)
    return sum(1 for _ in waiting)
