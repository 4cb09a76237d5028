"""The command line, from outside: what it prints, its exit codes, and no traceback for a user's mistake."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
import warnings
from pathlib import Path

import psutil
import pytest

import toolkit
from toolkit import cli
from toolkit.planning import load_experiment, plan
from toolkit.provenance import describe
from toolkit.store.read import read_store
from toolkit.store.write import Writer
from toolkit.trials import Outcome, Trial
from toolkit.trials.host import host_facts

REPOSITORY = Path(toolkit.__file__).parents[1]
COMMANDS = ("calibrate", "export", "list", "predict", "report", "run", "verify")

SCRIPT = '''
"""What does a trial cost?

Little."""
import os, time
from pathlib import Path
from toolkit import Experiment

FOLDER = Path({folder!r})

def workload(trial, *, i):
    with (FOLDER / "log").open("a") as log:
        log.write(f"{{i}}\\n")
    if (FOLDER / "broken").exists():
        raise RuntimeError("it is broken")
    if (FOLDER / "hang").exists() and len((FOLDER / "log").read_text().split()) > 2:
        (FOLDER / "hanging").write_text(str(os.getpid()))
        time.sleep(600)
    trial.record(answer_count=i)

EXPERIMENT = Experiment(workload, factors={{"i": [0, 1, 2, 3]}}, measures=["timed"], replicates={{"timed": 1}})

if __name__ == "__main__":
    EXPERIMENT.main()
'''


@pytest.fixture
def folder(tmp_path):
    """Return a folder with an experiment `counted`, to be the current one."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "counted.py").write_text(SCRIPT.format(folder=str(tmp_path)))
    (tmp_path / "temporary").mkdir()
    return tmp_path


