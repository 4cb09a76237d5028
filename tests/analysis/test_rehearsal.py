"""A rehearsed prediction is what numpy allocates; where no simulation tells, there is none."""

import tracemalloc

import numpy as np
import pytest

from toolkit import Variable, checkpoint, exp, square, using_config
from toolkit.analysis.rehearsal import WorkloadRaisedError, rehearsed
from toolkit.probes import Position
from toolkit.probes.traced import tracing_arrays
from toolkit.trials.collecting import collecting, policy_of
from toolkit.trials.running import RunningTrial

S = 320_000
THRESHOLDS = {"gc_threshold0": 700, "gc_threshold1": 10, "gc_threshold2": 10}


def workload(trial, *, k):
    for _ in trial.steps(3):
        x = y = Variable(trial.rng.standard_normal(S // 8))
        for _ in range(k):
            y = square(y)
        y.backward()
    return x, y


def measured(workload, toggles, gc="default", **levels):
    trial = RunningTrial(0, Position(), lambda: None, policy_of(gc).end_step)
    with using_config(**toggles), collecting(gc), tracing_arrays():
        result = workload(trial, **levels)
        end, peak = tracemalloc.get_traced_memory()
        del result
    return peak, end


@pytest.mark.parametrize(
    "toggles",
    [
        {},
        {"retain_grad": True},
        {"retain_graph": False},
        {"saves": "needed"},
        {"storage": "float32"},
        {"references": "strong"},
    ],
    ids=str,
)
def test_the_prediction_of_a_cell_is_what_is_allocated(toggles):
    gc = "off" if "references" in toggles else "default"
    predicted = rehearsed(workload, {**toggles, "k": 5, "gc": gc}, S, THRESHOLDS)
    peak, end = measured(workload, toggles, gc, k=5)
    assert abs(predicted.peak_bytes("traced") - peak) <= 16
    assert predicted.end_bytes("traced") == end
    assert predicted.exact


@pytest.mark.parametrize(
    "levels",
    [
        # When the collector comes by itself hangs on single objects; with fewer rounds than a trial has, the end of
        # the epoch comes earlier.
        {"references": "strong", "gc": "threshold=10"},
        {"references": "strong", "gc": "manual"},
        {"buffers": "reused"},
        {"traversal": "lifo"},
        {"enable_backprop": False},
    ],
    ids=str,
)
def test_what_no_simulation_tells_is_not_predicted(levels):
    assert rehearsed(workload, {"k": 2, **levels}, S, THRESHOLDS) is None


def test_what_cannot_be_recorded_is_not_predicted():
    def twice(trial):
        x = Variable(trial.rng.standard_normal(8))
        square(square(x)).backward(create_graph=True)

    assert rehearsed(twice, {}, S, THRESHOLDS) is None


def cycles(trial):
    for _ in trial.steps(10):
        own = [Variable(trial.rng.standard_normal(S // 8))]
        own.append(own)
        del own


@pytest.mark.parametrize("gc", ["off", "every=4"])
def test_cycles_of_the_workloads_own_are_predicted_where_it_is_known_when_they_are_collected(gc):
    predicted = rehearsed(cycles, {"gc": gc}, S, THRESHOLDS)
    peak, end = measured(cycles, {}, gc)
    assert (predicted.peak_bytes("traced"), predicted.end_bytes("traced")) == (peak, end)


def test_cycles_of_the_workloads_own_that_python_collects_are_not_predicted():
    assert rehearsed(cycles, {"gc": "default"}, S, THRESHOLDS) is None


def test_garbage_that_is_collected_between_steps_is_predicted():
    every = {"references": "strong", "gc": "every=2", "k": 5}
    predicted = rehearsed(workload, every, S, THRESHOLDS)
    peak, end = measured(workload, {"references": "strong"}, "every=2", k=5)
    assert abs(predicted.peak_bytes("traced") - peak) <= 16
    assert predicted.end_bytes("traced") == end


def test_whether_python_comes_to_collect_hangs_on_the_thresholds_of_the_trial():
    strong = {"references": "strong", "gc": "default", "k": 5}
    assert rehearsed(workload, strong, S, {**THRESHOLDS, "gc_threshold0": 50}) is None
    assert rehearsed(workload, strong, S, {**THRESHOLDS, "gc_threshold0": 50_000}) is not None


def of_a_kept_gradient(trial):
    y = exp(exp(Variable(trial.rng.standard_normal(S // 8))))
    y.backward()
    return y.grad


def of_checkpoints(trial):
    y = checkpoint(lambda x: exp(exp(x)), Variable(trial.rng.standard_normal(S // 8)))
    y.backward()
    return y


@pytest.mark.parametrize(
    ("workload", "toggles"),
    [
        (of_a_kept_gradient, {"retain_grad": True}),
        (of_checkpoints, {"accumulation": "in_place"}),
        (of_checkpoints, {"references": "strong"}),
    ],
)
def test_a_toggle_that_the_plain_recording_does_not_stand_for_has_one_of_its_own(workload, toggles):
    predicted = rehearsed(workload, {**toggles, "gc": "off"}, S, THRESHOLDS)
    peak, end = measured(workload, toggles, "off")
    assert abs(predicted.peak_bytes("traced") - peak) <= 16
    assert predicted.end_bytes("traced") == end


def test_of_what_the_workload_prints_and_warns_of_nothing_is_shown(capfd):
    def printing(trial):
        print("at work")
        return exp(Variable(np.full(4, 1e6)))

    assert rehearsed(printing, {}, S, THRESHOLDS)
    assert capfd.readouterr() == ("", "")


def test_a_workload_that_raises_is_told_of():
    def raising(trial):
        raise ValueError("no such thing")

    with pytest.raises(WorkloadRaisedError, match=r"^it raises ValueError: no such thing$"):
        rehearsed(raising, {}, S, THRESHOLDS)


def test_what_the_workload_draws_is_what_it_draws_in_a_trial():
    drawn = []

    def drawing(trial):
        drawn.append(trial.rng.integers(1 << 60))
        return Variable(np.ones(S // 8))

    rehearsed(drawing, {}, S, THRESHOLDS, seed=7)
    assert drawn == [np.random.default_rng(7).integers(1 << 60)]
