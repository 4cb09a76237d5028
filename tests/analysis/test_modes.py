"""Every mode on a training step of a perceptron: bytes as predicted, gradients equal, nothing saved at a price."""

import itertools
import tracemalloc

import numpy as np
import pytest

from toolkit import Config, Variable, cross_entropy, relu, using_config
from toolkit.analysis.simulation import Mode
from toolkit.analysis.simulation.engine import simulate
from toolkit.core.buffers import release_buffers
from toolkit.core.checksum import checksum
from toolkit.probes.traced import tracing_arrays
from toolkit.recording.recorder import record
from toolkit.trials.collecting import collecting

RNG = np.random.default_rng(0)
#: Wide enough that the results of its layers are large arrays, as `buffers` has it.
SIZES = (96, 80, 72, 10)
IMAGES, CLASSES = RNG.standard_normal((64, SIZES[0])), RNG.integers(0, 10, 64)
WEIGHTS = [RNG.standard_normal(shape) / 8 for shape in itertools.pairwise(SIZES)]
BIASES = [RNG.standard_normal(size) for size in SIZES[1:]]
#: numpy makes an array of a Python constant for a moment, and of each end of a comparison.
CONSTANT_BYTES = 16

LEVELS = Config.levels()
#: Of what a gradient is computed from there is a recording each; all else is simulated.
RECORDED = [
    dict(zip(("saves", "storage"), levels, strict=True))
    for levels in itertools.product(LEVELS["saves"], LEVELS["storage"])
]
SIMULATED = [
    dict(zip(("references", "retain_grad", "retain_graph", "accumulation"), levels, strict=True))
    for levels in itertools.product(
        *(LEVELS[name] for name in ("references", "retain_grad", "retain_graph", "accumulation"))
    )
]


def step():
    """Go forward and back once, and return the parameters with their gradients, and the loss."""
    weights, biases = ([Variable(array) for array in arrays] for arrays in (WEIGHTS, BIASES))
    x = Variable(IMAGES)
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        x = relu(x @ weight + bias)
    loss = cross_entropy(x @ weights[-1] + biases[-1], CLASSES)
    loss.backward()
    return [*weights, *biases], loss


def measured(**toggles):
    """Return the traced peak and end of a step, and the checksum of its gradients."""
    release_buffers()
    with using_config(**toggles), collecting("off"), tracing_arrays():
        parameters, loss = step()
        end, peak = tracemalloc.get_traced_memory()
        gradients = checksum([parameter.grad for parameter in parameters])
        del parameters, loss
    release_buffers()
    return peak, end, gradients


@pytest.fixture(scope="module")
def plain():
    step()
    return measured()


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda levels: "-".join(levels.values()))
def test_every_mode_of_a_training_step_is_predicted_and_finds_the_same_gradients(recorded, plain):
    recording = record(step, **recorded)
    gradients_found = set()
    for toggles in SIMULATED:
        peak, end, gradients = measured(**recorded, **toggles)
        simulated = simulate(recording, Mode(**toggles))
        assert abs(simulated.peak_bytes - peak) <= CONSTANT_BYTES, toggles
        assert simulated.end_bytes == end, toggles
        gradients_found.add(gradients)
        # To keep gradients, or cycles, takes memory; every other mode takes no more than the plain one.
        if toggles["references"] == "weak" and not toggles["retain_grad"]:
            assert peak <= plain[0] + CONSTANT_BYTES, toggles
            assert end <= plain[1], toggles
    assert len(gradients_found) == 1
    if recorded["storage"] == "exact":
        assert gradients_found == {plain[2]}


@pytest.mark.parametrize("saves", LEVELS["saves"])
def test_memory_that_is_used_again_finds_the_same_gradients(saves, plain):
    for toggles in SIMULATED:
        assert measured(saves=saves, buffers="reused", **toggles)[2] == plain[2], toggles