@pytest.fixture
def start(folder):
    """Return a function that starts ``python -m toolkit`` in the folder."""
    started = []

    def begin(*words, program=("-m", "toolkit")):
        process = subprocess.Popen(
            [sys.executable, *program, *words],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                "TMPDIR": str(folder / "temporary"),
                "COLUMNS": "200",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run(start):
    """Return a function that runs ``python -m toolkit`` to its end, which shows no traceback."""

    def run_one(*words, **settings):
        process = start(*words, **settings)
        process.out, process.err = process.communicate(timeout=1200)
        assert "Traceback" not in process.err
        return process

    return run_one


@pytest.fixture
def here(folder, capsys, monkeypatch):
    """Return a function that runs a command line in this process, and returns its exit code and what it prints."""
    monkeypatch.chdir(folder)

    def run_one(*words):
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return ended.value.code, out, err

    return run_one


def log_of(folder):
    return (folder / "log").read_text().split()


def is_hanging(folder):
    # It is there before the number is written into it.
    return (folder / "hanging").exists() and (folder / "hanging").read_text()


def wait_until(condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_is_complete_and_the_same_command_runs_nothing_more(run, folder):
    first = run("run", "counted", "--set", "i=1,2", "--profile", "smoke")
    assert (first.returncode, first.out) == (0, "2 trials: 2 run, 0 finished before, 0 failed\n")
    again = run("run", "experiments/counted.py", "--set=i=2,1", "--results", "results", "--jobs", "1")
    assert again.returncode == 0
    assert again.out == (
        "2 trials: 0 run, 2 finished before, 0 failed\nto see it: toolkit report experiments/counted.py\n"
    )
    assert again.err == "0 trials to run, 2 of 2 are finished\n"
    assert sorted(log_of(folder)) == ["1", "2"]
    contents = read_store(folder / "results")
    assert [row.metrics["answer_count"] for row in contents.rows] == [1, 2]
    described, _ = contents.runs
    assert described.description["arguments"] == ["run", "counted", "--set", "i=1,2", "--profile", "smoke"]
    assert described.description["profile"] == "smoke"


def test_results_are_exported_and_reported(here, folder):
    code, out, _ = here("run", "counted", "--set", "i=1,2", "--results", "there")
    assert (code, out) == (0, "2 trials: 2 run, 0 finished before, 0 failed\n")
    for suffix in ("csv", "parquet", "json"):
        code, out, _ = here("export", "--format", suffix, "--results", "there")
        assert (code, out) == (0, f"exported: there/results.{suffix}\n")
        assert (folder / "there" / f"results.{suffix}").stat().st_size > 100
    assert here("export", "--format", "json", "--output", "rows.json", "--results", "there")[0] == 0
    assert [row["i"] for row in json.loads((folder / "rows.json").read_text())] == [1, 2]
    code, out, _ = here("report", "--results", "there")
    assert (code, out) == (0, "report: there/report/index.html\n")
    assert "What does a trial cost?" in (folder / "there" / "report" / "report.md").read_text()


FIGURES = """

def findings(results):
    from toolkit.report import Finding
    yield Finding(sentence="It has been found.")
    {problem}

EXPERIMENT = Experiment(workload, factors={{"i": [1]}}, measures=["timed"], replicates={{"timed": 1}},
                        findings=findings)
"""


def outside(folder, problem=""):
    script = folder / "scripts" / "lone.py"
    script.parent.mkdir()
    script.write_text(
        SCRIPT.format(folder=str(folder)).partition("\nEXPERIMENT")[0] + FIGURES.format(problem=problem)
    )
    return script


def test_a_script_outside_of_the_folder_has_its_findings_and_its_command(here, folder):
    script = outside(folder)
    told = here("run", str(script), "--results", "there")[1].splitlines()[-1]
    assert told == "to see it: toolkit report scripts/lone.py --results there"
    assert here(*told.removeprefix("to see it: toolkit ").split())[0] == 0
    report = (folder / "there" / "report" / "report.md").read_text()
    assert "It has been found." in report
    assert "toolkit run scripts/lone.py --profile default" in report
    assert str(folder) not in report
    assert here("report", "--results", "there")[0] == 0
    assert "name it to \\`toolkit report\\`" in (folder / "there" / "report" / "report.md").read_text()


def test_a_report_without_its_findings_says_so_in_one_line_and_makes_3(here, folder):
    script = outside(folder, "raise SystemExit('nothing more')")
    here("run", str(script))
    code, out, err = here("report", str(script))
    assert (code, out) == (3, "report: results/report/index.html\n")
    assert (
        err == "toolkit: the report is incomplete: findings of lone ended early: SystemExit: nothing more\n"
    )
    assert "It has been found." in (folder / "results" / "report" / "report.md").read_text()


def test_a_bad_neighbour_stops_neither_report_nor_list(here, folder):
    here("run", "counted", "--set", "i=1")
    neighbour = folder / "experiments" / "train.py"
    neighbour.write_text(
        "from pathlib import Path\nPath('executed').touch()\nraise SystemExit('usage: train')"
    )
    assert here("report")[0] == 0
    assert not (folder / "executed").exists()
    code, out, _ = here("list")
    assert code == 0
    assert "train.py cannot be used: SystemExit: usage: train" in out
    assert "What does a trial cost?" in out


def test_a_report_of_what_never_ran_makes_2(here):
    here("run", "counted", "--set", "i=1")
    code, _, err = here("report", "step15_backward_order")
    assert (code, err) == (2, "toolkit: results holds no trial of step15_backward_order\n")
    assert here("report", "conted")[2].startswith(
        "toolkit: unknown experiment 'conted' (did you mean counted?)"
    )


def test_a_script_runs_by_itself_as_the_command_runs_it(run, folder):
    itself = run("--set", "i=1", "--results", "elsewhere", program=["experiments/counted.py"])
    script = "experiments/counted.py"
    assert (itself.returncode, itself.out) == (
        0,
        "1 trials: 1 run, 0 finished before, 0 failed\n"
        f"to see it: toolkit report {script} --results elsewhere\n",
    )
    (described,) = read_store(folder / "elsewhere").runs
    assert described.description["arguments"] == ["run", script, "--set", "i=1", "--results", "elsewhere"]
    assert run("run", "counted", "--set", "i=1", "--results", "elsewhere").out.startswith(
        "1 trials: 0 run, 1 finished"
    )


def test_failed_trials_make_3_until_they_are_asked_for_again(run, here, folder):
    (folder / "broken").touch()
    failed = run("run", "counted", "--set", "i=1")
    assert (failed.returncode, failed.out) == (3, "1 trials: 0 run, 0 finished before, 1 failed\n")
    assert "failed: counted i=1 timed #0: error (exit code 1) RuntimeError: it is broken\n" in failed.err
    (folder / "broken").unlink()
    assert here("run", "counted", "--set", "i=1")[:2] == (3, "1 trials: 0 run, 1 finished before, 1 failed\n")
    code, out, _ = here("run", "counted", "--set", "i=1", "--retry-failed")
    assert (code, out) == (0, "1 trials: 1 run, 0 finished before, 0 failed\n")
    assert log_of(folder) == ["1", "1"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_makes_130_and_the_next_run_goes_on_from_there(start, here, folder, number):
    (folder / "hang").touch()
    process = start("run", "counted")
    wait_until(lambda: is_hanging(folder))
    process.send_signal(number)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "toolkit: interrupted; what is finished is stored" in said
    assert "Traceback" not in said
    assert not psutil.pid_exists(int((folder / "hanging").read_text()))
    assert list((folder / "temporary").iterdir()) == []
    finished = {str(row.factors["i"]) for row in read_store(folder / "results").rows}
    assert sorted(finished) == sorted(log_of(folder)[:2])

    (folder / "hang").unlink()
    assert here("run", "counted")[:2] == (0, "4 trials: 2 run, 2 finished before, 0 failed\n")
    # Once the two that had finished, twice the one that was interrupted.
    assert sorted(log_of(folder)) == sorted([*"0123", log_of(folder)[2]])


@pytest.mark.parametrize(("times", "seconds"), [(2, 0.25), (8, 0.02), (3, 0.0)])
def test_an_impatient_user_is_heeded_too(start, folder, times, seconds):
    (folder / "hang").touch()
    process = start("run", "counted")
    wait_until(lambda: is_hanging(folder))
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(seconds)
    _, said = process.communicate(timeout=300)
    assert not psutil.pid_exists(int((folder / "hanging").read_text()))
    assert (process.returncode, said.count("interrupted"), "Traceback" in said) == (130, 1, False), said
    finished = {str(row.factors["i"]) for row in read_store(folder / "results").rows}
    assert sorted(finished) == sorted(log_of(folder)[:2])


def test_a_run_that_is_killed_leaves_no_trial_behind_and_frees_the_store(start, here, folder):
    (folder / "hang").touch()
    process = start("run", "counted")
    wait_until(lambda: is_hanging(folder))
    trial = psutil.Process(int((folder / "hanging").read_text()))
    process.kill()
    process.wait()
    wait_until(lambda: not trial.is_running() or trial.status() == psutil.STATUS_ZOMBIE)

    assert list((folder / "temporary").iterdir())
    (folder / "hang").unlink()
    again = start("run", "counted")
    assert again.communicate(timeout=300)[0] == "4 trials: 2 run, 2 finished before, 0 failed\n"
    assert list((folder / "temporary").iterdir()) == []


def test_a_system_without_file_locks_is_told_so_in_one_line(run):
    program = ["-c", "import sys; sys.modules['fcntl'] = None; from toolkit.cli import main; main()"]
    refused = run("run", "counted", program=program)
    assert (refused.returncode, refused.out) == (2, "")
    assert (
        refused.err == "toolkit: trials cannot run here: the store needs the file locks of a POSIX system\n"
    )


def test_a_store_that_another_run_holds_makes_75(run, folder):
    with Writer(folder / "results"):
        held = run("run", "counted")
    assert held.returncode == 75
    assert held.err == "toolkit: another run is writing to results/results.db\n"
    assert not (folder / "log").exists()


def test_a_file_that_is_no_store_makes_65(run, here, folder):
    (folder / "results").mkdir()
    store = folder / "results" / "results.db"
    store.write_bytes(b"what is this?" * 1000)
    bad = run("run", "counted")
    said = {"run": (bad.returncode, bad.out, bad.err), "report": here("report"), "export": here("export")}
    for code, out, err in said.values():
        assert (code, out) == (65, "")
        assert err.startswith("toolkit: results/results.db")
        assert err.count("\n") == 1
    assert store.read_bytes() == b"what is this?" * 1000
    assert {path.name for path in store.parent.iterdir()} <= {"results.db", "results.db.lock"}


def test_a_folder_that_cannot_be_written_makes_74_before_any_trial(run, here, folder):
    (folder / "file").touch()
    real = run("run", "counted", "--results", "file/results")
    said = [
        (real.returncode, real.out, real.err),
        here("run", "counted", "--results", "/proc/nowhere/results"),
    ]
    for code, out, err in said:
        assert (code, out) == (74, "")
        assert err.startswith("toolkit: ")
        assert err.count("\n") == 1
    assert not (folder / "log").exists()


def test_another_environment_makes_2_unless_it_is_mixed(here, folder):
    (trial,) = plan(load_experiment(str(folder / "experiments" / "counted.py")), overrides={"i": [2]})
    with Writer(folder / "results") as store:
        earlier = store.begin_run(describe() | {"numpy": "1.0"})
        store.add(earlier, trial, Outcome(status="ok", exit_code=0, started_at=1.0, elapsed_seconds=0.1))
    code, out, err = here("run", "counted")
    assert (code, out) == (2, "")
    assert "results holds figures taken with numpy 1.0, and this is numpy" in err
    assert err.endswith("--mix\n")
    code, out, _ = here("run", "counted", "--mix", "--set", "i=1,2")
    assert (code, out) == (0, "2 trials: 1 run, 1 finished before, 0 failed\n")


@pytest.mark.parametrize(
    "words", [[], *([command] for command in COMMANDS)], ids=lambda words: " ".join(words)
)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_is_everywhere(here, words, option):
    code, out, err = here(*words, option)
    assert (code, err) == (0, "")
    assert out.startswith(" ".join(["Usage: toolkit", *words]))
    if not words:
        assert all(f"  {command} " in out for command in COMMANDS)


def test_the_version_is_told(here):
    code, out, _ = here("--version")
    assert (code, out) == (0, f"toolkit, version {toolkit.__version__}\n")


def test_python_m_toolkit_is_the_command_toolkit(run):
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["toolkit"].partition(":")
    installed = ["-c", f"from {module} import {function}; {function}()"]
    for words in (["--help"], ["run", "--set", "i"]):
        one, other = run(*words), run(*words, program=installed)
        assert (one.returncode, one.out, one.err) == (other.returncode, other.out, other.err)


def test_the_experiments_are_listed_with_their_questions(here):
    code, out, _ = here("list")
    assert code == 0
    assert out.splitlines()[0] == f"{'counted':<28} What does a trial cost?"
    assert len(out.splitlines()) == 1 + len(list((REPOSITORY / "experiments").glob("[!_]*.py")))


MISTAKES = {
    "no command": ([], f"Missing command. The commands are {', '.join(COMMANDS)}."),
    "unknown command": (["ran"], f"The commands are {', '.join(COMMANDS)}."),
    "unknown option": (["run", "--jbos", "1"], "No such option"),
    "unknown experiment": (
        ["run", "conted"],
        "unknown experiment 'conted' (did you mean counted?); give a script, or one of: counted,",
    ),
    "missing script": (
        ["run", "nowhere.py"],
        "unknown experiment 'nowhere.py'; give a script, or one of: counted",
    ),
    "failing script": (["run", "failing.py"], "failing.py cannot be used: RuntimeError: on purpose"),
    "empty script": (["run", "empty.py"], "empty.py cannot be used: TypeError"),
    "impossible seed": (
        ["run", "seedless.py"],
        "seedless.py cannot be used: ValueError: seed is a whole number",
    ),
    "unknown profile": (
        ["run", "counted", "--profile", "quick"],
        "unknown profile 'quick'; the profiles are smoke,",
    ),
    "unknown factor": (["run", "counted", "--set", "n=1"], "counted has no factor 'n'; it has i"),
    "word for a number": (
        ["run", "counted", "--set", "i=abc"],
        "counted: i takes whole numbers, such as 0, and not",
    ),
    "fraction": (
        ["run", "counted", "--set", "i=1.5"],
        "counted: i takes whole numbers, such as 0, and not 1.5",
    ),
    "equal levels": (
        ["run", "counted", "--set", "i=1,1.0,true"],
        "counted: i has two equal levels, 1 and 1.0",
    ),
    "no levels": (["run", "counted", "--set", "i="], "--set takes FACTOR=LEVEL,LEVEL, not 'i='"),
    "factor twice": (["run", "counted", "--set", "i=1", "--set", "i=2"], "--set names i twice"),
    "no replicates": (["run", "counted", "--replicates", "0"], "0 is not in the range x>=1"),
    "no jobs": (["run", "counted", "--jobs", "none"], "'none' is not a valid integer"),
    "results that are a file": (["run", "counted", "--results", "empty.py"], "is a file"),
    "unknown format": (
        ["export", "--format", "xls"],
        "unknown format 'xls'; the formats are csv, json, parquet",
    ),
}


@pytest.mark.parametrize(("words", "complaint"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_makes_2_and_one_line_and_leaves_nothing(here, folder, words, complaint):
    (folder / "failing.py").write_text("raise RuntimeError('on purpose')")
    (folder / "empty.py").touch()
    (folder / "seedless.py").write_text(
        (folder / "experiments" / "counted.py").read_text().replace("measures=", "seed=None, measures=")
    )
    code, out, err = here(*words)
    assert (code, out) == (2, "")
    assert err.startswith("toolkit: ")
    assert complaint in err
    assert err.count("\n") == 1
    assert not (folder / "results").exists()


def test_where_nothing_was_run_there_is_nothing_to_report(here, folder):
    for command in ("report", "export"):
        code, _, err = here(command)
        assert code == 65
        assert err == "toolkit: results/results.db is not there: `toolkit run` makes it\n"
    assert not (folder / "results").exists()


@pytest.fixture
def deaf():
    """Hear again afterwards: an interrupted command has done with signals."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (OSError(28, "No space left on device", "/somewhere"), 74, "/somewhere: No space left on device"),
        (OSError("the disk is odd"), 74, "disk: the disk is odd"),
        (KeyboardInterrupt(), 130, "interrupted; what is finished is stored"),
    ],
)
def test_what_goes_wrong_elsewhere_has_its_code(here, monkeypatch, deaf, error, code, line):
    def fail():
        raise error

    monkeypatch.setattr(cli, "experiment_scripts", fail)
    found, _, err = here("list")
    assert found == code
    assert f"toolkit: {line}" in err


def test_a_defect_shows_where_it_is_and_makes_1(capsys, monkeypatch):
    monkeypatch.setattr(cli, "experiment_scripts", lambda: 1 / 0)
    with pytest.raises(SystemExit) as ended:
        cli.main(["list"])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said
    assert said.endswith("toolkit: this is a defect of the toolkit; the lines above say where\n")


def test_a_warning_is_one_line_told_once(here, monkeypatch):
    def warn():
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            for _ in range(2):  # as in each trial of a run
                warnings.warn("three rows are damaged", UserWarning, stacklevel=1)
        return {}

    monkeypatch.setattr(cli, "experiment_scripts", warn)
    code, _, err = here("list")
    assert (code, err) == (0, "toolkit: warning: three rows are damaged\n")


ESCAPES = "2.0\x1b]0;owned\x07\x1b[2K\u202e\r"


@pytest.mark.filterwarnings("always")
def test_what_a_store_tells_cannot_steer_the_terminal(here, folder):
    trial = Trial(
        experiment="elsewhere",
        script="elsewhere.py",
        factors={ESCAPES: ESCAPES},
        constants={},
        measure="traced",
        replicate=0,
        seed=0,
        deadline_seconds=1.0,
        code_digest=ESCAPES,
    )
    outcome = Outcome(status="ok", exit_code=0, message=ESCAPES, started_at=1.0, elapsed_seconds=1.0)
    with Writer(folder / "results") as store:
        store.add(store.begin_run({**host_facts(), "numpy": ESCAPES}, [trial]), trial, outcome)
    with sqlite3.connect(folder / "results" / "results.db") as connection:
        connection.execute("INSERT INTO attempt VALUES (1, ?, 1, ?, 0, ?, 1.0, 1.0, ?)", [ESCAPES] * 4)
        connection.execute("INSERT INTO series VALUES (?, ?, ?, 1, ?)", [*[ESCAPES] * 3, b""])
    connection.close()
    code, out, told = here("run", "counted")
    assert (code, out) == (2, "") and r"numpy 2.0\x1b]0;owned\x07\x1b[2K\u202e\r, and this is" in told
    for command in ("verify", "export"):
        _, out, err = here(command)
        told += out + err
    assert [line for line in told.split("\n") if not line.isprintable()] == []
    assert r"\x1b]0;owned" in here("verify")[1]


def test_a_defect_found_by_what_a_store_tells_cannot_steer_the_terminal(capsys, monkeypatch):
    def fail():
        raise KeyError(ESCAPES) from ValueError(ESCAPES)

    monkeypatch.setattr(cli, "experiment_scripts", fail)
    with pytest.raises(SystemExit):
        cli.main(["list"])
    assert all(line.isprintable() for line in capsys.readouterr().err.split("\n"))
