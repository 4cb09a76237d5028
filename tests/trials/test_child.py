"""The child: what it loads, in which order it works, and that it goes when its supervisor does."""

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import psutil
import pytest

import toolkit
from toolkit.trials import MEASURES, code
from toolkit.trials.measuring import probes_of
from toolkit.trials.script import load_script
from toolkit.trials.supervisor import supervise

REPOSITORY = Path(toolkit.__file__).parents[1]
#: What a trial never loads: for storing, drawing, parsing and watching from outside.
HEAVY = {
    "pandas", "matplotlib", "jinja2", "sqlite3", "scipy", "click", "rich", "psutil", "memory_profiler", "pyarrow",
    "git", "asyncio", "concurrent", "multiprocessing",
}  # fmt: skip
#: But for the one that is there to run a library that brings much with it.
BRINGS_A_LIBRARY = {"profiled"}
FOLDERS_NEEDED = {"_interrupting", "core", "probes", "engines", "trials", "experiment"}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory, side_by_side):
    folder = tmp_path_factory.mktemp("loaded")
    body = "import json; Path(into).write_text(json.dumps(sorted(sys.modules)))"
    outcomes = side_by_side(
        {
            measure: {"body": body, "measure": measure, "constants": {"into": str(folder / measure)}}
            for measure in MEASURES
        }
    )
    assert {outcome.status for outcome in outcomes.values()} == {"ok"}
    return {measure: set(json.loads((folder / measure).read_text())) for measure in MEASURES}


@pytest.mark.parametrize("measure", [one for one in MEASURES if one not in BRINGS_A_LIBRARY])
def test_a_trial_loads_nothing_heavy(loaded, measure):
    assert not HEAVY & {name.partition(".")[0] for name in loaded[measure]}


def test_memory_profiler_is_in_no_trial_but_its_own(loaded):
    assert [measure for measure in MEASURES if "memory_profiler" in loaded[measure]] == ["profiled"]


@pytest.mark.parametrize("measure", MEASURES)
def test_a_trial_loads_of_the_toolkit_only_what_measures(loaded, measure):
    own = {name.split(".")[1] for name in loaded[measure] if name.startswith("toolkit.")}
    assert own <= FOLDERS_NEEDED
    probes = {name for name in loaded[measure] if name.startswith("toolkit.probes.") and "._" not in name}
    assert probes == {f"toolkit.probes.{probe}" for probe in probes_of(measure)}
    assert {name for name in loaded[measure] if name.startswith("toolkit.engines.")} == {
        "toolkit.engines.core"
    }


@pytest.mark.parametrize("measure", MEASURES)
def test_all_that_a_trial_loads_of_the_toolkit_is_in_the_digest_of_its_code(loaded, measure):
    own = {name for name in loaded[measure] if name.partition(".")[0] == "toolkit"}
    files = {Path(import_module(name).__file__) for name in own}
    assert files <= set(code._toolkit_files())


@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_has_the_metrics_of_the_design(run, measure):
    outcome = run("return np.ones(n)", measure, factors={"n": 100_000})
    wanted = {"gc_collections_count", "gc_collected_count", "gc_pause_total_seconds", "gc_pause_max_seconds"}
    wanted |= {"wall_seconds", "cpu_seconds", "garbage_objects_count"}
    wanted |= {
        "resident": {"baseline_rss_bytes", "peak_rss_bytes", "end_rss_bytes", "dropped_rss_bytes"},
        "traced": {"peak_traced_bytes", "peak_traced_total_bytes", "calls_count", "backward_steps_count"},
        "timed": set(),
        "ledger": {"ledger_peak_bytes", "ledger_end_bytes", "calls_count", "backward_steps_count"},
        "lines": {"lines_made_bytes", "lines_freed_bytes", "lines_peak_bytes", "lines_end_bytes"},
        "profiled": {"profiled_executions_count", "profiled_increment_bytes"},
    }[measure]
    assert wanted <= outcome.metrics.keys()
    conditions = outcome.conditions
    assert conditions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert conditions["numpy"] == np.__version__
    assert conditions["engine_version"] == toolkit.__version__
    assert conditions["exact_probe"] is True
    assert {"gc_threshold0", "gc_threshold1", "gc_threshold2", "page_bytes"} <= conditions.keys()


