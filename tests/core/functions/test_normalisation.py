"""Layer normalisation."""

import numpy as np

from toolkit import Variable, layer_norm

X = 3 + 2 * np.sin(1.7 * np.arange(24.0)).reshape(2, 3, 4)
GAIN, BIAS = np.array([0.5, 1.5, -1.0, 2.0]), np.array([1.0, 2.0, 3.0, 4.0])

GRADIENTS = {
    "layer_norm": (layer_norm, X),
    "with gain": (lambda x, gain: layer_norm(x, gain), X, GAIN),
    "with gain and bias": (layer_norm, X, GAIN, BIAS),
    "with a large epsilon": (lambda x: layer_norm(x, epsilon=0.5), X),
}


def test_rows_have_mean_0_and_variance_1():
    y = layer_norm(X, epsilon=0.0).data
    np.testing.assert_allclose(y.mean(axis=-1), 0, atol=1e-14)
    np.testing.assert_allclose(y.var(axis=-1), 1)


def test_a_constant_row_becomes_zeros():
    x = Variable(np.full((2, 3), 7.0))
    y = layer_norm(x)
    y.backward()
    np.testing.assert_array_equal(y.data, np.zeros((2, 3)))
    assert np.isfinite(x.grad).all()
