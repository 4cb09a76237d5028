"""What does importing the toolkit cost above numpy, in memory and in time?

Each trial starts one more interpreter, imports numpy there, and then the toolkit.
"""

import json
import subprocess
import sys
from pathlib import Path

import toolkit
from toolkit import Experiment

PROGRAM = """
import json, os, sys, time
if os.path.exists("/proc/self/statm"):
    def resident():
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
else:
    import psutil
    def resident():
        return psutil.Process().memory_info().rss
sys.path.insert(0, sys.argv[1])
readings = [(resident(), time.perf_counter())]
import numpy
readings.append((resident(), time.perf_counter()))
import toolkit
readings.append((resident(), time.perf_counter()))
print(json.dumps(readings))
"""


def workload(trial):
    package_parent = str(Path(toolkit.__file__).parents[1])
    command = [sys.executable, "-s", "-P", "-c", PROGRAM, package_parent]
    answer = subprocess.run(command, capture_output=True, check=True, text=True)
    (bare, at_start), (with_numpy, numpy_done), (with_toolkit, toolkit_done) = json.loads(answer.stdout)
    trial.record(
        numpy_import_rss_bytes=with_numpy - bare,
        numpy_import_seconds=numpy_done - at_start,
        toolkit_import_rss_bytes=with_toolkit - with_numpy,
        toolkit_import_seconds=toolkit_done - numpy_done,
    )


def figures(results):
    from toolkit.report.charts.bars import bars

    for what, unit in (("memory", "rss_bytes"), ("time", "seconds")):
        yield bars(
            results,
            f"toolkit_import_{unit}",
            "timed",
            name=what,
            title=f"Importing the toolkit above numpy: {what}",
        )


def findings(results):
    from toolkit.report import claims

    yield claims.at_most(
        results,
        "toolkit_import_rss_bytes",
        "timed",
        "import toolkit above import numpy: resident set",
        2 << 20,
    )
    yield claims.at_most(
        results, "toolkit_import_seconds", "timed", "import toolkit above import numpy: time", 0.015
    )


EXPERIMENT = Experiment(
    workload,
    factors={},
    measures=["timed"],
    replicates={"timed": 10},
    profiles={"smoke": {"replicates": {"timed": 2}}, "full": {"replicates": {"timed": 30}}},
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
