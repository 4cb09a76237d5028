"""Checkpointing: the same gradients, in the memory and with the evaluations that theory says."""

import sys
import threading
import tracemalloc
from math import comb

import numpy as np
import pytest

from toolkit import (
    Variable,
    checkpoint,
    checkpoint_binomial,
    checkpoint_every,
    dropout,
    gradients,
    matmul,
    no_grad,
    sigmoid,
    square,
    tanh,
    using_config,
)
from toolkit.analysis.predictions import binomial_checkpoints, checkpoints_every
from toolkit.core import events
from toolkit.core.binomial import advances, first_part
from toolkit.core.events import Listener, listening
from toolkit.probes.traced import tracing_arrays

N = 40_000
S = 8 * N


class Calls(Listener):
    def __init__(self):
        self.count = 0

    def called(self, function, inputs, outputs):
        self.count += type(function).__name__ in ("Square", "Tanh")


def leaf():
    return Variable(np.full(N, 0.999))


def run(chain):
    """Go forward and backward, and return the gradient, the peak in S and how often the steps were evaluated."""
    x = leaf()
    with listening(Calls()) as calls:
        y = chain(x)
        y.backward()
    expected = x.grad
    del y
    x = leaf()
    with tracing_arrays():
        y = chain(x)
        y.backward()
        peak = tracemalloc.get_traced_memory()[1]
    np.testing.assert_array_equal(x.grad, expected)
    return x.grad, (peak + S) / S, calls.count


def plain(k):
    def chain(x):
        for _ in range(k):
            x = square(x)
        return x

    return chain


@pytest.mark.parametrize(
    ("k", "every"), [(1, 1), (9, 3), (16, 4), (16, 16), (16, 1), (10, 4), (3, 5), (100, 10)]
)
def test_parts_of_a_chain(no_collector, k, every):
    expected, _, _ = run(plain(k))
    found, peak, evaluations = run(lambda x: checkpoint_every([square] * k, x, every))
    np.testing.assert_array_equal(found, expected)
    prediction = checkpoints_every(k, every, S)
    assert peak == pytest.approx(prediction.peak_arrays, abs=1e-3)
    assert evaluations == prediction.metrics["forward_evaluations_count"]


def test_the_root_is_what_needs_the_least(no_collector):
    peaks = {
        every: run(lambda x, every=every: checkpoint_every([square] * 36, x, every))[1]
        for every in range(1, 37)
    }
    assert min(peaks.values()) == pytest.approx(run(lambda x: checkpoint_every([square] * 36, x))[1], abs=0.1)


@pytest.mark.parametrize("states", range(1, 9))
@pytest.mark.parametrize("steps", [1, 2, 5, 20, 79])
def test_the_number_of_advances_is_the_least_that_there_is(steps, states):
    best = {(one, c): 0 for one in (0, 1) for c in range(1, states + 1)}
    for length in range(2, steps + 1):
        for c in range(1, states + 1):
            best[length, c] = min(
                [length * (length - 1) // 2]
                + [part + best[part, c] + best[length - part, c - 1] for part in range(1, length) if c > 1]
            )
    assert advances(steps, states) == best[steps, states]
    if steps > 1 and states > 1:
        part = first_part(steps, states)
        assert part + advances(part, states) + advances(steps - part, states - 1) == best[steps, states]


@pytest.mark.parametrize(("k", "states"), [(1, 1), (5, 1), (10, 2), (10, 3), (30, 3), (100, 4), (6, 9)])
def test_the_binomial_schedule(no_collector, k, states):
    expected, _, _ = run(plain(k))
    found, peak, evaluations = run(lambda x: checkpoint_binomial([square] * k, x, states))
    np.testing.assert_array_equal(found, expected)
    prediction = binomial_checkpoints(k, states, S)
    assert peak == pytest.approx(prediction.peak_arrays, abs=1e-3)
    assert evaluations == prediction.metrics["forward_evaluations_count"]


def _network(rng):
    weights = [Variable(rng.standard_normal((8, 8))) for _ in range(6)]
    return weights, [lambda h, w=w: tanh(matmul(h, w)) for w in weights]


SCHEDULES = {
    "none": lambda steps, x: _through(steps, x),
    "every 2": lambda steps, x: checkpoint_every(steps, x, 2),
    "the root": checkpoint_every,
    "binomial": lambda steps, x: checkpoint_binomial(steps, x, 2),
}


def _through(steps, x):
    for step in steps:
        x = step(x)
    return x


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"saves": "needed"},
        {"retain_graph": False},
        {"references": "strong"},
        {"accumulation": "in_place"},
    ],
    ids=str,
)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_parameters_from_outside_have_the_gradients_of_the_plain_way(schedule, settings):
    found = {}
    for name in ("none", schedule):
        rng = np.random.default_rng(0)
        weights, steps = _network(rng)
        x = Variable(rng.standard_normal((4, 8)))
        with using_config(**settings):
            SCHEDULES[name]([*steps, steps[0]], x).sum().backward()
        found[name] = [x.grad, *[w.grad for w in weights]]
    for one, other in zip(found[schedule], found["none"], strict=True):
        np.testing.assert_array_equal(one, other)


