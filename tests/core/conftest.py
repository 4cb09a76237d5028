"""What the tests of the core share."""

import gc
from collections import Counter

import pytest

from toolkit.core.events import Listener, listening


@pytest.fixture
def no_collector():
    """Only reference counts free anything, and what earlier tests left is out of the way."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class _Visits(Listener):
    def __init__(self):
        self.of = Counter()

    def backward_step(self, function, output_gradients, input_gradients):
        self.of[function] += 1


@pytest.fixture
def visits():
    """Count, in `visits.of`, how often a backward pass comes to each function."""
    with listening(_Visits()) as counter:
        yield counter
