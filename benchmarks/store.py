"""Stores of a thousand to a hundred thousand trials with series: adding, listing, loading, verifying, reporting.

Each act runs in a process of its own, whose peak of memory is its own. Ten trials make a cell, so that the number
of cells grows as well.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks import Reading
from toolkit.store.write import Writer
from toolkit.trials import Measure, Outcome, Trial

COUNTS = (1_000, 10_000, 100_000)
SAMPLES = 1_000
MEASURES: tuple[Measure, ...] = ("resident",) * 5 + ("traced",) + ("timed",) * 4

#: What each act does, once what it needs is imported; and its targets for the largest store, in s and MiB.
ACTS: dict[str, tuple[str, str, float | None, float | None]] = {
    "list finished keys": (
        "from toolkit.store.read import read_earlier",
        "read_earlier(results, retry_failed=False)",
        0.5,
        None,
    ),
    "load all scalars": ("from toolkit import load", "load(results)", 3.0, None),
    "verify": ("from toolkit.store.verify import verify", "assert not verify(results).problems", None, None),
    "whole report": (
        "from toolkit.report.build import document, write_report",
        "write_report(results, document(results, {}))",
        60.0,
        1024.0,
    ),
}

CHILD = """
import json, sys, time
from pathlib import Path
{imports}
results = sys.argv[1]
began = time.perf_counter()
{act}
taken = time.perf_counter() - began
# Not ru_maxrss, which a child has from its parent.
told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps([taken, int(told["VmHWM"].split()[0]) / 1024]))
"""


def measure() -> Iterator[Reading]:
    """Yield for each act the time per size, its peak of memory, and how far from linear it is."""
    with TemporaryDirectory(prefix="benchmark-store-") as folder:
        stores = {count: Path(folder, str(count)) for count in COUNTS}
        added = {count: _filled(store, count) for count, store in stores.items()}
        yield from _told("add, each in a transaction of its own", added, None)
        yield Reading(
            name=f"size of {COUNTS[-1]:,} trials",
            value=(stores[COUNTS[-1]] / "results.db").stat().st_size / 2**20,
            unit="MiB",
        )
        for act, (imports, call, seconds, mebibytes) in ACTS.items():
            taken = {count: _run(imports, call, store) for count, store in stores.items()}
            yield from _told(act, {count: one[0] for count, one in taken.items()}, seconds)
            yield Reading(
                name=f"{act}: peak of memory", value=taken[COUNTS[-1]][1], unit="MiB", at_most=mebibytes
            )


def _told(act: str, seconds: dict[int, float], target: float | None) -> Iterator[Reading]:
    for count, taken in seconds.items():
        at_most = target if count == COUNTS[-1] else None
        yield Reading(name=f"{act}: {count:,} trials", value=taken, unit="s", at_most=at_most)
    small, *_, large = COUNTS
    growth = (seconds[large] - seconds[small]) / (seconds[small] * (large / small - 1))
    yield Reading(name=f"{act}: cost of a trial, of many against few", value=growth, unit="×", at_most=2.0)


def _run(imports: str, act: str, store: Path) -> tuple[float, float]:
    script = CHILD.format(imports=imports, act=act)
    child = subprocess.run(
        [sys.executable, "-c", script, str(store)], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds, mebibytes = json.loads(child.stdout)
    return seconds, mebibytes


def _filled(folder: Path, count: int) -> float:
    """Write a store, each trial in a transaction of its own, and return how long that took, in seconds."""
    walk = np.random.default_rng(0).integers(-3, 4, SAMPLES).cumsum() * 4096
    steps = list(range(SAMPLES))
    taken = 0.0
    with Writer(folder) as store:
        run = store.begin_run({"python": "3.11.7"}, (_trial(place) for place in range(len(MEASURES))))
        for place in range(count):
            trial = _trial(place)
            series = {"event_step": steps, "event_rss_bytes": (walk + 4096 * place).tolist()}
            outcome = _outcome(trial, place, series)
            began = time.perf_counter()
            store.add(run, trial, outcome)
            taken += time.perf_counter() - began
        store.end_run(run)
    return taken


def _trial(place: int) -> Trial:
    cell, within = divmod(place, len(MEASURES))
    measure = MEASURES[within]
    return Trial(
        experiment="grid",
        script="grid.py",
        factors={
            "n": 1000 * (cell % 100 + 1),
            "length": cell // 200 + 1,
            "references": ("weak", "strong")[cell // 100 % 2],
        },
        constants={"iterations": 400},
        measure=measure,
        replicate=within - MEASURES.index(measure),
        seed=0,
        deadline_seconds=60.0,
        code_digest="c0de" * 16,
    )


def _outcome(trial: Trial, place: int, series: dict[str, Any]) -> Outcome:
    peak = 8 * int(trial.factors["n"]) * int(trial.factors["length"])
    metrics: dict[str, int | float] = {
        "wall_seconds": 0.1 + place % 7 * 1e-3,
        "gc_collections_count": 3,
        "gc_collected_count": 1800,
        "gc_pause_total_seconds": 0.01 + place * 1e-9,
        "gc_pause_max_seconds": 0.004 + place * 1e-9,
        "predicted_peak_bytes": peak,
        "predicted_end_bytes": 0,
    }
    if trial.measure == "resident":
        ends = {f"{name}_rss_bytes": 4096 for name in ("end", "dropped", "collected", "trimmed")}
        metrics |= {"baseline_rss_bytes": 31_000_000, "peak_rss_bytes": peak + 4096 * (place % 3), **ends}
    elif trial.measure == "traced":
        metrics |= {"peak_traced_bytes": peak + 1234, "end_traced_bytes": 700}
    return Outcome(
        status="ok",
        exit_code=0,
        metrics=metrics,
        series=series,
        conditions={
            "python": "3.11.7",
            "gc_threshold0": 700,
            "page_bytes": 4096,
            "prediction_exact": True,
            "prediction_basis": "k S",
            "prediction_array_bytes": 8 * trial.factors["n"],
        },
        started_at=1.7e9 + place,
        elapsed_seconds=0.4,
    )
