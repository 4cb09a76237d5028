"""Functions of one array that work element by element."""

import numpy as np
import pytest

from toolkit import Variable, exp, gradients, log, relu, sigmoid, square, tanh

X = np.array([[0.3, -1.2, 2.0], [-0.4, 1.1, -3.0]])

GRADIENTS = {
    "square": (square, X),
    "square 0-d": (square, np.array(2.0)),
    "exp": (exp, X),
    "exp 0-d": (exp, np.array(2.0)),
    "log": (log, np.abs(X)),
    "log 0-d": (log, np.array(2.0)),
    "tanh": (tanh, X),
    "tanh 0-d": (tanh, np.array(0.5)),
    "relu": (relu, X),
    "relu 0-d": (relu, np.array(2.0)),
    "sigmoid": (sigmoid, X),
    "sigmoid 0-d": (sigmoid, np.array(-0.5)),
}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (square, np.square(X)),
        (exp, np.exp(X)),
        (tanh, np.tanh(X)),
        (relu, np.where(X > 0, X, 0)),
        (sigmoid, 1 / (1 + np.exp(-X))),
    ],
    ids=["square", "exp", "tanh", "relu", "sigmoid"],
)
def test_values(function, expected):
    np.testing.assert_allclose(function(X).data, expected, rtol=1e-15)


def test_values_of_log():
    np.testing.assert_array_equal(log(np.exp(X)).data, np.log(np.exp(X)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_overflows_nowhere(dtype):
    largest = np.finfo(dtype).max
    x = Variable(np.array([-np.inf, -largest, -1000, 0, 1000, largest, np.inf], dtype))
    y = sigmoid(x)
    np.testing.assert_array_equal(y.data, np.array([0, 0, 0, 0.5, 1, 1, 1], dtype), strict=True)
    y.backward()
    np.testing.assert_array_equal(x.grad, np.array([0, 0, 0, 0.25, 0, 0, 0], dtype), strict=True)


def test_sigmoid_is_exact_in_its_lower_tail():
    x = Variable(np.array([-40.0, -300.0]))
    y = sigmoid(x)
    np.testing.assert_allclose(y.data, np.exp(x.data), rtol=1e-15)
    y.backward()
    np.testing.assert_allclose(x.grad, np.exp(x.data), rtol=1e-15)


def test_sigmoid_passes_on_what_is_not_a_number():
    assert np.isnan(sigmoid(np.array([np.nan])).data)


def test_tanh_saturates_in_silence():
    x = Variable(np.array([-1000.0, 1000.0]))
    y = tanh(x)
    y.backward()
    np.testing.assert_array_equal(y.data, [-1.0, 1.0])
    np.testing.assert_array_equal(x.grad, [0.0, 0.0])


def test_the_gradient_of_relu_at_its_kink_is_zero():
    x = Variable(np.array([-1.0, -0.0, 0.0, 1.0]))
    relu(x).backward()
    np.testing.assert_array_equal(x.grad, [0.0, 0.0, 0.0, 1.0])


def test_relu_stops_what_is_infinite():
    x = Variable(np.array([-1.0, 1.0]))
    y = relu(x)
    y.grad = np.array([np.inf, np.inf])
    y.backward()
    np.testing.assert_array_equal(x.grad, [0.0, np.inf])


def test_log_warns_as_numpy_does():
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        log(np.array([0.0]))


@pytest.mark.parametrize("x", [0.0, 1e-9, -1e-9])
def test_higher_derivatives_of_sigmoid_about_its_middle(x):
    x = Variable(np.array(x))
    y = sigmoid(x)
    for expected in (1 / 4, 0.0, -1 / 8, 0.0, 1 / 4):
        (y,) = gradients(y, [x], create_graph=True)
        np.testing.assert_allclose(y.data, expected, atol=1e-8)
