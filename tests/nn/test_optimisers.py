"""Optimisers: what they compute, that they do so in place, and what they keep."""

import tracemalloc

import numpy as np
import pytest

from toolkit import Variable
from toolkit.nn import Optimiser, Parameter
from toolkit.nn.adam import Adam
from toolkit.nn.momentum import Momentum
from toolkit.nn.sgd import SGD

N = 100_000
ALL = pytest.mark.parametrize("optimiser", [SGD, Momentum, Adam])


def steps(optimiser, count, **settings):
    """Go down x**2 / 2 from 1 and 2, and return every place."""
    p = Parameter(np.array([1.0, 2.0]))
    trained = optimiser([p], 0.1, **settings)
    places = []
    for _ in range(count):
        p.grad = p.data.copy()
        trained.step()
        places.append(p.data.copy())
    return places


def test_sgd_is_its_formula():
    np.testing.assert_allclose(steps(SGD, 2), [[0.9, 1.8], [0.81, 1.62]])


def test_momentum_is_its_formula():
    # velocity: -0.1, then 0.5 * -0.1 - 0.1 * 0.9 = -0.14.
    np.testing.assert_allclose(steps(Momentum, 2, momentum=0.5), [[0.9, 1.8], [0.76, 1.52]])


def test_adam_is_its_algorithm():
    x = np.array([1.0, 2.0])
    mean = square = np.zeros(2)
    for t, found in enumerate(steps(Adam, 5), start=1):
        mean, square = 0.9 * mean + 0.1 * x, 0.999 * square + 0.001 * x**2
        x = x - 0.1 * mean / (1 - 0.9**t) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(found, x, rtol=1e-12)


@ALL
def test_it_works_in_place_and_leaves_the_gradient_alone(optimiser):
    data = np.ones(3, np.float32)
    p, without = Parameter(data), Parameter(np.ones(3))
    p.grad = gradient = np.full(3, 2.0, np.float32)
    trained = optimiser([p, without], 0.1)
    trained.step()
    assert p.data is data
    assert (data < 1).all()
    assert data.dtype == np.float32
    np.testing.assert_array_equal(gradient, np.full(3, 2.0))
    np.testing.assert_array_equal(without.data, np.ones(3))
    trained.cleargrads()
    assert p.grad is None


@pytest.mark.parametrize(("optimiser", "kept"), [(SGD, 0), (Momentum, 1), (Adam, 2)])
def test_what_it_keeps_and_what_a_step_needs(optimiser, kept):
    p = Parameter(np.ones(N))
    p.grad = np.ones(N)
    trained = optimiser([p], 0.1)
    tracemalloc.start()
    for _ in range(2):
        trained.step()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / p.data.nbytes == pytest.approx(kept, abs=0.02)
    assert peak / p.data.nbytes == pytest.approx(kept + 1, abs=0.02)


@ALL
def test_a_recorded_gradient_serves_too(optimiser):
    p = Parameter(np.ones(2))
    (p * p).backward(create_graph=True)
    optimiser([p], 0.1).step()
    assert (p.data < 1).all()
    p.cleargrad()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: SGD([p], 0), "the rate must be above 0, not 0"),
        (lambda p: SGD([], 0.1), "no parameters to train"),
        (lambda p: Momentum([p], 0.1, momentum=1), "momentum is at least 0 and below 1"),
        (lambda p: Adam([p], 0.1, decay=1), "a decay is at least 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(Parameter(np.ones(1)))


def test_an_optimiser_that_changes_nothing_says_so():
    p = Variable(np.ones(1))
    p.grad = np.ones(1)
    with pytest.raises(NotImplementedError, match="Optimiser does not say how it changes"):
        Optimiser([p], 0.1).step()


@ALL
def test_a_parameter_may_be_a_single_number(optimiser):
    one, of_several = Parameter(np.array(2.0)), Parameter(np.array([2.0, 3.0]))
    trained = optimiser([one, of_several], 0.1)
    for _ in range(3):
        for p in (one, of_several):
            p.grad = p.data.copy()
        trained.step()
    assert one.data.shape == ()
    assert one.data == of_several.data[0] != 2.0
