"""`toolkit predict`: one run of a workload, every mode."""

from textwrap import dedent

import pytest

from toolkit import cli
from toolkit.core.config import Config
from toolkit.planning import load_experiment
from toolkit.predicting import predict
from toolkit.usage import UsageError

pytestmark = pytest.mark.usefixtures("quick_collections")


def told(experiment, **overrides):
    """Return what is predicted, by toggles and level of gc."""
    return {
        (*(f"{name}={level}" for name, level in one.toggles.items()), one.gc): one
        for one in predict(experiment, "default", overrides)
    }


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


def test_each_combination_of_the_workloads_own_levels_is_run_once_for_each_way_of_saving(
    chain, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    predicted = list(predict(chain, "default", {}))
    # As it is, saves=needed, storage=float32, storage=float16; all else is simulated.
    assert (tmp_path / "runs").read_text().split() == ["run"] * 8
    half = len(predicted) // 2
    assert [dict(one.levels) for one in predicted] == [{"k": 2}] * half + [{"k": 5}] * half


def test_the_table_has_each_toggle_at_each_level_and_what_is_asked_for(chain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    default = Config()
    changed = [
        f"{name}={level}"
        for name, levels in Config.levels().items()
        for level in levels
        if level != getattr(default, name)
    ]
    modes = told(chain, k=(2,), saves=("needed",), retain_grad=(False, True))
    assert {mode[:-1] for mode in modes} == {
        (),
        *((one,) for one in changed),
        ("retain_grad=True", "saves=needed"),
    }
    # The experiment asks for no other than off.
    assert [mode[-1] for mode in modes if mode[0] == "references=strong"] == ["default", "off"]


def test_the_bytes_are_those_of_the_formulas(chain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    array_bytes = 400_000
    arrays = {
        (None,): (8, 7),
        ("references=strong", "off"): (8, 7),
        ("retain_grad=True", None): (12, 12),
        ("retain_graph=False", None): (8, 3),
    }
    modes = told(chain, k=(5,))
    for mode, (peak, end) in arrays.items():
        simulated = modes[mode].simulated
        assert (simulated.peak_bytes, simulated.end_bytes) == (peak * array_bytes, end * array_bytes)


def test_what_is_not_predicted_says_why(chain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reasons = {mode: one.reason for mode, one in told(chain, k=(2,)).items() if one.simulated is None}
    assert reasons == {
        ("traversal=lifo", None): "the wrong order of the backward pass is not simulated",
        (
            "enable_backprop=False",
            None,
        ): "the workload goes back through a graph that is not there under this mode",
        ("buffers=reused", None): "which memory is used again is not simulated",
    }


def test_without_a_backward_pass_only_the_graph_makes_a_difference(tmp_path):
    experiment = script(
        tmp_path,
        """
        from toolkit import Experiment, Variable, exp

        def workload(trial):
            return exp(exp(Variable(trial.rng.standard_normal(10_000))))

        EXPERIMENT = Experiment(workload, factors={})
        """,
    )
    ends = {mode: one.simulated and one.simulated.end_bytes for mode, one in told(experiment).items()}
    assert ends["enable_backprop=False", None] == 80_000
    assert ends["retain_grad=True", None] == ends["traversal=lifo", None] == ends[None,] == 240_000


CYCLES = """
    from toolkit import Experiment

    class Own:
        pass

    def workload(trial, *, links):
        for _ in trial.steps(10):
            own = Own()
            own.array = trial.rng.standard_normal(1000)
            own.other = own if links == "cycle" else None
            del own

    EXPERIMENT = Experiment(workload, factors={"links": ["chain", "cycle"]}, constants={"gc": "default"})
"""


def test_cycles_of_the_workloads_own_are_predicted_where_it_is_known_when_they_are_collected(tmp_path):
    experiment = script(tmp_path, CYCLES)
    policies = ("default", "off", "every=4", "manual")
    modes = told(experiment, links=("cycle",), gc=policies)
    figures = [
        one and (one.peak_bytes // 8000, one.end_bytes // 8000)
        for one in (modes["saves=needed", policy].simulated for policy in policies)
    ]
    # The collector looks when a step ends, so that the fourth object is among those that go.
    assert figures == [None, (10, 10), (4, 2), (10, 0)]
    assert "when Python collects that hangs on every object" in modes["default",].reason
    assert next(iter(told(experiment, links=("chain",), gc=policies))) == (None,)


def test_cycles_that_the_workload_has_collected_itself_are_seen(tmp_path):
    experiment = script(
        tmp_path,
        """
        import gc
        from toolkit import Experiment, Variable

        def workload(trial):
            own = [Variable(trial.rng.standard_normal(1000))]
            own.append(own)
            del own
            gc.collect()

        EXPERIMENT = Experiment(workload, factors={})
        """,
    )
    modes = told(experiment)
    assert modes["default",].simulated is None
    assert (modes["off",].simulated.peak_bytes, modes["off",].simulated.end_bytes) == (8000, 0)


def test_every_level_of_gc_is_predicted_where_graphs_wait_for_the_collector(tmp_path):
    experiment = script(
        tmp_path,
        """
        from toolkit import Experiment, Variable, square

        def workload(trial):
            for _ in trial.steps(100):
                x = Variable(trial.rng.standard_normal(1000))
                y = square(x)

        levels = ["default", "frozen", "threshold=100", "every=10", "manual"]
        EXPERIMENT = Experiment(workload, factors={"references": ["weak", "strong"], "gc": levels})
        """,
    )
    modes = {
        mode[-1]: one.simulated for mode, one in told(experiment).items() if mode[0] == "references=strong"
    }
    assert [*modes] == ["default", "off", "frozen", "threshold=100", "every=10", "manual"]
    peaks = {level: one.peak_bytes // 8000 for level, one in modes.items()}
    # Two arrays a graph, and one that its names hold.
    assert (peaks["off"], peaks["every=10"], peaks["manual"]) == (200, 22, 200)
    assert peaks["every=10"] < peaks["threshold=100"] < peaks["default"] <= 200
    assert modes["manual"].end_bytes == modes["every=10"].end_bytes == 2 * 8000
    assert modes["threshold=100"].end_bytes is None


def test_what_the_workload_prints_and_warns_of_is_not_shown(tmp_path, capfd):
    experiment = script(
        tmp_path,
        """
        import numpy as np
        from toolkit import Experiment, Variable, exp

        def workload(trial):
            print("at work")
            exp(Variable(np.full(4, 1e6)))

        EXPERIMENT = Experiment(workload, factors={})
        """,
    )
    assert told(experiment)
    assert capfd.readouterr() == ("", "")


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
        UsageError, match=r"^asked: the workload cannot be predicted: it raises ValueError: no such thing$"
    ):
        list(predict(experiment, "default", {}))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("y.backward(create_graph=True)", "it records a backward pass"),
        ("gradients(y, (x,))", "it calls gradients"),
        (
            "other = Thread(target=lambda: exp(x)); other.start(); other.join()",
            "it computes in a thread of its own",
        ),
        ("with using_config(buffers='reused'): exp(x)", "it sets buffers"),
        ("with using_config(traversal='lifo'): y.backward()", "it sets traversal"),
    ],
)
def test_what_is_not_simulated_is_refused_in_one_line(tmp_path, body, reason):
    experiment = script(
        tmp_path,
        f"""
        from threading import Thread

        from toolkit import Experiment, Variable, exp, using_config
        from toolkit.core.backward import gradients

        def workload(trial):
            x = Variable(trial.rng.standard_normal(10))
            y = exp(x)
            {body}

        EXPERIMENT = Experiment(workload, factors={{}})
        """,
    )
    with pytest.raises(UsageError, match=rf"^asked: the workload cannot be predicted: {reason}.*$"):
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
    modes = told(experiment)
    assert modes[None,].simulated.end_bytes == 0
    assert modes["retain_grad=True", None].simulated.end_bytes == 80_000


def test_the_end_is_no_number_where_counts_of_objects_decide_it(tmp_path):
    experiment = script(
        tmp_path,
        """
        from toolkit import Experiment, Variable, exp

        def workload(trial):
            for _ in trial.steps(1000):
                exp(Variable(trial.rng.standard_normal(100)))

        EXPERIMENT = Experiment(workload, factors={})
        """,
    )
    modes = {mode: one.simulated for mode, one in told(experiment).items()}
    by_counts = modes["references=strong", "default"]
    assert by_counts.end_bytes is None
    assert not by_counts.exact
    assert by_counts.peak_bytes < modes["references=strong", "off"].peak_bytes
    assert modes[None,].end_bytes == 0


def run(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        cli.main(["predict", *words])
    return (ended.value.code, *capsys.readouterr())


def test_a_mistake_is_told_alone_in_one_line(tmp_path, capsys):
    experiment = script(
        tmp_path,
        """
        from toolkit import Experiment

        def workload(trial, *, k):
            if k == 2:
                raise ValueError("too many")

        EXPERIMENT = Experiment(workload, factors={"k": [1, 2]})
        """,
    )
    code, out, err = run(capsys, str(experiment.script))
    assert (code, out) == (2, "")
    assert err == "toolkit: asked: the workload cannot be predicted: it raises ValueError: too many\n"
    code, out, err = run(capsys, str(experiment.script), "--set", "saves=all")
    assert (code, out) == (2, "")
    assert err == "toolkit: asked: saves has no level 'all'; its levels are inputs, needed\n"


def test_the_table_has_a_line_a_mode_and_the_reasons_below(tmp_path, capsys):
    experiment = script(tmp_path, CYCLES)
    code, out, err = run(capsys, str(experiment.script), "--set", "gc=default,off", "--set", "links=cycle")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.replace("\N{NO-BREAK SPACE}", " ").splitlines()]
    assert lines[:3] == [
        ["levels", "mode", "peak", "end"],
        ["links=cycle", "default", "gc=default", "[1]", "[1]"],
        ["links=cycle", "default", "gc=off", "78.1", "KiB", "78.1", "KiB"],
    ]
    assert " ".join(lines[-1]).startswith("[1] not predicted: arrays are held by what refers to itself")
