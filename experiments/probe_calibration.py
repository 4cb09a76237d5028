"""How far off is each probe, and each tool that people use, on memory whose bytes are counted beforehand?

Each case holds bytes that are known. Tools that trace are held against what was asked for, tools that read the
resident set against what must be resident; the error is the peak that a tool tells less that true number. The
probes of this toolkit are "resident" and "traced"; the resident one reads when the workload asks it to (the event
error) and, for what comes and goes between, by the kernel's high-water mark.

The spike lives for 2 ms once it is filled. The workload asks for a reading inside it, as each operation
of the core does by itself; of the spike between events the resident probe has the kernel's high-water mark alone.
What memory_profiler sees of it hangs on where its polls fall: it meets 8 spikes, which begin at times all over its
longest interval, and its reading is the median. "sampled" is memory_profiler as it polls a trial from outside.

Every tool runs inside a trial, whose own resident probe shows what the tool adds to the peak; at "none" it is
alone. Scalene cannot begin inside a running process: the trial starts the case as a child, under "python -m scalene
run", and Scalene counts from where the case begins.
"""

import json
import mmap
import subprocess
import sys
import tempfile
import time
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np

from toolkit import Experiment
from toolkit.analysis.predictions import page_rounded
from toolkit.probes import Position
from toolkit.probes.resident import Resident
from toolkit.probes.traced import Traced

SMALL_ARRAYS = 10_000
#: How often memory_profiler meets the spike, and the part of it that it must see, or it has missed it.
SPIKES, MISSED_BELOW = 8, 0.9
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


def unobserved(observe, nbytes):
    spike(lambda: None, nbytes)


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
    "spike between events": unobserved,
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


class Run:
    """A case at a size: called, it allocates, and holds what the case returns."""

    def __init__(self, case, nbytes):
        self.case, self.nbytes = case, nbytes
        self.held = None

    def __call__(self, observe):
        self.held = CASES[self.case](observe, self.nbytes)


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
    bare = allocation_seconds()
    probe = Traced(Position())
    probe.start()
    run(lambda: (probe.observe(), observe()))
    cost = cost_of(probe.observe)
    probe.stop()
    probe.read("trimmed")
    reading = probe.metrics()["peak_traced_bytes"]
    probe.start()
    allocation_cost = allocation_seconds() - bare
    probe.stop()
    probe.read("trimmed")
    return {"reading_bytes": reading, "cost_seconds": cost, "allocation_cost_seconds": allocation_cost}


def everything_traced(run, observe):
    bare = allocation_seconds()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    run(observe)
    _, peak = tracemalloc.get_traced_memory()
    cost = cost_of(tracemalloc.get_traced_memory)
    allocation_cost = allocation_seconds() - bare
    tracemalloc.stop()
    return {"reading_bytes": peak - before, "cost_seconds": cost, "allocation_cost_seconds": allocation_cost}


def memory_profiler(run, observe, interval):
    from memory_profiler import memory_usage

    def now():
        return memory_usage(-1, interval=0)[0]

    def begun_late(seconds):
        time.sleep(seconds)
        run(observe)

    # What it sees of a spike hangs on where its polls fall: spikes begin all over its longest interval.
    phases = np.linspace(0, 0.1, SPIKES, endpoint=False) if run.case == "2 ms spike" else [0.0]
    seen = []
    for phase in phases:
        before = now()
        # Left to itself it runs short functions again, at shorter and shorter intervals.
        peak = memory_usage((begun_late, (phase,)), interval=interval, max_usage=True, max_iterations=1)
        seen.append(round((peak - before) * 2**20))
    return {
        "reading_bytes": int(np.median(seen)),
        "missed_spikes_count": sum(one < MISSED_BELOW * run.nbytes for one in seen),
        "cost_seconds": cost_of(now),
    }


def memray(run, observe):
    from memray import FileReader, Tracker

    bare = allocation_seconds()
    with tempfile.TemporaryDirectory() as folder:
        captures = [Path(folder, name) for name in ("case", "cost")]
        with Tracker(captures[0]):
            run(observe)
        with Tracker(captures[1]):
            cost = allocation_seconds() - bare
        return {
            "reading_bytes": FileReader(captures[0]).metadata.peak_memory,
            "allocation_cost_seconds": cost,
        }


#: What Scalene runs. It counts from `start` on, so what imports take is left out.
UNDER_SCALENE = """
import runpy, sys
from pathlib import Path
from scalene import scalene_profiler

script, case, nbytes, answer = sys.argv[1:]
names = runpy.run_path(script, run_name="under_scalene")
scalene_profiler.start()
if case:
    held = names["CASES"][case](lambda: None, int(nbytes))
else:
    Path(answer).write_text(str(names["allocation_seconds"]()))
scalene_profiler.stop()
"""