def test_rounded_storage_keeps_rounded_checkpoints():
    x = Variable(np.linspace(0.1, 1.0, 7))
    with using_config(storage="float32"):
        y = checkpoint_every([sigmoid] * 4, x, 2)
        assert y.creator.inputs[0].rounded.array.dtype == np.float32
    y.backward()
    plain_x = Variable(x.data)
    _through([sigmoid] * 4, plain_x).backward()
    np.testing.assert_allclose(x.grad, plain_x.grad, rtol=1e-6)


def test_an_intermediate_variable_from_outside_passes_its_gradient_on():
    w = Variable(np.array(3.0))
    a = square(w)
    x = Variable(np.array(2.0))
    y = checkpoint(lambda x: x * a, x)
    y.backward()
    assert (x.grad, w.grad) == (9.0, 12.0)


class Lazy:
    """A layer that makes its parameter at the first call, where a variable of which nothing is kept was before."""

    w = None

    def __call__(self, x):
        h = tanh(square(square(x)))
        if self.w is None:
            self.w = Variable(np.full(3, 2.0))
        return h * self.w


@pytest.mark.parametrize("schedule", ["every 2", "binomial"])
def test_a_parameter_that_is_made_inside_has_its_gradient(schedule):
    layers = [Lazy() for _ in range(5)]
    x = Variable(np.full(3, 0.5))
    SCHEDULES[schedule](layers, x).sum().backward()
    found = [x.grad, *[layer.w.grad for layer in layers]]
    x.cleargrad()
    for layer in layers:
        layer.w.cleargrad()
    _through(layers, x).sum().backward()
    for one, expected in zip(found, [x.grad, *[layer.w.grad for layer in layers]], strict=True):
        np.testing.assert_array_equal(one, expected)


def test_several_inputs_and_outputs():
    x0, x1 = Variable(np.array(2.0)), Variable(np.array(3.0))
    y0, y1 = checkpoint(lambda a, b: (a * b, a + b), x0, x1)
    (y0 * y1).backward()
    # x0 x1 (x0 + x1)
    assert (x0.grad, x1.grad) == (21.0, 16.0)


@pytest.mark.parametrize("storage", ["exact", "float32"])
@pytest.mark.parametrize("make", [lambda x: x, square], ids=["leaf", "made"])
def test_an_input_that_comes_more_than_once_has_its_gradient_once(make, storage):
    def both(use):
        x = Variable(np.array([3.0]))
        h = make(x)
        with using_config(storage=storage):
            (use(lambda a, b: a * b, h, h) + use(lambda a, b, c: a * b * c, h, h, h)).backward()
        return x.grad

    np.testing.assert_array_equal(both(checkpoint), both(lambda f, *xs: f(*xs)))


