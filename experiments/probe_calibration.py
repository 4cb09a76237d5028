"""How far off is each probe, and each tool that people use, on memory whose bytes are counted beforehand?

Each case holds bytes that are known: `true_bytes` are those that the tool claims to tell, either what was asked for
(tracing tools) or what must be resident (tools that read the resident set). `error_bytes` is the tool's peak less
that. Every tool runs inside a trial whose own resident probe shows what the tool adds to the peak; at "none" it is
alone. The spike of 200 MB lives for 2 ms once it is filled. The resident probe reads it at `trial.observe()` (the
event error) and by the kernel's high-water mark. "sampled" is memory_profiler as it polls from outside.
"""

import mmap
import subprocess
import sys
import tempfile
import time
import tracemalloc
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from toolkit import Experiment
from toolkit.analysis.predictions import page_rounded
from toolkit.probes import Position
from toolkit.probes.resident import Resident
from toolkit.probes.traced import Traced

SMALL_ARRAYS = 10_000
#: glibc puts a header of 8 bytes before a block of the heap and rounds up to 16 (malloc/malloc.c, request2size).
HEAP_BYTES = {800: 816, 8000: 8016}


def filled(count):
    array = np.empty(count)
    array.fill(1)
    return array


def touched(observe, nbytes):
    array = filled(nbytes // 8)
    observe()
    return array


def untouched(observe, nbytes):
    array = np.empty(nbytes // 8)
    observe()
    return array


def spike(observe, nbytes):
    array = filled(nbytes // 8)
    observe()
    time.sleep(0.002)
    del array


def many_small(observe, nbytes):
    arrays = [filled(100) for _ in range(SMALL_ARRAYS)]
    observe()
    return arrays


def all_but_last(observe, nbytes):
    arrays = [filled(1000) for _ in range(SMALL_ARRAYS)]
    observe()
    return arrays.pop()


def view(observe, nbytes):
    base = filled(nbytes // 8)
    observe()
    return base[:10]


def child(observe, nbytes):
    program = f"held = b'x' * {nbytes}; print(flush=True); input()"
    command = [sys.executable, "-I", "-S", "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        observe()
        process.communicate(b"\n")


CASES = {
    "touched": touched,
    "untouched": untouched,
    "2 ms spike": spike,
    "many small": many_small,
    "all but the last freed": all_but_last,
    "view of a base": view,
    "child process": child,
}


def true_bytes(case, nbytes):
    """Return what was asked for at the peak, and what must be resident then, in bytes."""
    if case == "untouched":
        return nbytes, mmap.PAGESIZE  # that of malloc's header
    if case == "many small":
        return 800 * SMALL_ARRAYS, HEAP_BYTES[800] * SMALL_ARRAYS
    if case == "all but the last freed":
        return 8000 * SMALL_ARRAYS, HEAP_BYTES[8000] * SMALL_ARRAYS
    if case == "child process":
        return nbytes, nbytes
    return nbytes, page_rounded(nbytes)


def none(run, observe):
    run(observe)
    return {}


def resident(run, observe):
    probe = Resident(Position())
    probe.start()
    run(lambda: (probe.observe(), observe()))
    cost = cost_of(probe.observe)
    probe.stop()
    peaks = probe.metrics()
    return {
        "reading_bytes": peaks["peak_rss_bytes"],
        "event_reading_bytes": peaks["event_peak_rss_bytes"],
        "high_water_reading_bytes": peaks["hwm_peak_rss_bytes"],
        "cost_seconds": cost,
    }


def traced(run, observe):
    probe = Traced(Position())
    probe.start()
    run(lambda: (probe.observe(), observe()))
    cost = cost_of(probe.observe)
    probe.stop()
    probe.read("trimmed")
    return {"reading_bytes": probe.metrics()["peak_traced_bytes"], "cost_seconds": cost}


def everything_traced(run, observe):
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    run(observe)
    _, peak = tracemalloc.get_traced_memory()
    cost = cost_of(tracemalloc.get_traced_memory)
    tracemalloc.stop()
    return {"reading_bytes": peak - before, "cost_seconds": cost}


def memory_profiler(run, observe, interval):
    from memory_profiler import memory_usage

    def now():
        return memory_usage(-1, interval=0)[0]

    before = now()
    # Left to itself it runs short functions again, at shorter and shorter intervals.
    peak = memory_usage((run, (observe,)), interval=interval, max_usage=True, max_iterations=1)
    return {"reading_bytes": round((peak - before) * 2**20), "cost_seconds": cost_of(now)}


def memray(run, observe):
    from memray import FileReader, Tracker

    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "capture"
        with Tracker(capture):
            run(observe)
        return {"reading_bytes": FileReader(capture).metadata.peak_memory}


TOOLS = {
    "none": none,
    "resident": resident,
    "traced": traced,
    "tracemalloc": everything_traced,
    **{
        f"memory_profiler {interval} s": partial(memory_profiler, interval=interval)
        for interval in (0.1, 0.01, 0.001)
    },
    "memray": memray,
}
TRACING = ("traced", "tracemalloc", "memray")


def cost_of(read, count=200):
    began = time.perf_counter()
    for _ in range(count):
        read()
    return (time.perf_counter() - began) / count


def workload(trial, *, case, tool, nbytes):
    held = []
    readings = TOOLS[tool](lambda observe: held.append(CASES[case](observe, nbytes)), trial.observe)
    asked, must_be_resident = true_bytes(case, nbytes)
    truth = asked if tool in TRACING else must_be_resident
    errors = {
        name.replace("reading", "error"): reading - truth
        for name, reading in readings.items()
        if name.endswith("_bytes")
    }
    trial.record(true_bytes=truth, **errors, **readings)
    return held


def where(cell):
    return cell["tool"] != "memray" or find_spec("memray") is not None


def predict(cell, interpreter):
    from toolkit.analysis.predictions import Prediction

    if cell["tool"] != "none" or cell["case"] not in ("touched", "2 ms spike", "view of a base"):
        return None
    end = 0 if cell["case"] == "2 ms spike" else 1
    return Prediction(peak_arrays=1, end_arrays=end, array_bytes=cell["nbytes"], basis="S")


def figures(results):
    from toolkit.report.charts.bars import bars
    from toolkit.report.charts.matrix import matrix

    largest = {"nbytes": results.levels("nbytes")[-1]}
    yield matrix(
        results,
        "error_bytes",
        "resident",
        rows="tool",
        columns="case",
        where=largest,
        name="error",
        title="What each tool's peak is off by, on memory whose bytes are known",
        caption="Tracing tools are held against what was asked for, the others against what must be resident.",
    )
    yield bars(
        results,
        "cost_seconds",
        "resident",
        by=["tool"],
        where={"case": "touched", **largest},
        name="cost",
        title="What one reading costs",
        caption="Trials run side by side here: the order of magnitude counts.",
    )


def findings(results):
    from toolkit.report import Finding
    from toolkit.report.units import text

    largest = {"nbytes": results.levels("nbytes")[-1]}

    def median(metric, **levels):
        estimate = results.at(metric, "resident", **{**largest, **levels})
        return None if estimate is None else estimate.median

    def signed(value):
        return text(value, "bytes", signed=True)

    for case in ("touched", "2 ms spike"):
        ours = {"case": case, "tool": "resident", **largest}
        errors = results.readings("error_bytes", "resident", **ours)
        if not errors:
            continue
        worst = max(errors, key=abs)
        page = int(results.trials("resident", ours)[0].conditions["page_bytes"])
        event, high_water = (median(f"{one}_error_bytes", **ours) for one in ("event", "high_water"))
        yield Finding(
            sentence=f"{case}: our resident peak is off by {signed(worst)}. Of its two readers the reading at "
            f"trial.observe() is off by {signed(event)}, the kernel's high-water mark by {signed(high_water)}.",
            status="confirmed" if abs(worst) <= page else "deviates",
            figure=f"error of our resident peak, {case}",
            expected="at most 1 page",
            measured=signed(worst),
        )
    true = median("true_bytes", case="2 ms spike", tool="resident")
    for tool in (one for one in results.levels("tool") if one.startswith("memory_profiler")):
        error = median("error_bytes", case="2 ms spike", tool=tool)
        if error is not None and true is not None:
            yield Finding(
                sentence=f"2 ms spike, {tool}: off by {signed(error)}, {abs(error) / true:.0%} of the spike."
            )
    polled = median("sampled_peak_rss_bytes", case="2 ms spike", tool="none")
    seen = "no poll fell into it" if polled is None else f"the highest poll is {text(polled, 'bytes')}"
    yield Finding(sentence=f"2 ms spike, watched from outside every 0.1 s by the probe sampled: {seen}.")
    small = median("error_bytes", case="many small", tool="resident")
    if small is not None:
        yield Finding(
            sentence=f"{SMALL_ARRAYS:,} arrays of 800 B: our resident peak is off by {signed(small)}, because the "
            "reserve, which keeps Python's own objects out of the figures, has room for small arrays too."
        )
    end = median("end_rss_bytes", case="all but the last freed", tool="none")
    trimmed = median("trimmed_rss_bytes", case="all but the last freed", tool="none")
    if end is not None and trimmed is not None:
        yield Finding(
            sentence=f"{SMALL_ARRAYS:,} arrays of 8 000 B, all but the last freed: {text(end, 'bytes')} stay "
            f"resident for 8 000 B of data; {text(trimmed, 'bytes')} once that is gone and the heap is trimmed."
        )
    bare = median("peak_rss_bytes", case="untouched", tool="none")
    added = {
        tool: peak - bare
        for tool in results.levels("tool")
        if tool != "none"
        and bare is not None
        and (peak := median("peak_rss_bytes", case="untouched", tool=tool)) is not None
    }
    if added:
        told = ", ".join(f"{tool} {signed(value)}" for tool, value in added.items())
        yield Finding(sentence=f"What each tool adds to the trial's own resident peak: {told}.")
    absent = [tool for tool in EXPERIMENT.factors["tool"] if tool not in results.levels("tool")]
    if absent:
        yield Finding(sentence=f"Not measured, as not installed or left out here: {', '.join(absent)}.")


EXPERIMENT = Experiment(
    workload,
    factors={"case": list(CASES), "tool": list(TOOLS)},
    constants={"nbytes": 200_000_000},
    measures=["resident"],
    replicates={"resident": 1},
    profiles={
        "smoke": {
            "case": ["touched", "untouched", "2 ms spike"],
            "tool": ["none", "resident", "traced", "memory_profiler 0.1 s", "memray"],
        },
        "full": {"replicates": {"resident": 5}},
    },
    where=where,
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
