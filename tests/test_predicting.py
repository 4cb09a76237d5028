"""`toolkit predict`: one run of a workload, every mode."""

from textwrap import dedent

import pytest

from toolkit.planning import UsageError, load_experiment
from toolkit.predicting import predict


def script(tmp_path, body):
    path = tmp_path / "asked.py"
    path.write_text(dedent(body))
    return load_experiment(str(path))


@pytest.fixture
def chain(tmp_path):
    return script(
        tmp_path,
        """
        import numpy as np
        from toolkit import Experiment, Variable, square

        def workload(trial, *, k):
            with open("runs", "a") as runs:
                runs.write("run ")
            x = y = Variable(trial.rng.standard_normal(50_000))
            for _ in range(k):
                y = square(y)
            y.backward()
            return x, y

        EXPERIMENT = Experiment(workload, factors={"k": [2, 5], "references": ["weak"], "gc": ["off"]})
        """,
    )


def test_each_combination_of_the_workloads_own_levels_is_run_once(chain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    predicted = list(predict(chain, "default", {}))
    assert (tmp_path / "runs").read_text() == "run run "
    assert [dict(one.levels) for one in predicted] == [{"k": 2}] * 6 + [{"k": 5}] * 6


def test_the_bytes_are_those_of_the_formulas(chain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    array_bytes = 400_000
    for one in predict(chain, "default", {"k": (5,)}):
        peak, end = (12, 12) if one.mode.retain_grad else (8, 7)
        # Within the header of one array: numpy keeps small blocks of its own, and the constant 2 is an array.
        assert abs(one.simulated.peak_bytes - peak * array_bytes) <= 112
        assert one.simulated.end_bytes == end * array_bytes


def test_without_a_backward_pass_the_mode_without_a_graph_is_told_and_retain_grad_is_not(tmp_path):
    experiment = script(
        tmp_path,
        """
        from toolkit import Experiment, Variable, exp

        def workload(trial):
            return exp(exp(Variable(trial.rng.standard_normal(10_000))))

        EXPERIMENT = Experiment(workload, factors={})
        """,
    )
    modes = [one.mode for one in predict(experiment, "default", {})]
    assert [mode.enable_backprop for mode in modes] == [True, True, True, False]
    assert not any(mode.retain_grad for mode in modes)


def test_a_workload_that_raises_is_told_of_in_one_line(tmp_path):
    experiment = script(
        tmp_path,
        """
        from toolkit import Experiment

        def workload(trial):
            raise ValueError("no such thing\\nas this")

        EXPERIMENT = Experiment(workload, factors={})
        """,
    )
    with pytest.raises(
        UsageError, match=r"^asked: the workload cannot be recorded: ValueError: no such thing$"
    ):
        list(predict(experiment, "default", {}))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("y.backward(create_graph=True)", "it records a backward pass"),
        ("gradients(y, (x,))", "it calls gradients"),
        ("with using_config(buffers='reused'): exp(x)", "it sets buffers"),
        ("with using_config(traversal='lifo'): y.backward()", "it sets traversal"),
    ],
)
def test_what_is_not_simulated_is_refused_in_one_line(tmp_path, body, told):
    experiment = script(
        tmp_path,
        f"""
        from toolkit import Experiment, Variable, exp, using_config
        from toolkit.core.backward import gradients

        def workload(trial):
            x = Variable(trial.rng.standard_normal(10))
            y = exp(x)
            {body}

        EXPERIMENT = Experiment(workload, factors={{}})
        """,
    )
    with pytest.raises(UsageError, match=rf"^asked: the workload cannot be predicted: {told}.*$"):
        list(predict(experiment, "default", {}))


def test_a_gradient_that_only_one_mode_keeps_is_recorded_under_each(tmp_path):
    experiment = script(
        tmp_path,
        """
        from toolkit import Experiment, Variable, exp

        def workload(trial):
            x = Variable(trial.rng.standard_normal(10_000))
            y = exp(exp(x))
            y.backward()
            return y.grad

        EXPERIMENT = Experiment(workload, factors={})
        """,
    )
    ends = {
        one.mode.retain_grad: one.simulated.end_bytes
        for one in predict(experiment, "default", {})
        if one.mode.references == "weak"
    }
    assert ends == {False: 0, True: 80_000}


def test_the_end_is_no_number_where_counts_of_objects_decide_it(tmp_path):
    experiment = script(
        tmp_path,
        """
        from toolkit import Experiment, Variable, exp

        def workload(trial):
            for _ in trial.steps(500):
                exp(Variable(trial.rng.standard_normal(100)))

        EXPERIMENT = Experiment(workload, factors={})
        """,
    )
    told = {
        (one.mode.references, bool(one.mode.thresholds)): one.simulated
        for one in predict(experiment, "default", {})
        if one.mode.enable_backprop
    }
    by_counts = told["strong", True]
    assert by_counts.end_bytes is None
    assert not by_counts.exact
    assert by_counts.peak_bytes < told["strong", False].peak_bytes
    assert told["weak", False].end_bytes == 0