def scalene(run, observe):
    with tempfile.TemporaryDirectory() as folder:
        program, profile, answer = (Path(folder, name) for name in ("case.py", "profile.json", "seconds"))
        program.write_text(UNDER_SCALENE)
        options = [
            "--off",
            "--memory",
            "--no-stacks",
            "--profile-all",
            "--outfile",
            str(profile),
            str(program),
        ]

        def profiled(case):
            words = [str(Path(__file__).resolve()), case, str(run.nbytes), str(answer)]
            command = [sys.executable, "-m", "scalene", "run", *options, "---", *words]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode or not profile.is_file():
                raise RuntimeError(
                    f"Scalene ended with exit code {done.returncode}: {done.stdout}{done.stderr}"
                )
            return json.loads(profile.read_text())

        # It samples once a MiB has come or gone: where none has, the profile tells no peak.
        peak_mib = profiled(run.case).get("max_footprint_mb", 0.0)
        profiled("")
        return {
            "reading_bytes": round(peak_mib * 2**20),
            "allocation_cost_seconds": float(answer.read_text()) - allocation_seconds(),
        }


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
    "Scalene": scalene,
}
TRACING = ("traced", "tracemalloc", "memray", "Scalene")
#: Processes of their own: what these tools need is not the trial's.
OUTSIDE = ("Scalene",)


def cost_of(read, count=200):
    began = time.perf_counter()
    for _ in range(count):
        read()
    return (time.perf_counter() - began) / count


def allocation_seconds():
    """Return what an array of 8 kB costs from birth to death, in the best of some batches."""
    return min(cost_of(lambda: np.empty(1000)) for _ in range(20))


def workload(trial, *, case, tool, nbytes):
    run = Run(case, nbytes)
    readings = TOOLS[tool](run, trial.observe)
    asked, must_be_resident = true_bytes(case, nbytes)
    truth = asked if tool in TRACING else must_be_resident
    errors = {
        name.replace("reading", "error"): reading - truth
        for name, reading in readings.items()
        if name.endswith("_bytes")
    }
    trial.record(true_bytes=truth, **errors, **readings)
    return run.held


def where(cell):
    # To the others it is the same spike: none of them is told when to read.
    return cell["case"] != "spike between events" or cell["tool"] == "resident"


def predict(cell, interpreter):
    from toolkit.analysis.predictions import Prediction

    if cell["tool"] != "none" or cell["case"] not in ("touched", "2 ms spike", "view of a base"):
        return None
    end = 0 if cell["case"] == "2 ms spike" else 1
    return Prediction(
        peak_arrays=1,
        end_arrays=end,
        array_bytes=cell["nbytes"],
        basis="1 S",
        other_bases={"end": f"{end} S"},
    )


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
        caption="0 B is right; a minus means bytes that the tool missed. resident and traced are the probes of "
        "this toolkit. traced, tracemalloc, memray and Scalene count what was asked for, the others what is "
        "resident: each is held against the true number of its kind. No tool here follows a child process.",
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
    yield bars(
        results,
        "allocation_cost_seconds",
        "resident",
        by=["tool"],
        where={"case": "touched", "tool": list(TRACING), **largest},
        name="allocation-cost",
        title="What each allocation costs under tools that follow them all",
        caption="How much longer an array of 8 kB takes from birth to death. Orders of magnitude, as above.",
    )


def findings(results):
    seen = Errors(results)
    for tell in (
        spike_as_seen_by_both,
        own_errors,
        spikes_as_polled,
        small_arrays,
        what_the_heap_keeps,
        added_to_the_peak,
        what_tools_change,
    ):
        yield from tell(seen)


class Errors:
    """The readings of the largest size."""

    def __init__(self, results):
        self.results = results
        self.tools = results.levels("tool")
        self.largest = {"nbytes": results.levels("nbytes")[-1]}

    def median(self, metric, **levels):
        estimate = self.results.at(metric, "resident", **self.largest, **levels)
        return None if estimate is None else estimate.median

    def own(self, case):
        """Return the cells of the error of our resident peak, and the error that is farthest off; two None."""
        levels = {"case": case, "tool": "resident", **self.largest}
        errors = self.results.readings("error_bytes", "resident", **levels)
        if not errors:
            return None, None
        return self.results.cells("error_bytes", "resident", (), levels), max(errors, key=abs)

    def bound(self):
        """Return how far the kernel's high-water mark may be off on this host."""
        return self.median("hwm_error_bytes", case="spike between events", tool="resident")


def signed(value):
    from toolkit.report.units import text

    return text(value, "bytes", signed=True)


def spike_as_seen_by_both(seen):
    from toolkit.report import Finding
    from toolkit.report.units import text

    true, missed = (
        seen.median(metric, case="2 ms spike", tool="memory_profiler 0.1 s")
        for metric in ("true_bytes", "error_bytes")
    )
    own, unseen = (
        seen.median("error_bytes", case=case, tool="resident")
        for case in ("2 ms spike", "spike between events")
    )
    if own is None or unseen is None or missed is None:
        return
    yield Finding(
        sentence=f"On a spike of {text(true, 'bytes')} that lives for 2 ms our peak is off by {signed(own)} "
        "where an operation of the core or trial.observe() falls into it, and where none does by "
        f"{signed(unseen)}, of {text(seen.bound(), 'bytes')} that the kernel's high-water mark may be off on this "
        f"host; memory_profiler at its usual 0.1 s by {signed(missed)}, {100 * abs(missed) / true:.0f} % of it."
    )