def test_the_result_is_held_until_the_end_is_read_and_cycles_until_they_are_collected(run):
    outcome = run(
        """
        def cycle():
            held = [np.zeros(1000)]
            held.append(held)
        cycle()
        return np.zeros(100_000)
        """,
        "traced",
        factors={"gc": "off"},
    )
    assert outcome.metrics["end_traced_bytes"] == 808_000
    assert outcome.metrics["dropped_traced_bytes"] == 8000
    assert outcome.metrics["collected_traced_bytes"] == 0
    # The list, the function, its cell and what belongs to them.
    assert outcome.metrics["garbage_objects_count"] >= 1
    assert outcome.metrics["gc_collections_count"] == 0


def test_the_copy_starts_from_the_state_of_its_original(run):
    outcome = run("trial.record(draw=float(trial.rng.random())); return np.zeros(1000)", "traced", seed=3)
    assert outcome.metrics["draw"] == np.random.default_rng(3).random()
    assert outcome.metrics["peak_traced_total_bytes"] > outcome.metrics["peak_traced_bytes"] == 8000


def test_the_copy_ends_where_the_workload_does(run, tmp_path):
    run(
        """
        import atexit
        atexit.register(lambda: (Path(FOLDER) / f"ended {os.getpid()}").touch())
        (Path(FOLDER) / f"began {os.getpid()}").touch()
        """,
        "traced",
    )
    assert len(list(tmp_path.glob("began *"))) == 2
    assert len(list(tmp_path.glob("ended *"))) == 1


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("raise ValueError('only\\nhere')", "ValueError: only\nhere"),
        ("sys.exit(3)", "SystemExit: 3"),
        ("os._exit(0)", "ended with exit code 0 before it had told"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ended by signal 11"),
    ],
)
def test_a_copy_that_fails_where_its_original_does_not_is_told_of(run, ending, reason):
    outcome = run(
        f"""
        if not (Path(FOLDER) / "been here").exists():
            (Path(FOLDER) / "been here").touch()
            {ending}
        return np.zeros(1000)
        """,
        "traced",
    )
    assert outcome.status == "ok", outcome.message
    assert outcome.metrics["peak_traced_bytes"] == 8000
    assert "peak_traced_total_bytes" not in outcome.metrics
    assert outcome.conditions["traced_total_failed"] == reason


@pytest.mark.parametrize(
    ("measure", "name"),
    [
        ("traced", "peak_traced_bytes"),
        ("timed", "peak_traced_bytes"),
        ("traced", "peak_traced_total_bytes"),
        ("resident", "sampled_polls_count"),
        ("timed", "garbage_objects_count"),
        ("timed", "predicted_peak_bytes"),
    ],
)
def test_a_workload_cannot_overwrite_what_is_measured_or_predicted(run, measure, name):
    outcome = run(f"trial.record({name}=1)", measure)
    assert outcome.status == "error"
    assert f"metric {name} is the toolkit's own" in outcome.message


@pytest.mark.parametrize(("level", "collected"), [("default", True), ("off", False)])
def test_the_factor_gc_holds_during_the_workload(run, level, collected):
    outcome = run(
        """
        import gc
        trial.record(enabled_count=int(gc.isenabled()))
        for _ in range(5000):
            cycle = []
            cycle.append(cycle)
        """,
        "traced",
        factors={"gc": level},
    )
    assert (outcome.metrics["gc_collections_count"] > 0) is collected
    assert bool(outcome.metrics["enabled_count"]) is collected
    if not collected:
        assert outcome.metrics["garbage_objects_count"] == 5000


