"""Casting."""

import numpy as np
import pytest

from toolkit import Variable, astype

X = np.array([[0.3, -1.2, 2.0], [-0.4, 1.1, -3.0]])

GRADIENTS = {
    "to its own": (lambda x: astype(x, x.dtype), X),
    "0-d": (lambda x: x.astype(x.dtype), np.array(0.3)),
}


@pytest.mark.parametrize(("here", "there"), [("f4", "f8"), ("f8", "f4"), ("f8", "f2")])
def test_values_are_cast_and_gradients_come_back(here, there):
    x = Variable(X.astype(here))
    y = x.astype(there)
    np.testing.assert_array_equal(y.data, x.data.astype(there), strict=True)
    y.grad = np.full(X.shape, 0.1, there)
    y.backward()
    np.testing.assert_array_equal(x.grad, np.full(X.shape, 0.1, there).astype(here), strict=True)


def test_the_result_has_memory_of_its_own():
    x = Variable(X)
    assert not np.shares_memory(astype(x, X.dtype).data, X)
