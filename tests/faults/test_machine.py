"""The machine is protected from trials, and what is measured from the machine."""

import os
from pathlib import Path

import pytest

from toolkit.store.read import read_store

SIZED = """
from toolkit.analysis.predictions import Prediction

def workload(trial, *, n):
    note(n)
    held = np.ones(n)
    trial.observe()
    return held

def predict(cell, interpreter):
    return Prediction(peak_arrays=1, array_bytes=8 * cell["n"], basis="1 S")

EXPERIMENT = Experiment(workload, factors={"n": [100_000]}, measures=["resident"], replicates={"resident": 2},
                        predict=predict)
"""


def test_a_grid_that_could_not_fit_is_refused_before_it_starts(bench):
    script = bench.write(SIZED)
    # A petabyte: more than any machine that runs tests.
    refused = bench.run("run", script, "--set", "n=100000,140737488355328", "--jobs", "2")
    assert (refused.returncode, refused.out) == (2, "")
    assert refused.err.count("\n") == 1
    assert refused.err.startswith(
        "toolkit: faulty n=140737488355328: 1,048,576.0 GiB of arrays, as predicted, and 256.0 MiB for its "
        "processes is 1,048,576.2 GiB a trial, × 2 at once is 2,097,152.5 GiB, and this machine can spare "
    )
    assert refused.err.endswith(": no number of jobs fits, choose smaller levels\n")
    assert bench.log() == []
    assert not bench.results.exists()


def test_a_trial_that_would_pass_the_limit_that_was_asked_for_is_refused_too(bench):
    script = bench.write(SIZED)
    words = ["run", script, "--set", "n=40000000", "--memory-limit"]
    refused = bench.run(*words, "300MiB")
    assert (refused.returncode, refused.out) == (2, "")
    assert refused.err == (
        "toolkit: faulty n=40000000: 305.2 MiB of arrays, as predicted, and 256.0 MiB for its processes is "
        "561.2 MiB a trial, above its limit of 300.0 MiB: choose smaller levels, or allow as much with "
        "--memory-limit 562MiB\n"
    )
    # What it says would do, does.
    assert bench.run(*words, "562MiB").returncode == 0
    # What is finished needs no memory.
    assert bench.run(*words, "300MiB").returncode == 0


GROWING = """
def workload(trial, *, i):
    note(i)
    held = [np.ones(1 << 20) for _ in range(50)]
    if (FOLDER / "hold").exists():
        time.sleep(600)

EXPERIMENT = Experiment(workload, factors={"i": [0]}, measures=["timed"], replicates={"timed": 1})
"""


def test_the_limit_of_the_command_ends_a_trial_and_another_limit_makes_no_other_trial(bench):
    script = bench.write(GROWING)
    # Until somebody has looked at it.
    (bench.folder / "hold").touch()
    ended = bench.run("run", script, "--memory-limit", "300MiB")
    (bench.folder / "hold").unlink()
    assert ended.returncode == 3
    assert "mem-limit (exit code -9) ended with " in ended.err
    again = bench.run("run", script, "--retry-failed", "--memory-limit", "1GiB")
    assert (again.returncode, len(read_store(bench.results).rows)) == (0, 1)


GROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def tight_group():
    """Return the files of a control group of our own that may take 400 MiB."""
    version_1 = (GROUPS / "memory").is_dir()
    group = GROUPS / ("memory" if version_1 else "") / f"toolkit-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as problem:
        pytest.skip(f"this machine lets no test make a control group: {problem}")
    try:
        (group / ("memory.limit_in_bytes" if version_1 else "memory.max")).write_text(str(400 << 20))
        yield group
    except OSError as problem:
        pytest.skip(f"this machine lets no test limit the memory of a control group: {problem}")
    finally:
        group.rmdir()


SUPERVISED = """
import os, sys
from pathlib import Path
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
from toolkit.trials import Trial
from toolkit.trials.supervisor import supervise

trial = Trial(experiment="faulty", script=sys.argv[2], factors={"i": 0}, constants={}, measure="timed", replicate=0,
              seed=0, deadline_seconds=600.0, code_digest="", memory_limit_bytes=1 << 40)
outcome = supervise(trial)
print(outcome.status, outcome.exit_code, outcome.message, sep="\\n")
"""


