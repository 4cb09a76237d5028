"""Softmax and its logarithm."""

import numpy as np
import pytest

from toolkit import Variable, log_softmax, softmax

X = np.sin(1.7 * np.arange(24.0)).reshape(2, 3, 4)

GRADIENTS = {
    f"{function.__name__} axis={axis}": (lambda x, function=function, axis=axis: function(x, axis), X)
    for function in (softmax, log_softmax)
    for axis in (0, 1, -1)
}


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_values(axis):
    y = softmax(X, axis).data
    np.testing.assert_allclose(y, np.exp(X) / np.exp(X).sum(axis=axis, keepdims=True), rtol=1e-14)
    np.testing.assert_allclose(log_softmax(X, axis).data, np.log(y), rtol=1e-13)


def test_large_scores_overflow_nowhere():
    x = Variable(np.array([[1000.0, 0.0, -1000.0]]))
    np.testing.assert_array_equal(softmax(x).data, [[1.0, 0.0, 0.0]])
    y = log_softmax(x)
    np.testing.assert_array_equal(y.data, [[0.0, -1000.0, -2000.0]])
    y.backward()
    np.testing.assert_array_equal(x.grad, [[-2.0, 1.0, 1.0]])


def test_an_axis_that_is_not_there_is_refused():
    with pytest.raises(np.exceptions.AxisError):
        softmax(X, 3)
