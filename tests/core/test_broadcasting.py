"""The way back through broadcasting, for every pair of shapes that broadcast."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from toolkit import add, broadcast_to, check_gradient, div, matmul, mul, sub, sum_to
from toolkit.core.broadcasting import reduce_to

two_shapes = mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3)
two_matrices = mutually_broadcastable_shapes(
    signature=np.matmul.signature, max_dims=2, min_side=0, max_side=3
)


def numbers(shape, start=0):
    """Return numbers of that shape, all different, of both signs, and none near 0."""
    count = np.arange(np.prod(shape, dtype=int)).reshape(shape) + start
    return (1 + np.sin(1.0 + count) ** 2) * np.where(count % 3, 1, -1)


@given(two_shapes)
def test_reducing_is_the_transpose_of_broadcasting(shapes):
    shape, whole = shapes.input_shapes[0], shapes.result_shape
    x, gradient = numbers(shape), numbers(whole, start=7)
    reduced = reduce_to(gradient, shape)
    assert reduced.shape == shape
    np.testing.assert_allclose(np.vdot(np.broadcast_to(x, whole), gradient), np.vdot(x, reduced), atol=1e-12)


def test_what_fits_is_handed_on_untouched():
    gradient = np.ones((2, 3))
    assert reduce_to(gradient, (2, 3)) is gradient
    assert reduce_to(gradient, (2, 3), gradient.dtype) is gradient


@pytest.mark.parametrize("shape", [(2, 3), (3,), ()])
def test_the_dtype_before_promotion_comes_back(shape):
    assert reduce_to(np.ones((2, 3)), shape).dtype == np.float64
    assert reduce_to(np.ones((2, 3)), shape, np.dtype(np.float32)).dtype == np.float32
    assert reduce_to(np.ones((2, 3), np.float32), shape).dtype == np.float32


@pytest.mark.parametrize("function", [add, sub, mul, div], ids=lambda function: function.__name__)
@given(two_shapes)
def test_gradients_of_arithmetic(function, shapes):
    check_gradient(function, *[numbers(shape, start=5 * i) for i, shape in enumerate(shapes.input_shapes)])


@given(two_shapes)
def test_gradients_of_broadcast_to(shapes):
    check_gradient(lambda x: broadcast_to(x, shapes.result_shape), numbers(shapes.input_shapes[0]))


@given(two_shapes)
def test_gradients_of_sum_to(shapes):
    check_gradient(lambda x: sum_to(x, shapes.input_shapes[0]), numbers(shapes.result_shape))


@given(two_matrices)
def test_gradients_of_matmul(shapes):
    check_gradient(matmul, *[numbers(shape, start=5 * i) for i, shape in enumerate(shapes.input_shapes)])