def test_the_same_trial_gives_the_same_bytes(side_by_side):
    body = (
        "for _ in range(3):\n    x = Variable(trial.rng.standard_normal(20_000))\n    y = square(x)\nreturn y"
    )
    outcomes = side_by_side({replicate: {"body": body, "measure": "resident"} for replicate in range(4)})
    peaks = {outcome.metrics["peak_rss_bytes"] for outcome in outcomes.values()}
    assert len(peaks) == 1


def has_ended(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


DYING = """
import os, sys, threading, time
from toolkit.planning import load_experiment, plan
from toolkit.trials.supervisor import supervise

trials = plan(load_experiment(sys.argv[1]), replicates=1)
threads = [threading.Thread(target=supervise, args=(trial,)) for trial in trials]
for thread in threads:
    thread.start()
# A thread that is left to its own at the end may start no other.
for thread in threads:
    thread.join()
"""


def test_no_trial_outlives_a_supervisor_that_is_killed(make_trial, tmp_path, eventually):
    trial = make_trial("(Path(FOLDER) / f'{os.getpid()}.pid').touch(); time.sleep(600)")
    supervisor = subprocess.Popen(
        [sys.executable, "-c", DYING, trial.script],
        cwd=REPOSITORY,
        env={"TMPDIR": str(tmp_path / "temporary")},
    )
    try:
        # The traced trial runs the workload in a copy of itself first.
        eventually(lambda: len(list(tmp_path.glob("*.pid"))) == 3)
        processes = psutil.Process(supervisor.pid).children(recursive=True)
        assert {int(path.stem) for path in tmp_path.glob("*.pid")} < {one.pid for one in processes}
    finally:
        supervisor.send_signal(signal.SIGKILL)
        supervisor.wait()
    eventually(lambda: all(has_ended(one) for one in processes))
    for folder in (tmp_path / "temporary").glob("toolkit-trial-*"):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def test_no_trial_starts_after_its_supervisor_has_gone(make_trial, tmp_path):
    trial = make_trial("(Path(FOLDER) / 'ran').touch()")
    spec = tmp_path / "spec.json"
    stranger = 2**22 + 1
    spec.write_text(json.dumps({**vars(trial), "supervisor": stranger}))
    program = f"from toolkit.trials.child import main; main({str(spec)!r}, {str(tmp_path / 'result')!r})"
    child = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=False)
    assert child.returncode == -signal.SIGKILL
    assert not (tmp_path / "ran").exists()


def test_a_dataclass_with_annotations_as_text_can_be_declared_in_a_script(make_trial):
    trial = make_trial("trial.record(right_count=int(Size(3).n == 3))")
    script = Path(trial.script)
    script.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        + script.read_text()
        + "\n\n@dataclass\nclass Size:\n    n: int\n"
    )
    outcome = supervise(trial)
    assert outcome.status == "ok", outcome.message
    assert outcome.metrics["right_count"] == 1


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("EXPERIMENT = 3", "declares no EXPERIMENT"),
        ("", "declares no EXPERIMENT"),
        (
            "from toolkit import Experiment\nEXPERIMENT = Experiment(print, factors={})",
            "a workload is a function",
        ),
        (
            "from toolkit import Experiment\nfrom statistics import mean\n"
            "EXPERIMENT = Experiment(mean, factors={})",
            "statistics.py and not in the script itself",
        ),
    ],
)
def test_a_script_that_declares_no_experiment_of_its_own_is_refused(tmp_path, source, complaint):
    script = tmp_path / "mine.py"
    script.write_text(source)
    with pytest.raises(TypeError, match=complaint):
        load_script(script)


def test_a_script_that_was_changed_within_a_second_is_read_anew(make_trial):
    trial = make_trial("trial.record(answer_count=1)")
    script = Path(trial.script)
    load_script(script)
    assert supervise(trial).metrics["answer_count"] == 1
    assert not (script.parent / "__pycache__").exists()
    before = script.stat()
    script.write_text(script.read_text().replace("answer_count=1", "answer_count=2"))
    os.utime(script, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert supervise(trial).metrics["answer_count"] == 2
