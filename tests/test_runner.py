"""A run, with real trials in a real store: what it runs, what it leaves out, what it records."""

import math
import sqlite3
import sys
import tracemalloc
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from toolkit import grid
from toolkit.analysis.predictions import Prediction
from toolkit.planning import load_experiment, plan
from toolkit.provenance import describe
from toolkit.runner import Request, run
from toolkit.store import StoreLocked
from toolkit.store.read import read_store
from toolkit.store.write import Writer
from toolkit.trials import Outcome
from toolkit.trials.host import MUST_AGREE, OF_THE_INTERPRETER
from toolkit.usage import UsageError

SCRIPT = """
from pathlib import Path
import numpy as np
from toolkit import Experiment
from toolkit.analysis.predictions import Prediction

FOLDER = Path({folder!r})

def workload(trial, *, n):
    with (FOLDER / "log").open("a") as log:
        log.write(f"{{n}}\\n")
    if (FOLDER / f"broken {{n}}").exists():
        raise RuntimeError("broken")
    touched = np.empty(n)
    touched.fill(1.0)
    trial.observe()
    return touched

def predict(cell, interpreter):
    if cell["n"] > 99:
        return Prediction(
            peak_arrays=1, end_arrays=1, array_bytes=8 * cell["n"], basis="1 S", metrics={{"calls_count": 0}}
        )

EXPERIMENT = Experiment(
    workload, factors={{"n": [1]}}, measures=["timed"], replicates={{"timed": 1}}, predict=predict
)
"""


@pytest.fixture
def experiment(tmp_path):
    script = tmp_path / "counted.py"
    script.write_text(SCRIPT.format(folder=str(tmp_path)))
    return load_experiment(str(script))


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


@pytest.fixture
def go(experiment, results):
    """Return a function that runs the experiment and returns its summary and what it told meanwhile."""

    def run_one(**settings):
        told = []
        tell = settings.pop(
            "tell", lambda summary, trial, outcome: told.append((replace(summary), trial, outcome))
        )
        fields = {"experiments": [experiment], "results_dir": results, "profile": "default", "jobs": 2}
        return run(Request(**{**fields, **settings}), tell), told

    return run_one


def log_of(folder):
    return (folder / "log").read_text().split() if (folder / "log").exists() else []


def test_every_trial_is_run_once_and_told_of(go, results, tmp_path):
    summary, told = go(overrides={"n": [1, 2]})
    assert (summary.planned, summary.ok, summary.failed, summary.finished_before) == (2, 2, 0, 0)
    assert sorted(log_of(tmp_path)) == ["1", "2"]
    assert told[0][1:] == (None, None)
    assert [(one.done, one.to_do) for one, _, _ in told] == [(0, 2), (1, 2), (2, 2)]
    assert {trial.factors["n"] for _, trial, _ in told[1:]} == {1, 2}

    again, told = go(overrides={"n": [2, 1]})
    assert (again.planned, again.ok, again.finished_before, again.to_do) == (2, 0, 2, 0)
    assert len(told) == 1
    assert len(log_of(tmp_path)) == 2
    planned, again = read_store(results).runs
    assert planned.plans == again.plans and list(again.plans) == ["counted"]
    assert again.ended_at is not None


def test_going_back_to_earlier_code_takes_its_figures_again(go, experiment, results):
    source = experiment.script.read_text()
    for other in (source, source.replace("np.empty(n)", "np.empty(n + 1)"), source):
        experiment.script.write_text(other)
        summary, _ = go(experiments=[load_experiment(str(experiment.script))])
    assert (summary.ok, summary.finished_before) == (0, 1)
    contents = read_store(results)
    assert [row.code_digest for row in contents.rows] == [one.code_digest for one in plan(experiment)]
    assert len(contents.left_out) == 1


def test_a_run_reads_the_rows_of_the_store_once(go, monkeypatch):
    from toolkit.store import read, rows, write

    go()
    passes = []

    def counted(connection):
        passes.append(1)
        yield from rows.read_rows(connection)

    for module in (read, write):
        monkeypatch.setattr(module, "read_rows", counted, raising=False)
    go(retry_failed=True)
    assert len(passes) == 1


