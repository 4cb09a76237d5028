"""Sums and means."""

import numpy as np
import pytest

from toolkit import Variable, mean, sum

X = np.array([[[0.3, -1.2, 2.0], [-0.4, 1.1, -3.0]]]) * np.array([1.0, 2.0, -1.0, 0.5]).reshape(4, 1, 1)

AXES = [None, 0, 2, -1, (), (0,), (0, 2), (-1, 0), (2, 1, 0)]

GRADIENTS = {
    f"{function.__name__} axis={axis} keepdims={keepdims}": (
        lambda x, function=function, axis=axis, keepdims=keepdims: function(x, axis, keepdims),
        X,
    )
    for function in (sum, mean)
    for axis in AXES
    for keepdims in (False, True)
} | {"sum 0-d": (sum, np.array(2.0)), "mean 0-d": (mean, np.array(2.0))}


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_those_of_numpy(axis, keepdims, dtype):
    x = Variable(X.astype(dtype))
    for y, expected in (
        (x.sum(axis=axis, keepdims=keepdims), x.data.sum(axis=axis, keepdims=keepdims)),
        (x.mean(axis=axis, keepdims=keepdims), x.data.mean(axis=axis, keepdims=keepdims)),
    ):
        np.testing.assert_array_equal(y.data, expected, strict=True)


@pytest.mark.parametrize("function", [sum, mean])
def test_the_gradient_is_a_read_only_view_that_nothing_writes_to(function):
    x = Variable(X)
    y = function(x)
    y.backward()
    first = x.grad
    assert not first.flags.writeable
    assert first.strides == (0, 0, 0)
    copy = first.copy()
    function(x).backward()
    np.testing.assert_array_equal(first, copy)
    np.testing.assert_array_equal(x.grad, 2 * copy)


def test_the_sum_of_nothing_is_zero():
    x = Variable(np.ones((0, 3)))
    y = x.sum(axis=0)
    np.testing.assert_array_equal(y.data, np.zeros(3))
    y.backward()
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize("axis", [0, (0, 1), None, -2])
def test_the_mean_of_nothing_is_refused(axis):
    with pytest.raises(ValueError, match=r"nothing to average over axis .* of shape \(0, 3\)"):
        mean(np.ones((0, 3)), axis)


def test_means_of_something_may_be_none():
    x = Variable(np.ones((0, 3)))
    y = x.mean(axis=1)
    assert y.shape == (0,)
    y.backward()
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize("function", [sum, mean])
@pytest.mark.parametrize("shape", [(2, 3), (0, 3)])
def test_an_axis_that_is_not_there_or_comes_twice_is_refused(function, shape):
    x = np.ones(shape)
    with pytest.raises(np.exceptions.AxisError, match="axis 2 is out of bounds"):
        function(x, 2)
    with pytest.raises(ValueError, match="duplicate value in 'axis'"):
        function(x, (0, -2))


def test_the_mean_of_more_than_half_precision_can_count_has_a_gradient():
    x = Variable(np.ones(100_000, np.float16))
    x.mean().backward()
    np.testing.assert_allclose(x.grad[:2], 1e-5, rtol=0.01)
