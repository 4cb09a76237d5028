"""The folder of probes is their registry: a file that is dropped into it takes part, everywhere."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import toolkit
from toolkit.probes import Datasheet
from toolkit.trials.measuring import modules, probe_names

SHEET = ", ".join(f"{name}='so'" for name in Datasheet.__annotations__)

PROBE = f"""
from toolkit.probes import Datasheet
from toolkit.probes.events import Events

DATASHEET = Datasheet({SHEET})
MEASURES = ("timed",)
METRICS = ("twice_calls_count", "hidden_count")
DETAILS = ("hidden_count",)
RANK = 9

class Twice(Events):
    def metrics(self):
        return {{"twice_calls_count": 2 * self._calls, "hidden_count": 7}}

PROBE = Twice
"""

WATCHER = f"""
from toolkit.probes import Datasheet

DATASHEET = Datasheet({SHEET})
MEASURES = ("timed",)
METRICS = ("watched_seconds",)
DETAILS = ()

class Watch:
    def start(self, process): pass
    def stop(self): pass
    def metrics(self, began, ended, baseline_rss_bytes):
        return {{"watched_seconds": ended - began, "watched_baseline_bytes": baseline_rss_bytes}}
    def series(self, began, ended, baseline_rss_bytes):
        return {{}}

WATCHER = Watch
"""

SCRIPT = """
import numpy as np
from toolkit import Experiment, Variable, square

def workload(trial):
    square(square(Variable(np.ones(3))))

EXPERIMENT = Experiment(workload, factors={}, measures=["timed"], replicates={"timed": 1})
"""

PROGRAM = """
import json
from pathlib import Path
from toolkit.calibration import supervise_part
from toolkit.planning import load_experiment
from toolkit.report.build import document, write_report
from toolkit.runner import Request, run
from toolkit.store.read import read_store

experiment = load_experiment("mine.py")
results = Path("results")
run(Request(experiments=[experiment], results_dir=results, profile="default", jobs=1), lambda *_: None)
(row,) = read_store(results).rows
page = write_report(results, document(results, {"mine": lambda: experiment}))
costs = supervise_part("costs")
watchers = load_experiment("observer_effect").factors["watcher"]
print(json.dumps([row.status, dict(row.metrics), (page.parent / "report.md").read_text(), watchers, costs.metrics]))
"""


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("house")
    package = Path(toolkit.__file__).parent
    shutil.copytree(package, folder / "toolkit", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "toolkit" / "probes" / "twice.py").write_text(PROBE)
    (folder / "toolkit" / "probes" / "watch.py").write_text(WATCHER)
    (folder / "mine.py").write_text(SCRIPT)
    (folder / "experiments").mkdir()
    shutil.copy(package.parent / "experiments" / "observer_effect.py", folder / "experiments")
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=folder, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def test_a_probe_and_a_watcher_that_are_dropped_into_the_folder_take_part(answer):
    status, metrics, *_ = answer
    assert status == "ok"
    assert (metrics["twice_calls_count"], metrics["hidden_count"]) == (4, 7)
    assert metrics["watched_seconds"] > 0
    assert metrics["watched_baseline_bytes"] == 0


def test_the_report_tells_of_them(answer):
    _, _, report, *_ = answer
    assert "timed: collector, clock, twice, watch" in report
    assert "twice calls" in report
    assert "hidden" not in report


def test_what_is_told_of_every_probe_is_told_of_them(answer):
    *_, watchers, costs = answer
    assert "twice" in watchers and "watch" not in watchers
    assert "twice_seconds" in costs and "watch_seconds" not in costs


def test_the_names_of_probes_are_those_of_the_modules_that_offer_one():
    offering = [name for name, module in modules().items() if hasattr(module, "PROBE")]
    assert list(probe_names()) == offering
    assert set(modules()) - set(offering) == {"sampled"}