def test_a_failure_is_a_result_until_it_is_asked_for_again(go, results, tmp_path):
    (tmp_path / "broken 1").touch()
    summary, _ = go()
    assert (summary.ok, summary.failed) == (0, 1)
    (tmp_path / "broken 1").unlink()

    again, _ = go()
    assert (again.ok, again.failed, again.failed_before) == (0, 0, 1)
    retried, _ = go(retry_failed=True)
    assert (retried.ok, retried.failed, retried.failed_before) == (1, 0, 0)
    (row,) = read_store(results).rows
    assert row.status == "ok"
    assert log_of(tmp_path) == ["1", "1"]


def test_a_failure_counts_also_where_other_code_has_run_since(go, experiment, results, tmp_path):
    (tmp_path / "broken 1").touch()
    go()
    (trial,) = plan(experiment)
    with Writer(results) as store:
        newer = replace(trial, code_digest="of code that was tried in between")
        run_id = store.begin_run(describe(), [newer])
        store.add(run_id, newer, Outcome(status="ok", exit_code=0, started_at=9e9, elapsed_seconds=0.1))
    again, _ = go()
    assert again.failed_before == 1


def test_a_damaged_row_is_run_again_when_it_is_asked_for(go, results):
    go()
    with sqlite3.connect(results / "results.db") as connection:
        connection.execute("UPDATE trial SET elapsed_seconds = 99")
    connection.close()
    again, _ = go()
    assert (again.ok, again.failed_before) == (0, 1)
    retried, _ = go(retry_failed=True)
    assert (retried.ok, retried.failed_before) == (1, 0)


def test_the_order_is_shuffled_by_a_recorded_seed(go, experiment, results):
    go(overrides={"n": [1, 2, 3]}, replicates=2, arguments=["run", "counted.py"], profile="full")
    contents = read_store(results)
    (described,) = contents.runs
    expected = list(plan(experiment, "full", {"n": [1, 2, 3]}, 2))
    Random(described.description["order_seed"]).shuffle(expected)
    ran = sorted(contents.rows, key=lambda row: row.started_at)
    assert [row.key for row in ran] == [trial.key for trial in expected]
    assert described.description["profile"] == "full"
    assert described.description["arguments"] == ["run", "counted.py"]
    assert described.description["python"] == describe()["python"]
    assert described.ended_at is not None


def peak_of_planning(go, count):
    def interrupt(summary, trial, outcome):
        assert summary.to_do == 20 * count
        raise KeyboardInterrupt

    tracemalloc.start()
    with pytest.raises(KeyboardInterrupt):
        go(overrides={"n": list(range(count))}, replicates=20, tell=interrupt)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_before_its_first_trial_a_large_run_has_taken_little_more_memory_than_a_small_one(go):
    # The first loads what every run needs.
    _, small = peak_of_planning(go, 1), peak_of_planning(go, 1)
    # Two thousand trials are 16,000 bytes, and as a list would be a megabyte.
    assert peak_of_planning(go, 100) < small + 2**17


def test_predictions_are_stored_with_memory_trials(go, experiment, results):
    memory = replace(experiment, measures=["resident", "traced", "timed"], replicates={})
    go(experiments=[memory], overrides={"n": [100_000]})
    rows = {row.measure: row for row in read_store(results).rows}
    assert (
        rows["traced"].metrics["predicted_peak_bytes"]
        == 800_000
        == rows["traced"].metrics["peak_traced_bytes"]
    )
    assert rows["traced"].metrics["predicted_end_bytes"] == 800_000
    assert rows["traced"].metrics["predicted_calls_count"] == 0
    assert rows["resident"].metrics["predicted_peak_bytes"] == rows["resident"].metrics["peak_rss_bytes"]
    assert rows["resident"].metrics["predicted_end_bytes"] == rows["resident"].metrics["end_rss_bytes"]
    assert rows["resident"].conditions["prediction_exact"] is True
    assert rows["resident"].conditions["prediction_basis"] == "1 S"
    assert rows["resident"].conditions["prediction_array_bytes"] == 800_000
    assert not [name for name in rows["timed"].metrics if name.startswith("predicted")]


def test_where_theory_has_no_answer_nothing_is_predicted(go, experiment, results):
    go(experiments=[replace(experiment, measures=["traced"])])
    (row,) = read_store(results).rows
    assert row.status == "ok"
    assert not [name for name in row.metrics if name.startswith("predicted")]


