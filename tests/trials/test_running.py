"""What a workload is given."""

import math

import numpy as np
import pytest

from toolkit.probes import Position
from toolkit.trials.running import RunningTrial


def running(seed=0, position=None, observe=lambda: None, end_step=lambda step, steps: None):
    return RunningTrial(seed, position or Position(), observe, end_step)


def test_the_generator_is_seeded_alike_in_every_replicate():
    draws = [running(seed).rng.standard_normal(5).tolist() for seed in (7, 7, 8)]
    assert draws[0] == draws[1] != draws[2]


def test_steps_tell_probes_where_the_workload_is():
    position = Position()
    assert position.step == -1
    seen = [(step, position.step) for step in running(position=position).steps(3)]
    assert seen == [(0, 0), (1, 1), (2, 2)]
    assert position.step == 2


def test_a_step_ends_when_the_next_is_asked_for_and_the_last_one_too():
    seen = []
    trial = running(end_step=lambda step, steps: seen.append((step, steps)))
    for step in trial.steps(3):
        seen.append(step)
    assert seen == [0, (0, 3), 1, (1, 3), 2, (2, 3)]


def test_a_step_that_is_broken_off_does_not_end():
    seen = []
    for _ in running(end_step=lambda *step: seen.append(step)).steps(3):
        break
    assert seen == []


def test_a_workload_can_ask_for_readings():
    asked = []
    running(observe=lambda: asked.append(True)).observe()
    assert asked == [True]


def test_metrics_of_its_own_are_kept():
    trial = running()
    trial.record(calls_count=3, loss=0.5)
    trial.record(calls_count=4, gradient=1e300)
    assert trial.recorded == {"calls_count": 4, "loss": 0.5, "gradient": 1e300}


@pytest.mark.parametrize(
    "value", [np.int64(1), np.float64(1), np.array(1.0), "1", None, True, [1], math.nan, math.inf, 2**63]
)
def test_what_no_store_can_hold_is_refused_by_name(value):
    trial = running()
    with pytest.raises((TypeError, ValueError), match="loss"):
        trial.record(loss=value)
    assert trial.recorded == {}


@pytest.mark.parametrize("name", ["predicted_loss", "wall_seconds"])
def test_names_of_the_toolkit_are_taken(name):
    trial = RunningTrial(0, Position(), lambda: None, lambda step, steps: None, taken={"wall_seconds"})
    with pytest.raises(ValueError, match=f"metric {name} is the toolkit's own"):
        trial.record(**{name: 1.0})
    assert trial.recorded == {}


@pytest.mark.parametrize("name", ["held_bytes", "calls_count"])
def test_bytes_and_counts_are_whole(name):
    with pytest.raises(TypeError, match=name):
        running().record(**{name: 1.0})
