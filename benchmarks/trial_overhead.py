"""A trial, beyond the bare start of Python with numpy: wall time, and processor time of all its processes.

Where it goes, and what would save some of it, stands in docs/trials.md.
"""

import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import Reading
from benchmarks._idle import EXPERIMENT
from toolkit.planning import plan
from toolkit.trials import Measure, Trial
from toolkit.trials.environment import command, variables
from toolkit.trials.supervisor import supervise

ROUNDS = 30
AT_MOST_SECONDS = 0.020


def measure() -> Iterator[Reading]:
    """Yield for each measure what a trial takes above a bare start, the two in turn."""
    trials = list(plan(EXPERIMENT))
    actions: list[Callable[[], None]] = []
    for trial in trials:
        actions += [partial(_start_bare, trial.measure), partial(_run, trial)]
    spent: list[list[tuple[float, float]]] = [[] for _ in actions]
    # The first round is left out: it compiles, and fills the caches of files.
    for number in range(ROUNDS + 1):
        for action, one in zip(actions, spent, strict=True):
            seconds = _seconds(action)
            if number:
                one.append(seconds)
    for trial, bare, whole in zip(trials, spent[::2], spent[1::2], strict=True):
        for kind, words in enumerate(("wall time", "processor time")):
            above = median(one[kind] for one in whole) - median(one[kind] for one in bare)
            at_most = None if kind else AT_MOST_SECONDS
            yield Reading(
                name=f"a {trial.measure} trial above a bare start: {words}",
                value=above,
                unit="s",
                at_most=at_most,
            )


def _start_bare(measure: Measure) -> None:
    *words, _ = command(measure, {}, Path(), Path())
    subprocess.run([*words, "import numpy"], env=variables(measure, {}), check=True)


def _run(trial: Trial) -> None:
    outcome = supervise(trial)
    assert outcome.status == "ok", outcome.message


def _seconds(action: Callable[[], None]) -> tuple[float, float]:
    """Return the wall time and the processor time that an action takes, with its children, in seconds."""
    began, before = time.perf_counter(), _processor_seconds()
    action()
    return time.perf_counter() - began, _processor_seconds() - before


def _processor_seconds() -> float:
    # Not os.times, which tells in ticks of 10 ms: half of what is to be told apart here.
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
