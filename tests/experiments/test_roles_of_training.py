"""What the captions of the role figures say of training: which arrays a graph keeps, counted by a ledger."""

import numpy as np
import pytest

from toolkit import using_config
from toolkit.planning import load_experiment
from toolkit.probes import Position
from toolkit.probes.ledger import Ledger

BATCH = 64


class Trial:
    """Enough of a trial for a workload that trains."""

    def __init__(self):
        self.rng = np.random.default_rng(0)
        self.position = Position()

    def steps(self, count):
        for self.position.step in range(count):
            yield self.position.step

    def record(self, **metrics):
        pass


@pytest.fixture
def followed():
    """Return a function that trains for three steps and returns the ledger that followed it."""
    pytest.importorskip("sklearn")

    def train(name, toggles, **levels):
        trial = Trial()
        ledger = Ledger(trial.position)
        ledger.start()
        try:
            with using_config(**toggles):
                held = load_experiment(name).workload(trial, steps=3, batch=BATCH, **levels)
        finally:
            ledger.stop()
        del held
        return ledger

    return train


@pytest.mark.parametrize(("mode", "arrays"), [("plain", 36), ("needed saved", 12), ("lean", 6)])
def test_a_perceptron_keeps_so_many_outputs_of_its_six_layers(followed, mode, arrays):
    activation = followed("training_mlp", {}, mode=mode, width=64).series()["event_activation_bytes"]
    # Beside them the last layer, ten wide, and two arrays at most that are under way.
    assert arrays <= max(activation) / (8 * BATCH * 64) < arrays + 2.5


def test_a_plain_convolutional_network_keeps_the_matrices_of_windows(followed):
    plain = followed("training_cnn", {}, checkpoints=False)
    size = 8 * BATCH * 8 * 8 * 8
    kept = [life.nbytes / size for life in plain.lives() if life.role == "activation"]
    assert {9 / 8, 9 / 4} <= set(kept)


def test_the_test_meets_the_whole_data_set_as_input(followed):
    inputs = followed("training_mlp", {}, mode="plain", width=64).series()["event_input_bytes"]
    assert max(inputs) >= 8 * 1797 * 64 > 3 * max(inputs[: len(inputs) // 4])