def test_what_the_kernel_kills_for_want_of_memory_is_told_apart(bench, tight_group):
    script = bench.write(GROWING.replace("range(50)", "range(5000)"))
    program = ["-c", SUPERVISED, str(tight_group), str(script)]
    said = bench.run(program=program)
    assert said.returncode == 0, said.err
    status, code, message = said.out.splitlines()[:3]
    assert (status, code) == ("oom-kill", "-9")
    assert message.startswith("ended by SIGKILL by the kernel, probably for want of memory, with up to ")


def test_row_25_equal_levels_make_2(bench):
    script = bench.write(GROWING)
    for levels in ("i=1,1", "i=1,1.0", "i=1,true"):
        refused = bench.run("run", script, "--set", levels)
        assert (refused.returncode, refused.out) == (2, "")
        assert refused.err.startswith("toolkit: faulty: i ")
        assert refused.err.count("\n") == 1
    assert not bench.results.exists()


NOTED = """
def helper():
    return {helper}

def unused():
    return {unused}

def workload(trial, *, i):
    note(f"{name} {{i}}")
    trial.record(answer_count=helper())

EXPERIMENT = Experiment(workload, factors={{"i": [0, 1]}}, measures=["timed"], replicates={{"timed": 1}},
                        seed={seed})
"""


def test_row_26_only_what_a_change_of_code_or_seed_affects_runs_again(bench):
    first = {"helper": 1, "unused": 1, "seed": 0}

    def run(**changes):
        scripts = [
            bench.write(NOTED.format(name="changed", **{**first, **changes}), "changed"),
            bench.write(NOTED.format(name="same", **first), "same"),
        ]
        before = len(bench.log())
        assert bench.run("run", *scripts).returncode == 0
        return sorted(bench.log()[before:])

    assert run() == ["changed 0", "changed 1", "same 0", "same 1"]
    assert run() == []
    assert run(helper=2) == ["changed 0", "changed 1"]
    # What the workload does not reach is not its code.
    assert run(helper=2, unused=2) == []
    assert run(helper=2, unused=2, seed=1) == ["changed 0", "changed 1"]
    # What was measured before is still there.
    assert run() == []


def test_row_27_a_large_parent_does_not_reach_the_figures_of_its_trials(bench):
    script = bench.write(SIZED)
    figures = []
    for megabytes in (0, 600):
        program = [
            "-c",
            f"held = b'x' * ({megabytes} << 20)\nimport sys\nfrom toolkit.cli import main\nmain(sys.argv[1:])",
        ]
        results = bench.folder / f"beside {megabytes}"
        ran = bench.run("run", script, "--results", results, "--jobs", "1", program=program)
        assert ran.returncode == 0, ran.err
        names = ("baseline_rss_bytes", "peak_rss_bytes", "end_rss_bytes")
        figures.append([[row.metrics[name] for name in names] for row in read_store(results).rows])
    assert figures[0] == figures[1]
    baseline, peak, _ = figures[1][0]
    assert baseline < 200 << 20
    assert peak == 802_816


ALONE = """
from pathlib import Path
from toolkit import cli
from toolkit.planning import experiment_scripts

def here():
    return {name: path for name, path in experiment_scripts().items() if path.is_relative_to(Path.cwd())}

cli.experiment_scripts = here
cli.main()
"""


def test_a_script_that_cannot_be_used_stops_no_other_and_makes_3(bench):
    folder = bench.folder / "experiments"
    folder.mkdir()
    (bench.write(GROWING, "good")).rename(folder / "good.py")
    (folder / "broken.py").write_text("import nothing_of_that_name\n")
    (folder / "leaving.py").write_text("raise SystemExit('usage: leaving')\n")
    # Without the experiments beside the package, which would run as well.
    program = ["-c", ALONE]
    ran = bench.run("run", program=program)
    assert ran.returncode == 3
    assert ran.out == "1 trials: 1 run, 0 finished before, 0 failed\n"
    left_out = [line for line in ran.err.splitlines() if "left out" in line]
    assert len(left_out) == 2
    assert left_out[0].endswith(
        "broken.py cannot be used: ModuleNotFoundError: No module named 'nothing_of_that_name'"
    )
    assert left_out[1].endswith("leaving.py cannot be used: SystemExit: usage: leaving")
    # Named, it is a mistake of whoever named it.
    named = bench.run("run", "good", "broken")
    assert (named.returncode, named.out) == (2, "")
    (folder / "good.py").unlink()
    assert bench.run("run", program=program).returncode == 2
