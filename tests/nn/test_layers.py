"""Layers and their parameters."""

import numpy as np
import pytest

from toolkit import Variable, check_gradient, relu
from toolkit.nn import Layer, Parameter
from toolkit.nn.convolution import Convolution
from toolkit.nn.linear import Linear


def rng():
    return np.random.default_rng(0)


class Two(Layer):
    def __init__(self):
        self.layers = [Linear(3, 4, rng()), Linear(4, 2, rng(), bias=False)]
        self.again = self.layers[0]
        self.scale = Parameter(np.array(2.0), "scale")
        self.constant = Variable(np.array(3.0))

    def __call__(self, x):
        return self.layers[1](relu(self.layers[0](x))) * self.scale * self.constant


def test_every_parameter_is_found_once():
    two = Two()
    names = [parameter.name for parameter in two.parameters()]
    assert names == ["weights", "bias", "weights", "scale"]


def test_a_linear_layer():
    layer = Linear(3, 4, rng())
    layer.bias.data[:] = 1.0
    x = rng().standard_normal((5, 3))
    np.testing.assert_allclose(layer(Variable(x)).data, x @ layer.weights.data + 1)
    check_gradient(layer, x)


def test_its_weights_are_spread_as_the_paper_says():
    weights = Linear(300, 100, rng()).weights.data
    assert np.abs(weights).max() <= np.sqrt(6 / 400)
    assert weights.var() == pytest.approx(2 / 400, rel=0.02)


def test_a_convolutional_layer():
    layer = Convolution(2, 3, 3, rng(), stride=2, padding=1, dtype=np.float32)
    y = layer(Variable(np.ones((4, 2, 8, 8), np.float32)))
    assert (y.shape, y.dtype) == ((4, 3, 4, 4), np.float32)
    assert len(list(layer.parameters())) == 2


def test_a_layer_that_computes_nothing_says_so():
    with pytest.raises(NotImplementedError, match="Layer does not say what it computes"):
        Layer()(Variable(np.ones(1)))
