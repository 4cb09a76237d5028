"""The child: one trial, in a process of its own. It loads numpy, the core, its probes, its engine, the script."""

import ctypes
import gc
import json
import mmap
import os
import platform
import signal
import sys
import time
import traceback
import tracemalloc
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.core.config import using_config
from toolkit.experiment import Experiment
from toolkit.probes import MOMENTS, Moment, Position, Probe
from toolkit.probes.traced import tracing_everything
from toolkit.trials.allocating import MALLOC_LEVELS
from toolkit.trials.collecting import collecting, policy_of
from toolkit.trials.levels import toggle_levels, workload_levels
from toolkit.trials.libraries import populate_libraries
from toolkit.trials.reserve import Reserve
from toolkit.trials.result import write_result
from toolkit.trials.running import RunningTrial
from toolkit.trials.trimming import allocator_at_work, refuse_another_allocator, trim

#: The probes of each measure, in the order in which they start; the last to start disturbs the others least.
PROBES = {
    "resident": ("clock", "collector", "heap", "resident"),
    "traced": ("clock", "events", "collector", "traced"),
    "timed": ("collector", "clock"),
    "ledger": ("clock", "events", "collector", "ledger"),
}

_PR_SET_PDEATHSIG = 1


def main(spec_path: str, result_path: str) -> None:
    """Do the trial that the JSON file at `spec_path` describes and write its result to `result_path`."""
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    _end_with(spec["supervisor"])
    try:
        result = _measure(load_script(Path(spec["script"])), spec)
        write_result(Path(result_path), result)
    except Exception as problem:
        failure = {"failure": type(problem).__name__, "message": traceback.format_exc()}
        write_result(Path(result_path), failure)
        sys.exit(1)


def load_script(path: Path) -> Experiment:
    """Import the script at `path` and return its ``EXPERIMENT``.

    Raises
    ------
    TypeError
        When it declares none, or one with the workload of another script.
    """
    # The experiment's functions are found again under this name when a traceback is printed.
    module_spec = spec_from_file_location(f"experiments.{path.stem}", path)
    if module_spec is None or module_spec.loader is None:
        raise TypeError(f"{path} is not a Python file")
    module = module_from_spec(module_spec)
    # What looks for the module of a class finds it here: a dataclass whose annotations are text does.
    sys.modules[module_spec.name] = module
    module_spec.loader.exec_module(module)
    experiment = getattr(module, "EXPERIMENT", None)
    if not isinstance(experiment, Experiment):
        raise TypeError(f"{path} declares no EXPERIMENT = Experiment(...)")
    if experiment.script != path.resolve():
        raise TypeError(f"the workload is defined in {experiment.script} and not in the script itself")
    return experiment


def _measure(experiment: Experiment, spec: Mapping[str, Any]) -> dict[str, Any]:
    levels = {**spec["constants"], **spec["factors"]}
    arguments = workload_levels(levels)
    gc_level = str(levels.get("gc", "default"))
    if library := MALLOC_LEVELS[str(levels.get("malloc", "default"))].library:
        refuse_another_allocator(library)
    position = Position()
    probes = [_probe(name, position) for name in PROBES[spec["measure"]]]

    def observe() -> None:
        for probe in probes:
            probe.observe()

    trial = RunningTrial(spec["seed"], position, observe, policy_of(gc_level).end_step)
    engine = import_module(f"toolkit.engines.{levels.get('engine', 'core')}").ENGINE
    _warm_up(engine.warm_up, probes)

    def run() -> object:
        return experiment.workload(trial, **arguments)

    with using_config(**toggle_levels(levels)):
        # Times are taken as the program is by itself, without room that was made for it.
        reserve = None if spec["measure"] == "timed" else Reserve()
        settle(reserve)
        total = _total_traced_peak(run, probes, gc_level) if spec["measure"] == "traced" else {}
        with collecting(gc_level):
            began = time.time()
            held = _observed(run, probes)
            ended = time.time()
            _read(probes, "end")
            del held
            _read(probes, "dropped")
            # Inside the block: a collector that is switched on again may run before it is asked to.
            garbage = gc.collect()
            thresholds = gc.get_threshold()
        _read(probes, "collected")
        if reserve:
            reserve.take()
        _read(probes, "retaken")
        trim()
        _read(probes, "trimmed")
    metrics = {name: value for probe in probes for name, value in probe.metrics().items()}
    return {
        "metrics": {**metrics, **total, "garbage_objects_count": garbage, **trial.recorded},
        "series": {name: values for probe in probes for name, values in probe.series().items()},
        "conditions": {**_conditions(probes, thresholds), "engine_version": engine.version},
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


def _read(probes: list[Probe], moment: Moment) -> None:
    for probe in probes:
        probe.read(moment)


def settle(reserve: Reserve | None) -> None:
    """Bring the process into the state of the baseline: nothing is left to free, and what is to come has room."""
    gc.collect()
    gc.collect()
    trim()
    if reserve:
        populate_libraries()
        # What the first round makes may take room from the reserve, which the second round tops up.
        for _ in range(2):
            reserve.take()
            reserve.give()
        gc.collect(0)


_LIBC = ctypes.CDLL(None)


def _observed(run: Callable[[], object], probes: list[Probe]) -> object:
    # Plain loops, and no ExitStack: what is made here is counted by the collector under study.
    for probe in probes:
        probe.start()
    try:
        return run()
    finally:
        for probe in reversed(probes):
            probe.stop()


def _total_traced_peak(run: Callable[[], object], probes: list[Probe], gc_level: str) -> dict[str, int]:
    """Run the workload in a copy of this process, and return the traced peak there, Python's objects included.

    tracemalloc keeps one peak, so array data alone and everything together take two runs. A copy starts both
    from the same state, down to the collector's counters.
    """
    if not hasattr(os, "fork"):
        return {}
    receiving, sending = os.pipe()
    original = os.getpid()
    process_id = os.fork()
    if process_id == 0:
        try:
            _end_with(original)
            with tracing_everything(), collecting(gc_level):
                held = _observed(run, probes)
                os.write(sending, str(tracemalloc.get_traced_memory()[1]).encode())
                del held
        finally:
            # The copy must not go on into what its original does after the fork.
            os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as pipe:
        peak = pipe.read()
    os.waitpid(process_id, 0)
    # A workload that fails there fails here as well, and is reported from here.
    return {"peak_traced_total_bytes": int(peak)} if peak else {}


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


def _end_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends; nothing else would, were that one killed."""
    if sys.platform != "linux":
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It ended before the kernel was told.
        os.kill(os.getpid(), signal.SIGKILL)
