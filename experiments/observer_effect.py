"""Does a probe change what it measures: how often the collector runs, or how high memory rises?

The loop of step 17.5 with strong references leaves its garbage to the collector, so whatever a probe makes that the
collector counts moves the peak. Each probe watches a twin of the same loop, and so do tools that people use; "bare"
is the twin that nothing watches. Every twin reads the collector's own statistics and the kernel's high-water mark
once, before and after the loop.
"""

import gc
import tracemalloc
from functools import partial
from importlib import import_module
from pathlib import Path

from toolkit import Experiment, Variable, square
from toolkit.probes import MOMENTS, Position
from toolkit.probes.resident import HIGH_WATER_ERROR_BYTES


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
    probe = import_module(f"toolkit.probes.{name}").PROBE(Position())
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


OURS = ("resident", "traced", "events", "ledger")
WATCHERS = {
    "bare": bare,
    **{name: partial(probed, name=name) for name in OURS},
    "tracemalloc": everything_traced,
    "memory_profiler": memory_profiler,
}


def workload(trial, *, watcher, n, iterations):
    def run():
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        resident, collected = memory_bytes("VmRSS"), collections()
        loop(trial, n, iterations)
        peak, collected = memory_bytes("VmHWM") - resident, collections() - collected
        trial.record(loop_peak_bytes=peak, loop_collections_count=collected)

    WATCHERS[watcher](run)


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
    from toolkit.report import Finding
    from toolkit.report.units import number, text

    def median(metric, watcher):
        estimate = results.at(metric, "timed", watcher=watcher, **size(results))
        return None if estimate is None else estimate.median

    count, peak = (median(metric, "bare") for metric in ("loop_collections_count", "loop_peak_bytes"))
    watchers = [watcher for watcher in results.levels("watcher") if watcher != "bare"]
    if count is None or peak is None or not watchers:
        yield Finding(sentence="No watched loop ran beside a bare one: there is nothing to compare.")
        return
    # What the core tells a listener may move a collection within an iteration, by one array.
    allowed = 8 * size(results)["n"] + HIGH_WATER_ERROR_BYTES
    for watcher in watchers:
        more = median("loop_collections_count", watcher) - count
        higher = median("loop_peak_bytes", watcher) - peak
        changed = more != 0 or abs(higher) > allowed
        measured = (
            f"{number(count + more, 0)} collections beside {number(count, 0)}, "
            f"{text(higher, 'bytes', signed=True)} beside {text(peak, 'bytes')}"
        )
        # The ledger's weak references, one for each array, are objects that the collector counts.
        must_not = watcher in OURS and watcher != "ledger"
        flag = (
            " It changes what it watches: its figures hold for the loop as it is watched." if changed else ""
        )
        yield Finding(
            sentence=f"Watched by {watcher}: {measured}.{flag}",
            status="observed" if not must_not else "deviates" if changed else "confirmed",
            figure=f"observer effect of the probe {watcher}" if must_not else "",
            expected=f"as many collections, a peak within {text(allowed, 'bytes')}" if must_not else "",
            measured=measured if must_not else "",
        )


EXPERIMENT = Experiment(
    workload,
    factors={"watcher": list(WATCHERS)},
    constants={"references": "strong", "malloc": "fixed", "n": 100_000, "iterations": 300},
    measures=["timed"],
    replicates={"timed": 1},
    profiles={"smoke": {"iterations": 100}, "full": {"replicates": {"timed": 5}}},
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
