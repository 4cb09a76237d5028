"""What the probes are worth on this host: measured in trials of their own, told on one screen.

This file is the script of those trials: each part of the workload answers one question.
"""

import gc
import mmap
import os
import platform
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np

from toolkit.core.functions.elementwise import square
from toolkit.core.variable import Variable
from toolkit.experiment import Experiment
from toolkit.probes import MOMENTS, Position, Probe
from toolkit.probes.resident import HIGH_WATER_ERROR_BYTES, Resident
from toolkit.trials import Measure, Outcome
from toolkit.trials.libraries import populate_libraries
from toolkit.trials.measuring import probe_names
from toolkit.trials.running import RunningTrial

__all__ = ["calibrate"]

_ARRAY_BYTES = 8_000_000
_MAPS = 200
_MOST_PAGES = 2048
_CALLS = 500
_BATCHES = 7


def workload(trial: RunningTrial, *, part: str) -> object:
    """Do one part."""
    return _PARTS[part][1](trial)


def _hold_array(trial: RunningTrial) -> object:
    """Hold an array whose pages are known: the trial's own probe reads it."""
    array = np.empty(_ARRAY_BYTES // 8)
    array.fill(1)
    trial.observe()
    return array


def _read_maps(trial: RunningTrial) -> None:
    """Read maps of known size by both readers of the resident probe, the high-water mark once they are gone."""
    trial.record(libraries_populated_count=int(populate_libraries()))
    probe = Resident(Position())
    errors: dict[str, list[int]] = {"event": [], "hwm": []}
    for pages in trial.rng.integers(1, _MOST_PAGES, _MAPS).tolist():
        touch = b"x" * pages
        probe.start()
        with mmap.mmap(-1, pages * mmap.PAGESIZE) as room:
            room[:: mmap.PAGESIZE] = touch
            probe.observe()
        probe.stop()
        peaks = probe.metrics()
        for reader, found in errors.items():
            found.append(int(peaks[f"{reader}_peak_rss_bytes"]) - pages * mmap.PAGESIZE)
    for reader, found in errors.items():
        trial.record(**{f"{reader}_lowest_bytes": min(found), f"{reader}_highest_bytes": max(found)})


def _time_probes(trial: RunningTrial) -> None:
    """Time a call of the core, and a collection, with and without each probe."""
    x = Variable(np.ones(1))

    def call() -> object:
        return square(x)

    def collect() -> object:
        return gc.collect(0)

    called, collected = _seconds(call), _seconds(collect)
    for name in probe_names():
        probe: Probe = import_module(f"toolkit.probes.{name}").PROBE(Position())
        before, action = (collected, collect) if name == "collector" else (called, call)
        probe.start()
        cost = _seconds(action) - before
        probe.stop()
        for moment in MOMENTS:
            probe.read(moment)
        trial.record(**{f"{name}_seconds": max(cost, 0.0)})
    region = Resident(Position())

    def mark() -> None:
        region.start()
        region.stop()

    trial.record(region_seconds=_seconds(mark))


def _seconds(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes, in the best of some batches: what disturbs only adds."""
    times = []
    for _ in range(_BATCHES):
        began = time.perf_counter()
        for _ in range(_CALLS):
            action()
        times.append((time.perf_counter() - began) / _CALLS)
    return min(times)


#: Timed trials have no probe that listens to the core or reads the resident set, which would be timed as well.
_PARTS: dict[str, tuple[Measure, Callable[[RunningTrial], object]]] = {
    "array": ("resident", _hold_array),
    "maps": ("timed", _read_maps),
    "costs": ("timed", _time_probes),
}

EXPERIMENT = Experiment(
    workload, factors={"part": list(_PARTS)}, measures=("resident", "timed"), replicates={"timed": 1}
)


def supervise_part(part: str) -> Outcome:
    """Run one part of the workload, in a trial of its own."""
    from toolkit.planning import plan
    from toolkit.trials.supervisor import supervise
    from toolkit.trials.turns import turn

    measure, _ = _PARTS[part]
    trials = plan(EXPERIMENT, overrides={"part": [part]}, replicates=1)
    with turn(None):
        return supervise(next(trial for trial in trials if trial.measure == measure))


def calibrate() -> Iterator[tuple[str, str]]:
    """Measure this host and yield what was found: what it is, and what it is worth, in words."""
    system = f"{platform.system()} {platform.release()}"
    yield "host", f"{system}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    yield from _told(supervise_part("array"), "resident probe", _array_rows)
    yield from _told(supervise_part("maps"), "readers", _map_rows)
    yield from _told(supervise_part("costs"), "costs", _cost_rows)
    yield "cost: sampled", f"{_words(_poll_seconds())} a poll, in the process that watches"
    yield "vm.max_map_count", _most_maps()


def _told(
    outcome: Outcome, name: str, rows: Callable[[Outcome], Iterator[tuple[str, str]]]
) -> Iterator[tuple[str, str]]:
    if outcome.status == "ok":
        yield from rows(outcome)
    else:
        last = outcome.message.strip().splitlines()[-1:]
        yield name, f"not measured: the trial ended with {outcome.status}; {''.join(last)}"


def _array_rows(outcome: Outcome) -> Iterator[tuple[str, str]]:
    from toolkit.analysis.predictions import page_rounded

    error = int(outcome.metrics["peak_rss_bytes"]) - page_rounded(_ARRAY_BYTES)
    exact = outcome.conditions["exact_probe"] and abs(error) <= mmap.PAGESIZE
    yield (
        "resident probe",
        f"{'exact to a page' if exact else 'an ESTIMATE'}: an array of {_ARRAY_BYTES:,} B is off by {error:+,} B",
    )
    conditions = outcome.conditions
    yield "  allocator", f"{conditions['allocator']}, trimmed by {conditions['trimmed_by']}"
    yield "  clear_refs", _yes(bool(conditions["exact_probe"]))
    yield "  setarch -R", _yes(not conditions["address_randomisation"])
    yield "  orphans marked", _yes(bool(conditions["orphans_marked"]))


def _map_rows(outcome: Outcome) -> Iterator[tuple[str, str]]:
    yield "  MADV_POPULATE_READ", _yes(bool(outcome.metrics["libraries_populated_count"]))
    low, high = (int(outcome.metrics[f"event_{end}_bytes"]) for end in ("lowest", "highest"))
    yield "  read while there", f"{low:+,} to {high:+,} B, over {_MAPS} maps of up to {_MOST_PAGES} pages"
    low, high = (int(outcome.metrics[f"hwm_{end}_bytes"]) for end in ("lowest", "highest"))
    holds = max(-low, high) <= HIGH_WATER_ERROR_BYTES
    told = "within" if holds else "MORE THAN is allowed for: peaks inside a function may be wrong here;"
    yield (
        "  high-water mark",
        f"{low:+,} to {high:+,} B, {told} the {HIGH_WATER_ERROR_BYTES:,} B of the formula",
    )


def _cost_rows(outcome: Outcome) -> Iterator[tuple[str, str]]:
    for name in probe_names():
        cost = _words(outcome.metrics[f"{name}_seconds"])
        yield f"cost: {name}", f"{cost} a {'collection' if name == 'collector' else 'core event'}"
    yield "cost: high-water mark", f"{_words(outcome.metrics['region_seconds'])} to set it back and read it"


def _poll_seconds() -> float:
    from memory_profiler import memory_usage

    return _seconds(lambda: memory_usage(-1, interval=0))


def _most_maps() -> str:
    try:
        most = int(Path("/proc/sys/vm/max_map_count").read_text())
    except OSError:
        return "unknown here"
    return f"{most:,}; arrays beyond that many are not mapped by themselves"


def _words(seconds: float) -> str:
    return f"{seconds * 1e6:.2f} us"


def _yes(there: bool) -> str:
    return "yes" if there else "NO: figures are less exact here"
