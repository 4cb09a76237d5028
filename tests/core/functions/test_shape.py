"""Other shapes for the same elements, and both directions of broadcasting."""

import numpy as np
import pytest

from toolkit import Variable, broadcast_to, reshape, sum_to, transpose

X = np.arange(24.0).reshape(2, 3, 4)

GRADIENTS = {
    "reshape": (lambda x: reshape(x, (4, 6)), X),
    "reshape -1": (lambda x: reshape(x, -1), X),
    "reshape to 0-d": (lambda x: reshape(x, ()), np.ones((1, 1))),
    "transpose": (transpose, X),
    "transpose axes": (lambda x: transpose(x, (1, 2, 0)), X),
    "transpose negative axes": (lambda x: transpose(x, (-1, 0, -2)), X),
    "transpose 0-d": (transpose, np.array(2.0)),
    "broadcast_to": (lambda x: broadcast_to(x, (2, 3, 4)), X[:1, :, :1]),
    "broadcast_to longer": (lambda x: broadcast_to(x, (2, 3)), np.array(2.0)),
    "broadcast_to an integer": (lambda x: broadcast_to(x, 3), np.array([2.0])),
    "broadcast_to the same": (lambda x: broadcast_to(x, (2, 3, 4)), X),
    "sum_to": (lambda x: sum_to(x, (3, 1)), X),
    "sum_to 0-d": (lambda x: sum_to(x, ()), X),
    "sum_to an integer": (lambda x: sum_to(x, 4), X),
    "sum_to the same": (lambda x: sum_to(x, (2, 3, 4)), X),
}


@pytest.mark.parametrize("shape", [(4, 6), (24,), (2, -1), (-1,), (1, 24, 1)])
def test_reshape_takes_sizes_or_a_tuple(shape):
    x = Variable(X)
    for y in (x.reshape(*shape), x.reshape(shape), reshape(x, shape)):
        np.testing.assert_array_equal(y.data, X.reshape(shape), strict=True)
        assert np.shares_memory(y.data, X)


def test_reshape_takes_an_integer():
    assert reshape(X, 24).shape == Variable(X).reshape(24).shape == (24,)


def test_reshape_refuses_another_number_of_elements():
    with pytest.raises(ValueError, match="cannot reshape array of size 24"):
        reshape(X, (5, 5))


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (-1, -3, -2)])
def test_transpose_takes_axes_or_a_tuple(axes):
    x = Variable(X)
    for y in (x.transpose(*axes), x.transpose(axes), transpose(x, axes)):
        np.testing.assert_array_equal(y.data, X.transpose(axes), strict=True)
        assert np.shares_memory(y.data, X)


def test_transpose_reverses_unless_told_otherwise():
    x = Variable(X)
    for y in (x.T, x.transpose(), transpose(x)):
        np.testing.assert_array_equal(y.data, X.T, strict=True)


def test_a_vector_can_be_transposed_by_its_one_axis():
    np.testing.assert_array_equal(Variable(np.arange(3.0)).transpose(0).data, np.arange(3.0))


@pytest.mark.parametrize("axes", [(0, 1), (0, 1, 1), (0, 1, 3)])
def test_transpose_wants_every_axis_once(axes):
    with pytest.raises(ValueError, match=r"axes|repeated|out of bounds"):
        transpose(X, axes)


def test_broadcasting_makes_a_view():
    x = np.ones((3, 1))
    y = broadcast_to(x, (2, 3, 4))
    assert y.shape == (2, 3, 4)
    assert np.shares_memory(y.data, x)
    with pytest.raises(ValueError, match="broadcast"):
        broadcast_to(x, (2, 2))


def test_what_was_broadcast_goes_on_through_other_functions():
    x = Variable(np.ones((3, 1)))
    y = broadcast_to(x, (3, 4)) * 2.0
    y.backward()
    np.testing.assert_array_equal(x.grad, np.full((3, 1), 8.0))


def test_summing_to_a_shape():
    np.testing.assert_array_equal(sum_to(X, (3, 1)).data, X.sum(axis=(0, 2)).reshape(3, 1))
    assert sum_to(X, X.shape).data is X
    assert sum_to(np.ones((0, 2)), (1, 2)).data.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("shape", [(2,), (3, 3), (1, 2, 3, 4), (2, 3, 0), (1, 1, 1, 1), (5, 1, 1)])
def test_there_is_no_sum_to_a_shape_that_does_not_broadcast_back(shape):
    with pytest.raises(ValueError, match=r"does not broadcast to \(2, 3, 4\), so there is no sum to it"):
        sum_to(X, shape)
