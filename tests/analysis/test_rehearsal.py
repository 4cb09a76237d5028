"""A rehearsed prediction is what numpy allocates; where no simulation tells, there is none."""

import tracemalloc

import numpy as np
import pytest

from toolkit import Variable, square, using_config
from toolkit.analysis.rehearsal import rehearsed
from toolkit.probes import Position
from toolkit.probes.traced import tracing_arrays
from toolkit.trials.collecting import collecting, policy_of
from toolkit.trials.running import RunningTrial

S = 320_000


def workload(trial, *, k):
    for _ in trial.steps(3):
        x = y = Variable(trial.rng.standard_normal(S // 8))
        for _ in range(k):
            y = square(y)
        y.backward()
    return x, y


def measured(toggles, k):
    trial = RunningTrial(0, Position(), lambda: None, lambda *_: None)
    with using_config(**toggles), tracing_arrays():
        result = workload(trial, k=k)
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
    predicted = rehearsed(workload, {**toggles, "k": 5, "gc": gc}, S)
    with collecting(gc):
        peak, end = measured(toggles, 5)
    assert abs(predicted.peak_bytes("traced") - peak) <= 16
    assert predicted.end_bytes("traced") == end
    assert predicted.exact


@pytest.mark.parametrize(
    "levels",
    [
        # When the collector comes by itself hangs on single objects; at the end of the epoch nobody tells of it.
        {"references": "strong", "gc": "threshold=10"},
        {"references": "strong", "gc": "manual"},
        {"buffers": "reused"},
        {"traversal": "lifo"},
        {"enable_backprop": False},
    ],
    ids=str,
)
def test_what_no_simulation_tells_is_not_predicted(levels):
    assert rehearsed(workload, {"k": 2, **levels}, S) is None


def test_what_cannot_be_recorded_is_not_predicted():
    def twice(trial):
        x = Variable(trial.rng.standard_normal(8))
        square(square(x)).backward(create_graph=True)

    assert rehearsed(twice, {}, S) is None


def test_cycles_of_the_workloads_own_are_predicted_where_nothing_collects_them():
    def cycles(trial):
        for _ in trial.steps(10):
            own = [Variable(trial.rng.standard_normal(S // 8))]
            own.append(own)
            del own

    assert rehearsed(cycles, {"gc": "default"}, S) is rehearsed(cycles, {"gc": "every=2"}, S) is None
    off = rehearsed(cycles, {"gc": "off"}, S)
    assert (off.peak_arrays, off.end_arrays) == (10, 10)


def test_garbage_that_is_collected_between_steps_is_predicted():
    every = {"references": "strong", "gc": "every=2", "k": 5}
    predicted = rehearsed(workload, every, S)
    policy = policy_of("every=2")
    trial = RunningTrial(0, Position(), lambda: None, policy.end_step)
    with using_config(references="strong"), collecting("every=2"), tracing_arrays():
        result = workload(trial, k=5)
        end, peak = tracemalloc.get_traced_memory()
        del result
    assert abs(predicted.peak_bytes("traced") - peak) <= 16
    assert predicted.end_bytes("traced") == end


def test_what_the_workload_draws_is_what_it_draws_in_a_trial():
    drawn = []

    def drawing(trial):
        drawn.append(trial.rng.integers(1 << 60))
        return Variable(np.ones(S // 8))

    rehearsed(drawing, {}, S, seed=7)
    assert drawn == [np.random.default_rng(7).integers(1 << 60)]