def test_a_prediction_that_fails_is_told_in_one_line(go, experiment, results, tmp_path):
    failing = replace(experiment, measures=["traced"], predict=lambda cell, interpreter: cell["m"])
    with pytest.raises(UsageError, match=r"^counted: predict fails for \{'n': 1\}: KeyError: 'm'$"):
        go(experiments=[failing])
    assert not results.exists()
    assert log_of(tmp_path) == []


PREDICTIONS = {
    "a number of numpy": (
        lambda: Prediction(basis="", peak_arrays=np.int64(3)),
        "peak_arrays must be an int",
    ),
    "a fraction of a byte": (
        lambda: Prediction(basis="", metrics={"foo_bytes": 1.5}),
        "foo_bytes must be an int",
    ),
    "no number": (lambda: Prediction(basis="", end_arrays=math.nan), "end_arrays must be finite"),
    "no basis": (lambda: Prediction(basis=None), "basis is text"),
    "a dict": (lambda: {"peak_bytes": 1}, "it returned a dict, and not a Prediction or None"),
    "beyond any memory": (
        lambda: Prediction(basis="", peak_arrays=1e30, array_bytes=8),
        "predicted_peak_bytes must be finite",
    ),
}


@pytest.mark.parametrize(("predict", "complaint"), PREDICTIONS.values(), ids=PREDICTIONS)
def test_what_is_no_prediction_is_refused_before_any_trial(
    go, experiment, results, tmp_path, predict, complaint
):
    wrong = replace(experiment, measures=["traced"], predict=lambda cell, interpreter: predict())
    with pytest.raises(UsageError, match=complaint) as refused:
        go(experiments=[wrong])
    assert str(refused.value).startswith("counted: predict fails for {'n': 1}: ")
    assert "\n" not in str(refused.value)
    assert not results.exists()
    assert log_of(tmp_path) == []


def test_a_prediction_that_fails_for_a_trial_alone_costs_no_figures(go, experiment, results):
    def predict(cell, interpreter):
        if "engine_version" in interpreter:
            raise ZeroDivisionError("only\nafterwards")
        return Prediction(basis="1 S", peak_arrays=1, array_bytes=8)

    summary, _ = go(experiments=[replace(experiment, measures=["traced"], predict=predict)])
    (row,) = read_store(results).rows
    assert (summary.ok, row.status) == (1, "ok")
    assert row.metrics["peak_traced_bytes"] == 8
    assert row.conditions["predict_failed"] == "ZeroDivisionError: only"
    assert "predicted_peak_bytes" not in row.metrics


def test_an_interrupt_ends_what_runs_and_loses_nothing(go, results):
    def interrupt(summary, trial, outcome):
        if summary.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(overrides={"n": [1, 2, 3, 4]}, tell=interrupt)
    (cut_off,) = read_store(results).runs
    assert cut_off.ended_at is None
    assert len(read_store(results).rows) == 2
    summary, _ = go(overrides={"n": [1, 2, 3, 4]})
    assert (summary.finished_before, summary.ok) == (2, 2)


def test_one_script_named_twice_is_run_once(go, experiment):
    summary, _ = go(experiments=[experiment, load_experiment(str(experiment.script))])
    assert summary.planned == 1


def test_two_scripts_of_one_name_are_refused(go, experiment, tmp_path, results):
    other = tmp_path / "elsewhere" / "counted.py"
    other.parent.mkdir()
    other.write_text(experiment.script.read_text())
    with pytest.raises(UsageError, match=r"counted\.py have one name"):
        go(experiments=[experiment, load_experiment(str(other))])
    assert not results.exists()


def test_what_cannot_be_planned_leaves_nothing_behind(go, results):
    with pytest.raises(UsageError):
        go(overrides={"n": ["many"]})
    assert not results.exists()


def test_a_store_that_another_holds_is_left_alone(go, results, tmp_path):
    with Writer(results), pytest.raises(StoreLocked):
        go()
    assert log_of(tmp_path) == []


