"""where and clip."""

import numpy as np
import pytest

from toolkit import Variable, clip, where

X = np.array([[0.3, -1.2, 2.0], [-0.4, 1.1, -3.0]])
B = np.array([5.0, 6.0, 7.0])
CONDITION = X > 0

GRADIENTS = {
    "where": (lambda a, b: where(CONDITION, a, b), X, X * 2),
    "where, broadcast": (lambda a, b: where(CONDITION, a, b), X, B),
    "where, a scalar": (lambda a: where(CONDITION, a, 1.0), X),
    "clip": (lambda x: clip(x, -1.0, 1.5), X),
    "clip from below": (lambda x: clip(x, lowest=0.0), X),
    "clip from above": (lambda x: clip(x, highest=0.0), X),
    "clip 0-d": (lambda x: clip(x, 0.0, 1.0), np.array(0.5)),
}


def test_values_are_those_of_numpy():
    np.testing.assert_array_equal(where(CONDITION, X, B).data, np.where(CONDITION, X, B))
    np.testing.assert_array_equal(clip(X, -1, 1.5).data, np.clip(X, -1, 1.5))
    np.testing.assert_array_equal(clip(X, highest=0).data, np.minimum(X, 0))


def test_the_gradient_passes_on_a_bound_and_not_beyond():
    x = Variable(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
    clip(x, -1.0, 1.0).backward()
    np.testing.assert_array_equal(x.grad, [0.0, 1.0, 1.0, 1.0, 0.0])


def test_what_was_not_chosen_stops_what_is_infinite():
    x = Variable(np.array([1.0, 2.0]))
    y = where(np.array([True, False]), x, 0.0)
    y.grad = np.array([1.0, np.inf])
    y.backward()
    np.testing.assert_array_equal(x.grad, [1.0, 0.0])


def test_no_bound_is_refused():
    with pytest.raises(ValueError, match="clip needs a bound"):
        clip(X)