def test_so_it_does_where_the_gradient_is_differentiated():
    x = Variable(np.array([3.0]))
    (first,) = gradients(checkpoint(lambda a, b: a * a * b, x, x), [x], create_graph=True)
    assert (first.data, gradients(first, [x])) == (27.0, (18.0,))


def test_gradients_of_gradients_go_through_a_checkpoint():
    x = Variable(np.array(0.5))
    (first,) = gradients(checkpoint(lambda x: tanh(square(x)), x), [x], create_graph=True)
    plain = Variable(np.array(0.5))
    (expected,) = gradients(tanh(square(plain)), [plain], create_graph=True)
    assert gradients(first, [x]) == gradients(expected, [plain])
    with pytest.raises(RuntimeError, match="no gradient of its gradient"):
        gradients(checkpoint_binomial([tanh], x, 1), [x], create_graph=True)


def test_outputs_that_have_no_gradient_are_left_alone():
    def compute(x):
        with no_grad():
            largest = x.max()
        return square(x), x.astype(int), largest

    x = Variable(np.array([1.0, 3.0]))
    y, positions, largest = checkpoint(compute, x)
    np.testing.assert_array_equal(positions.data, [1, 3])
    assert largest.data == 3.0
    y.backward()
    np.testing.assert_array_equal(x.grad, [2, 6])


def test_what_other_threads_compute_is_no_part_of_a_checkpoint():
    rng = np.random.default_rng(0)
    stop, failed = threading.Event(), []

    def others():
        try:
            while not stop.is_set():
                checkpoint(lambda x: dropout(x, 0.5, rng), np.ones(3), rng=rng)
        except ValueError as error:
            failed.append(error)

    before = events.listeners
    thread = threading.Thread(target=others)
    switched = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        thread.start()
        for _ in range(100):
            x = Variable(np.ones(2))
            y = checkpoint_every([square] * 100, x, 100)
            assert y.creator.inputs == (x,)
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(switched)
    assert failed == []
    assert events.listeners == before


def test_without_a_graph_nothing_is_kept():
    with no_grad():
        for y in (checkpoint(square, np.ones(2)), checkpoint_binomial([square], np.ones(2), 1)):
            assert (y.creator, y.untracked) == (None, True)


def test_what_is_drawn_is_drawn_again():
    def gradient(use):
        rng = np.random.default_rng(0)
        x = Variable(np.ones(100))
        y = use(lambda x: dropout(square(x), 0.5, rng), x, rng)
        after = rng.random()
        y.backward()
        assert rng.random() != after
        return x.grad, after

    first, after = gradient(lambda f, x, rng: checkpoint(f, x, rng=rng))
    second, also = gradient(lambda f, x, rng: f(x))
    np.testing.assert_array_equal(first, second)
    assert after == also


def test_drawing_by_a_generator_that_is_not_told_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"Dropout draws at random inside of a checkpoint.*as rng"):
        checkpoint(lambda x: dropout(x, 0.5, rng), np.ones(2))


@pytest.mark.parametrize(
    "call",
    [
        lambda: checkpoint_every([square], np.ones(2), 0),
        lambda: checkpoint_binomial([], np.ones(2), 1),
        lambda: checkpoint_binomial([square], np.ones(2), 0),
    ],
)
def test_a_schedule_that_is_none_is_refused(call):
    with pytest.raises(ValueError, match=r"at least|or more"):
        call()


def test_a_second_pass_adds_the_same_again():
    x = Variable(np.array([0.9, 1.1]))
    y = checkpoint_binomial([square] * 9, x, 3)
    y.backward()
    once = x.grad
    y.backward()
    np.testing.assert_allclose(x.grad, 2 * once, rtol=1e-12)


def test_the_numbers_of_the_paper():
    assert advances(100, 4) == 5 * 100 - comb(9, 5) == 374
