"""Gradients of gradients: what they are, the cycles that they close through `grad`, and the way out."""

import gc
import weakref

import numpy as np
import pytest

from toolkit import Function, Variable, exp, gradients, mul, square, tanh, using_config


def test_the_second_derivative_of_a_polynomial():
    x = Variable(np.array(2.0))
    y = x**4 - 2 * x**2
    y.backward(create_graph=True)
    first = x.grad
    assert (type(first), first.data) == (Variable, 24.0)
    x.cleargrad()
    first.backward()
    assert x.grad == 44.0
    x.cleargrad()


def test_derivatives_of_any_order():
    x = Variable(np.array([0.3, -1.2]))
    y = exp(2 * x)
    for order in range(1, 5):
        (y,) = gradients(y, [x], create_graph=True)
        np.testing.assert_allclose(y.data, 2**order * np.exp(2 * x.data))


def test_newtons_method_finds_the_minimum():
    x = Variable(np.array(2.0))
    for _ in range(10):
        (first,) = gradients(x**4 - 2 * x**2, [x], create_graph=True)
        (second,) = gradients(first, [x])
        x.data = x.data - first.data / second
    assert x.data == pytest.approx(1.0, abs=1e-12)


def test_a_plain_pass_may_follow_a_recorded_one():
    x = Variable(np.array(3.0))
    y = square(x)
    y.backward(create_graph=True)
    y.backward()
    assert type(x.grad) is Variable
    assert x.grad.data == 12.0
    x.cleargrad()


def test_a_recorded_pass_is_recorded_also_where_the_graph_is_off():
    x = Variable(np.array(3.0))
    y = square(x)
    with using_config(enable_backprop=False):
        (first,) = gradients(y, [x], create_graph=True)
    assert gradients(first, [x]) == (2.0,)


def test_a_plain_pass_may_start_from_what_a_recorded_one_left():
    x = Variable(np.array([1.0, 2.0]))
    y = square(x)
    y.backward(retain_grad=True, create_graph=True)
    assert type(y.grad) is Variable
    x.cleargrad()
    y.backward()
    np.testing.assert_array_equal(x.grad, [2, 4])


class SineAndCosine(Function):
    def forward(self, x):
        return np.sin(x), np.cos(x)

    def backward(self, gy0, gy1):
        sine, cosine = SineAndCosine()(self.input_like(gy0))
        return cosine * gy0 - sine * gy1


@pytest.mark.parametrize("place", [0, 1])
def test_an_output_without_a_gradient_of_its_own_has_one_of_zeros(place):
    x = Variable(np.array(0.5))
    y = SineAndCosine()(x)[place]
    for derivative in (
        (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x))
        if place == 0
        else (
            lambda x: -np.sin(x),
            lambda x: -np.cos(x),
            np.sin,
        )
    ):
        (y,) = gradients(y, [x], create_graph=True)
        np.testing.assert_allclose(y.data, derivative(0.5))


def test_gradients_leave_every_grad_alone():
    x, w = Variable(np.array(3.0)), Variable(np.array(2.0))
    x.grad = kept = np.array(7.0)
    a = mul(x, w)
    y = square(a)
    assert gradients(y, [x, w, a]) == (None, None, 12.0)
    assert gradients(y, [x, w]) == (24.0, 36.0)
    assert x.grad is kept
    assert (w.grad, a.grad, y.grad) == (None, None, None)


def test_gradients_of_several_with_starts_of_their_own():
    x, other = Variable(np.array(3.0)), Variable(np.array(1.0))
    assert gradients([square(x), x * 5.0], [x, other], [np.array(2.0), np.array(1.0)]) == (17.0, None)


def _freed(work):
    """Return whether a variable that `work` makes is freed without the collector, and clean up."""
    gc.collect()
    gc.disable()
    try:
        ref = work()
        freed = ref() is None
        gc.collect()
        assert ref() is None
        return freed
    finally:
        gc.enable()


def _recorded(*, clear=False, functional=False):
    def work():
        x = Variable(np.ones(3))
        y = tanh(x)
        if functional:
            gradients(y, [x], create_graph=True)
        else:
            y.backward(create_graph=True)
        if clear:
            x.cleargrad()
        return weakref.ref(x)

    return work


def test_a_recorded_pass_closes_a_cycle_that_only_the_collector_frees():
    assert not _freed(_recorded())


def test_clearing_the_gradient_opens_it():
    assert _freed(_recorded(clear=True))


def test_gradients_close_none():
    assert _freed(_recorded(functional=True))


def test_a_plain_pass_closes_none():
    def work():
        x = Variable(np.ones(3))
        tanh(x).backward()
        return weakref.ref(x)

    assert _freed(work)


@pytest.mark.parametrize("settings", [{"saves": "needed"}, {"references": "strong"}])
def test_the_other_toggles_change_nothing(settings):
    with using_config(**settings):
        x = Variable(np.array(0.5))
        (first,) = gradients(tanh(x), [x], create_graph=True)
        (second,) = gradients(first, [x])
        t = np.tanh(0.5)
        np.testing.assert_allclose(second, -2 * t * (1 - t**2))
    gc.collect()


class OnArrays(Function):
    """A cube whose gradient looks at its input's data, which a recorded pass cannot follow."""

    def forward(self, x):
        return x**3

    def backward(self, gy):
        return 3 * self.inputs[0].data ** 2 * gy


def test_a_backward_that_reads_data_is_refused_where_it_would_be_wrong():
    x = Variable(np.array(2.0))
    y = OnArrays()(x)
    y.backward()
    assert x.grad == 12.0
    with pytest.raises(RuntimeError, match=r"this backward reads the data of an input.*input_like"):
        gradients(y, [x], create_graph=True)
