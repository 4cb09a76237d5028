"""The largest and the smallest."""

import numpy as np
import pytest

from toolkit import Variable, max, min

X = np.sin(1.7 * np.arange(24.0)).reshape(2, 3, 4)
AXES = [None, 0, -1, (0, 2), ()]

GRADIENTS = {
    f"{function.__name__} axis={axis} keepdims={keepdims}": (
        lambda x, function=function, axis=axis, keepdims=keepdims: function(x, axis, keepdims),
        X,
    )
    for function in (max, min)
    for axis in AXES
    for keepdims in (False, True)
} | {"max 0-d": (max, np.array(2.0))}


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
def test_values_are_those_of_numpy(axis, keepdims):
    x = Variable(X)
    np.testing.assert_array_equal(x.max(axis, keepdims).data, X.max(axis=axis, keepdims=keepdims))
    np.testing.assert_array_equal(x.min(axis, keepdims).data, X.min(axis=axis, keepdims=keepdims))


def test_equal_elements_share_the_gradient():
    x = Variable(np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]))
    x.max(axis=1).backward()
    np.testing.assert_allclose(x.grad, [[0.0, 0.5, 0.5], [1 / 3] * 3])


def test_nothing_to_choose_from_is_refused():
    with pytest.raises(ValueError, match="no identity"):
        max(np.ones((0, 3)), 0)
    with pytest.raises(np.exceptions.AxisError):
        min(X, 3)
