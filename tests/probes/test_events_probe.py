"""The events probe counts what the core does between start and stop."""

import numpy as np
import pytest

from toolkit import Variable, add, no_grad, square
from toolkit.core import events
from toolkit.probes.events import PROBE


def diamond():
    a = square(Variable(np.array(2.0)))
    return add(square(a), square(a))


def test_it_counts_calls_and_backward_steps(position):
    probe = PROBE(position)
    diamond()
    probe.start()
    diamond().backward()
    with no_grad():
        diamond()
    probe.stop()
    diamond().backward()
    assert probe.metrics() == {"calls_count": 8, "backward_steps_count": 4}
    assert probe.series() == {}


def test_it_counts_anew_after_another_start(position):
    probe = PROBE(position)
    for _ in range(2):
        probe.start()
        diamond()
        probe.stop()
    assert probe.metrics()["calls_count"] == 4


def test_it_listens_no_more_after_the_stop_of_a_workload_that_failed(position):
    probe = PROBE(position)
    with pytest.raises(ZeroDivisionError):
        try:
            probe.start()
            diamond()
            raise ZeroDivisionError
        finally:
            probe.stop()
    assert not events.listeners
    assert probe.metrics()["calls_count"] == 4
