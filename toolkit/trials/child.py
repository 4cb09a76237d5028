"""The child: one trial, in a process of its own. It loads numpy, the core, its probes, its engine, the script."""

import gc
import inspect
import json
import mmap
import platform
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.core.config import using_config
from toolkit.experiment import Experiment
from toolkit.probes import MOMENTS, Moment, Position, Probe, Telling
from toolkit.trials.adoption import adopt
from toolkit.trials.allocating import MALLOC_LEVELS
from toolkit.trials.backstop import limit_address_space
from toolkit.trials.clearing import clear_caches, collect, unfreeze
from toolkit.trials.collecting import collecting, policy_of
from toolkit.trials.levels import toggle_levels, workload_levels
from toolkit.trials.lifeline import end_with
from toolkit.trials.marking import bear
from toolkit.trials.reserve import Reserve, settle
from toolkit.trials.result import pack_result, write_result
from toolkit.trials.running import RunningTrial
from toolkit.trials.script import load_script
from toolkit.trials.trimming import allocator_at_work, refuse_another_allocator, trim

#: What the child itself reads.
_GARBAGE = "garbage_objects_count"


def main(spec_path: str, result_path: str) -> None:
    """Do the trial that the JSON file at `spec_path` describes and write its result to `result_path`."""
    # So that the first of two collections before the baseline need not go through what imports have made.
    gc.freeze()
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    end_with(spec["supervisor"])
    # What hides is weighed where it is adopted, and ended where it is marked: a sandbox may refuse either.
    adopts, marked = adopt(), bear(spec["number"])
    try:
        result = _measure(load_script(Path(spec["script"])), spec)
        result["conditions"] |= {"orphans_adopted": adopts, "orphans_marked": marked}
        frame = pack_result(result)
        exit_code = 0
    except Exception as problem:
        frame = pack_result({"failure": type(problem).__name__, "message": traceback.format_exc()})
        exit_code = 1
    # Outside of the block: a full disk is no failure of the workload.
    write_result(Path(result_path), frame)
    sys.exit(exit_code)


def _measure(experiment: Experiment, spec: Mapping[str, Any]) -> dict[str, Any]:
    levels = {**spec["constants"], **spec["factors"]}
    arguments = workload_levels(levels)
    gc_level = str(levels.get("gc", "default"))
    if library := MALLOC_LEVELS[str(levels.get("malloc", "default"))].library:
        refuse_another_allocator(library)
    position = Position(code=getattr(inspect.unwrap(experiment.workload), "__code__", None))
    probes = [_probe(name, position) for name in spec["probes"]]

    def observe() -> None:
        for probe in probes:
            probe.observe()

    taken = frozenset([*spec["taken"], _GARBAGE])
    trial = RunningTrial(spec["seed"], position, observe, policy_of(gc_level).end_step, taken)
    engine = import_module(f"toolkit.engines.{levels.get('engine', 'core')}").ENGINE
    _warm_up(engine.warm_up, probes)
    traced = "traced" in spec["probes"]
    if traced:
        # It loads tracemalloc.
        from toolkit.trials.copy import traced_totals
    limit_address_space(spec["address_space_bytes"])

    counted = 0

    def observed() -> object:
        nonlocal counted
        # Plain loops, and no ExitStack: what is made here is counted by the collector under study.
        for probe in probes:
            probe.start()
        counted, *_ = gc.get_count()
        try:
            return experiment.workload(trial, **arguments)
        finally:
            for probe in reversed(probes):
                probe.stop()

    with using_config(**toggle_levels(levels)):
        # Times are taken as the program is by itself, without room that was made for it. The others could do
        # without but for the lists of free objects that it leaves: objects from those are not counted as new ones.
        reserve = None if spec["measure"] == "timed" else Reserve()
        settle(reserve)
        totals, total_conditions = traced_totals(observed, probes, gc_level) if traced else ({}, {})
        with collecting(gc_level):
            began = time.time()
            held = observed()
            ended = time.time()
            _read(probes, "end")
            del held
            _read(probes, "dropped")
            # Inside the block: a collector that is switched on again may run before it is asked to.
            garbage = collect()
            frozen = gc.get_freeze_count() > 0
            thresholds = gc.get_threshold()
        _read(probes, "collected")
        _let_go(probes, reserve, frozen=frozen)
    metrics = {name: value for probe in probes for name, value in probe.metrics().items()}
    telling = [probe.conditions() for probe in probes if isinstance(probe, Telling)]
    return {
        "metrics": {**trial.recorded, **metrics, **totals, _GARBAGE: garbage},
        "series": {name: values for probe in probes for name, values in probe.series().items()},
        "conditions": {
            **_conditions(probes, thresholds),
            **total_conditions,
            **{name: told for conditions in telling for name, told in conditions.items()},
            "gc_count_at_start": counted,
            "engine_version": engine.version,
        },
        "began": began,
        "ended": ended,
    }


def _probe(name: str, position: Position) -> Probe:
    probe: Probe = import_module(f"toolkit.probes.{name}").PROBE(position)
    return probe


def _warm_up(run: Callable[[np.random.Generator], None], probes: list[Probe]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(2):
        for probe in probes:
            probe.start()
        run(rng)
        for probe in reversed(probes):
            probe.stop()
        for moment in MOMENTS:
            _read(probes, moment)
        for probe in probes:
            probe.metrics()
            probe.series()


def _let_go(probes: list[Probe], reserve: Reserve | None, *, frozen: bool) -> None:
    """Go through those moments after the collection that a probe tells of: each takes milliseconds."""
    stages: tuple[tuple[Moment, Callable[[], None]], ...] = (
        ("retaken", reserve.take if reserve else _nothing),
        ("trimmed", trim),
        # Where nothing is frozen all garbage has been found.
        ("unfrozen", unfreeze if frozen else _nothing),
        ("cleared", clear_caches),
    )
    told = {moment for probe in probes for moment in probe.moments}
    for moment, let_go in stages:
        if moment in told:
            let_go()
            _read(probes, moment)


def _nothing() -> None:
    """Let go of nothing."""


def _read(probes: list[Probe], moment: Moment) -> None:
    for probe in probes:
        probe.read(moment)


def _conditions(probes: list[Probe], thresholds: tuple[int, ...]) -> dict[str, Any]:
    allocator = allocator_at_work()
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        **{f"gc_threshold{generation}": threshold for generation, threshold in enumerate(thresholds)},
        "allocator": allocator.name,
        "trimmed_by": allocator.trims_by or "nothing",
        "page_bytes": mmap.PAGESIZE,
        "exact_probe": all(probe.exact for probe in probes),
        "address_randomisation": not _randomisation_is_off(),
    }


def _randomisation_is_off() -> bool:
    no_randomisation = 0x0040000  # ADDR_NO_RANDOMIZE, linux/personality.h
    try:
        return bool(int(Path("/proc/self/personality").read_text(), 16) & no_randomisation)
    except OSError:
        return False
