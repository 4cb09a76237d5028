"""Does a probe change what it measures: how often the collector runs, or how high memory rises?

The loop of step 17.5 with strong references leaves its garbage to the collector, so whatever a probe makes that the
collector counts moves the peak. Each probe watches a twin of the same loop, and so do tools that people use; "bare"
is the twin that nothing watches. Every twin reads the collector's own statistics and the kernel's high-water mark
once, before and after the loop. The report flags the figures of a probe that changes its twin wherever they appear.
"""

import gc
import tempfile
import tracemalloc
from functools import partial
from importlib import import_module
from pathlib import Path

from toolkit import Experiment, Variable, square
from toolkit.probes import MOMENTS, Position
from toolkit.probes.resident import high_water_error
from toolkit.trials.measuring import probe_names, probes_of


def loop(trial, n, iterations):
    for _ in trial.steps(iterations):
        x = Variable(trial.rng.standard_normal(n))
        y = square(square(square(x)))  # noqa: F841


def collections():
    return sum(generation["collections"] for generation in gc.get_stats())


def memory_bytes(line):
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{line}:")[2].split()[0]) * 1024


def bare(run):
    run()


def probed(run, name):
    probe = import_module(f"toolkit.probes.{name}").PROBE(Position(code=loop.__code__))
    probe.start()
    run()
    probe.stop()
    for moment in MOMENTS:
        probe.read(moment)


def everything_traced(run):
    tracemalloc.start()
    run()
    tracemalloc.stop()


def memory_profiler(run):
    from memory_profiler import memory_usage

    memory_usage((run,), interval=0.1, max_iterations=1)


def memray(run):
    from memray import Tracker

    with tempfile.TemporaryDirectory() as folder, Tracker(Path(folder, "capture")):
        run()


WATCHERS = {
    "bare": bare,
    **{name: partial(probed, name=name) for name in probe_names()},
    "tracemalloc": everything_traced,
    "memory_profiler 0.1 s": memory_profiler,
    "memray": memray,
}


def workload(trial, *, watcher, n, iterations):
    def run():
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        resident, collected, counted = memory_bytes("VmRSS"), collections(), gc.get_count()[0]
        loop(trial, n, iterations)
        peak, collected = memory_bytes("VmHWM") - resident, collections() - collected
        # Of two loops that are compared, either mark may be off.
        allowed = moved(n, iterations, counted) + 2 * high_water_error()
        trial.record(
            loop_peak_bytes=peak, loop_collections_count=collected, loop_peak_tolerance_bytes=allowed
        )

    WATCHERS[watcher](run)


def moved(n, iterations, counted):
    """Return how far collections move the peak within an iteration, which what the core tells a listener does."""
    # Once the loop has run: what this makes is not to count in it.
    from toolkit.analysis.counting import chain_nodes
    from toolkit.analysis.gap_model import moved_bytes

    return moved_bytes(chain_nodes(3), iterations, 8 * n, gc.get_threshold(), counted)


def size(results):
    return {"n": results.level("n", 100_000), "iterations": results.level("iterations", 300)}


def figures(results):
    from toolkit.report.charts.bars import bars

    for metric, title in (
        ("loop_collections_count", "How often the collector runs under each watcher"),
        ("loop_peak_bytes", "How high the resident set rises under each watcher"),
    ):
        yield bars(
            results,
            metric,
            "timed",
            by=["watcher"],
            where=size(results),
            name=metric.split("_")[1],
            title=title,
        )


def findings(results):
    from toolkit.analysis.observing import twins
    from toolkit.report import Finding
    from toolkit.report.observers import effect
    from toolkit.report.units import text

    found = [twin for twin in twins(results) if {**size(results), **twin.levels} == size(results)]
    if not found:
        yield Finding(sentence="No watched loop ran beside a bare one: there is nothing to compare.")
        return
    changing = [twin.watcher for twin in found if twin.changes]
    yield Finding(
        sentence=f"Of {len(found)} watchers of a loop, "
        + (f"these change it: {', '.join(changing)}." if changing else "none changes it.")
    )
    # Other probes have trials of their own: weak references to arrays, and what tracing makes, are objects that the
    # collector counts.
    undisturbing = {probe for measure in ("resident", "traced", "timed") for probe in probes_of(measure)}
    for twin in found:
        flag = " It changes what it watches: its figures hold for the loop as it is watched."
        must_not = twin.watcher in undisturbing
        yield Finding(
            sentence=f"Watched by {twin.watcher}, {effect(twin)}.{flag if twin.changes else ''}",
            status="observed" if not must_not else "deviates" if twin.changes else "confirmed",
            figure=f"observer effect of the probe {twin.watcher}" if must_not else "",
            expected=f"as many collections, a peak within {text(twin.allowed_bytes, 'bytes')}"
            if must_not
            else "",
            measured=effect(twin) if must_not else "",
        )


EXPERIMENT = Experiment(
    workload,
    factors={"watcher": list(WATCHERS)},
    constants={"references": "strong", "malloc": "fixed", "n": 100_000, "iterations": 300},
    measures=["timed"],
    replicates={"timed": 1},
    profiles={"smoke": {"iterations": 100}, "full": {"replicates": {"timed": 5}}},
    needs={"watcher=memray": "memray"},
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