@pytest.fixture
def from_elsewhere(results, experiment):
    """A store that holds a figure of another interpreter."""

    def fill(status="ok", **changes):
        (trial,) = plan(experiment, overrides={"n": [77]})
        with Writer(results) as store:
            number = store.begin_run(describe() | changes)
            store.add(number, trial, Outcome(status=status, exit_code=0, started_at=1.0, elapsed_seconds=0.1))

    return fill


@pytest.mark.parametrize("name", MUST_AGREE)
def test_figures_of_another_environment_are_not_mixed_in(go, from_elsewhere, name, tmp_path):
    from_elsewhere(**{name: "another"})
    with pytest.raises(
        UsageError, match=f"holds figures taken with {name} another, and this is {name} .*--mix"
    ):
        go()
    assert log_of(tmp_path) == []


def test_figures_of_another_environment_are_mixed_in_where_it_is_asked_for(go, from_elsewhere):
    from_elsewhere(python="2.7.18")
    assert go(mix=True)[0].ok == 1


def test_a_damaged_row_of_another_environment_is_no_figure(go, from_elsewhere, results, experiment):
    from_elsewhere()
    with sqlite3.connect(results / "results.db") as connection:
        connection.execute('UPDATE trial SET conditions = \'{"numpy":"1.0"}\'')
    connection.close()
    assert go()[0].ok == 1
    summary, _ = go(overrides={"n": [77]})
    assert (summary.finished_before, summary.failed_before) == (1, 1)


def test_what_must_not_agree_may_differ(go, from_elsewhere):
    from_elsewhere(git_commit="another", load=[9.0], boot_id="another")
    assert go()[0].ok == 1


def test_a_failure_of_another_environment_is_no_figure(go, from_elsewhere):
    from_elsewhere(status="crash", python="2.7.18")
    assert go()[0].ok == 1


@pytest.mark.parametrize("name", OF_THE_INTERPRETER)
def test_trials_that_name_their_interpreter_may_be_run_from_any(go, experiment, results, name):
    named = replace(experiment, constants={"python": sys.executable})
    (trial,) = plan(named, overrides={"n": [77]})
    with Writer(results) as store:
        number = store.begin_run(describe() | {name: "another"}, [trial])
        store.add(number, trial, Outcome(status="ok", exit_code=0, started_at=1.0, elapsed_seconds=0.1))
    assert go(experiments=[named])[0].ok == 1
    # What runs in this interpreter does not mix with what ran in another, but that trial is not of it.
    assert go(experiments=[experiment])[0].ok == 1


def test_several_interpreters_in_one_run_do_not_trip_over_each_other(go, experiment, tmp_path):
    other = tmp_path / "python-of-mine"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    other.chmod(0o755)
    named = replace(experiment, constants={"python": "this"})
    for _ in range(2):
        summary, _ = go(experiments=[named], overrides={"python": ["this", str(other)]})
    assert (summary.finished_before, summary.failed) == (2, 0)


def test_an_experiment_whose_package_is_missing_is_skipped_beside_one_that_runs(
    go, experiment, results, tmp_path
):
    script = tmp_path / "learning.py"
    script.write_text(experiment.script.read_text())
    learning = replace(load_experiment(str(script)), requires=["no_such_package"])
    reason = "not installed here; the Python package no_such_package brings it"
    for planned, experiments in ((1, [learning, experiment]), (0, [learning])):
        summary, _ = go(experiments=experiments)
        assert (summary.planned, summary.failed) == (planned, 0)
        assert summary.skipped == [f"learning, all trials: {reason}"]
    assert [row.experiment for row in read_store(results).rows] == ["counted"]


def test_a_level_that_this_machine_lacks_is_skipped_told_of_and_recorded(
    go, experiment, results, monkeypatch
):
    reason = "no libjemalloc.so here; Debian's package libjemalloc2 brings it"
    monkeypatch.setattr(grid, "obstacle_to_malloc", lambda level: reason if level == "jemalloc" else "")
    chosen = replace(experiment, factors={"n": [1], "malloc": ["default", "jemalloc"]})
    summary, _ = go(experiments=[chosen])
    assert (summary.planned, summary.ok) == (1, 1)
    assert summary.skipped == [f"counted, malloc=jemalloc: {reason}"]
    (made,) = read_store(results).runs
    assert made.description["skipped_levels"] == {"counted": {"malloc=jemalloc": reason}}
