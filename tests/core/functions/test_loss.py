"""Losses."""

import numpy as np
import pytest

from toolkit import Variable, cross_entropy, log_softmax, mean_squared_error

X = np.sin(1.7 * np.arange(12.0)).reshape(4, 3)
CLASSES = np.array([0, 2, 1, 1])

GRADIENTS = {
    "cross_entropy": (lambda x: cross_entropy(x, CLASSES), X),
    "cross_entropy of one": (lambda x: cross_entropy(x, CLASSES[:1]), X[:1]),
    "mean_squared_error": (mean_squared_error, X, X[::-1].copy()),
    "mean_squared_error, broadcast": (mean_squared_error, X, X[0]),
}


def test_cross_entropy_is_the_mean_over_the_right_classes():
    expected = -log_softmax(X).data[np.arange(4), CLASSES].mean()
    np.testing.assert_allclose(cross_entropy(X, CLASSES).data, expected)


def test_a_sure_and_right_answer_costs_nothing():
    x = Variable(np.array([[1000.0, 0.0]]))
    y = cross_entropy(x, np.array([0]))
    y.backward()
    assert y.data == 0.0
    np.testing.assert_array_equal(x.grad, [[0.0, 0.0]])


def test_mean_squared_error():
    assert mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])).data == 2.0


def test_a_python_number_promotes_neither_side_of_a_mean_squared_error():
    x = Variable(np.ones(2, np.float32))
    assert mean_squared_error(x, 2.0).dtype == mean_squared_error(2.0, x).dtype == np.float32


@pytest.mark.parametrize(
    ("x", "classes"),
    [(X, CLASSES[:2]), (X, CLASSES * 1.0), (X[0], CLASSES), (X[:0], CLASSES[:0]), (X, CLASSES[:, None])],
)
def test_what_does_not_fit_is_refused(x, classes):
    with pytest.raises(ValueError, match="cross_entropy takes scores of shape"):
        cross_entropy(x, classes)


def test_a_class_that_is_not_there_is_refused():
    with pytest.raises(IndexError):
        cross_entropy(X, CLASSES + 2)
    with pytest.raises(IndexError, match="takes classes from 0, not -2"):
        cross_entropy(X, CLASSES * 0 - 2)