def own_errors(seen):
    from toolkit.report.finding import judged
    from toolkit.report.units import text

    cells, worst = seen.own("spike between events")
    if cells:
        bound = seen.bound()
        yield judged(
            "error of our resident peak, spike between events",
            signed(worst),
            f"at most {text(bound, 'bytes')}, the bound of the high-water mark on this host",
            abs(worst) <= bound,
            cells,
            sentence="spike between events: our resident peak, which is the kernel's high-water mark, is off by "
            f"{signed(worst)}.",
        )
    for case in ("touched", "2 ms spike"):
        cells, worst = seen.own(case)
        if not cells:
            continue
        event, high_water = (
            seen.median(f"{one}_error_bytes", case=case, tool="resident") for one in ("event", "high_water")
        )
        yield judged(
            f"error of our resident peak, {case}",
            signed(worst),
            "at most 1 page",
            abs(worst) <= int(cells[0].trial.conditions["page_bytes"]),
            cells,
            sentence=f"{case}: our resident peak is off by {signed(worst)}; its reading at trial.observe() by "
            f"{signed(event)}, the kernel's high-water mark by {signed(high_water)}.",
        )


def spikes_as_polled(seen):
    from toolkit.report import Finding
    from toolkit.report.units import text

    for tool in (one for one in seen.tools if one.startswith("memory_profiler")):
        error = seen.median("error_bytes", case="2 ms spike", tool=tool)
        missed = seen.median("missed_spikes_count", case="2 ms spike", tool=tool)
        if error is not None and missed is not None:
            yield Finding(
                sentence=f"The same spike as {tool} sees it: less than {100 * MISSED_BELOW:.0f} % of it in "
                f"{missed:.0f} of {SPIKES}; off by {signed(error)} in the median."
            )
    polled = seen.median("sampled_peak_rss_bytes", case="2 ms spike", tool="none")
    highest = "no poll fell into it" if polled is None else f"the highest poll is {text(polled, 'bytes')}"
    yield Finding(sentence=f"2 ms spike, watched from outside every 0.1 s by the probe sampled: {highest}.")


def small_arrays(seen):
    from toolkit.report import Finding

    small = seen.median("error_bytes", case="many small", tool="resident")
    if small is not None:
        yield Finding(
            sentence=f"{SMALL_ARRAYS:,} arrays of 800 B: our resident peak is off by {signed(small)}, because the "
            "reserve, which keeps Python's own objects out of the figures, has room for small arrays too."
        )


def what_the_heap_keeps(seen):
    from toolkit.report import Finding
    from toolkit.report.units import text

    end, trimmed = (
        seen.median(f"{moment}_rss_bytes", case="all but the last freed", tool="none")
        for moment in ("end", "trimmed")
    )
    if end is not None and trimmed is not None:
        yield Finding(
            sentence=f"{SMALL_ARRAYS:,} arrays of 8,000 B, all but the last freed: {text(end, 'bytes')} stay "
            f"resident for 8,000 B of data; {text(trimmed, 'bytes')} once that is gone and the heap is trimmed."
        )


def added_to_the_peak(seen):
    from toolkit.report import Finding

    peaks = {
        tool: seen.median("peak_rss_bytes", case="untouched", tool=tool)
        for tool in seen.tools
        if tool not in OUTSIDE
    }
    bare = peaks.pop("none", None)
    if bare is None:
        return
    added = {tool: peak - bare for tool, peak in peaks.items() if peak is not None}
    if added:
        most, least = (choose(added, key=added.get) for choose in (max, min))
        yield Finding(
            sentence=f"What a tool adds to the trial's own resident peak: from {signed(added[least])} ({least}) to "
            f"{signed(added[most])} ({most})."
        )


def what_tools_change(seen):
    from toolkit.report import Finding
    from toolkit.report.observers import effect

    known = {tool: seen.results.observed.of(tool) for tool in seen.tools if tool != "none"}
    if not any(known.values()):
        return
    parts = {
        "these change it": [
            f"{tool} ({effect(twin[0])})" for tool, twin in known.items() if twin and twin[0].changes
        ],
        "these do not": [tool for tool, twin in known.items() if twin and not twin[0].changes],
        "of these it is not known": [tool for tool, twin in known.items() if not twin],
    }
    told = "; ".join(f"{part}: {', '.join(tools)}" for part, tools in parts.items() if tools)
    yield Finding(
        sentence=f"Collections and the peak of a loop that a tool watches (observer_effect): {told}."
    )


EXPERIMENT = Experiment(
    workload,
    factors={"case": list(CASES), "tool": list(TOOLS)},
    constants={"nbytes": 200_000_000},
    measures=["resident"],
    replicates={"resident": 1},
    profiles={
        "smoke": {
            "case": ["touched", "untouched", "2 ms spike", "spike between events"],
            "tool": ["none", "resident", "traced", "memory_profiler 0.1 s", "memray", "Scalene"],
        },
        "full": {"replicates": {"resident": 5}},
    },
    needs={"tool=memray": "memray", "tool=Scalene": "scalene"},
    where=where,
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
