"""HIPS autograd: it differentiates functions of arrays."""

from autograd import make_vjp, numpy
from autograd.numpy import add, matmul, square, tanh

__all__ = ["add", "add_row", "matmul", "square", "tanh"]

add_row = add


def relu(x):
    """Clip from below."""
    return numpy.maximum(x, 0)


def cross_entropy(x, classes):
    """Return the mean over rows of minus the log-softmax at the row's class."""
    x = x - numpy.max(x, axis=1, keepdims=True)
    logarithms = x - numpy.log(numpy.sum(numpy.exp(x), axis=1, keepdims=True))
    return -numpy.mean(logarithms[numpy.arange(len(classes)), classes])


def constant(array):
    """Return the array itself."""
    return array


def gradients(function, *arrays):
    """Go forward and back."""
    back, y = make_vjp(lambda xs: function(*xs))(arrays)
    return list(back(numpy.ones_like(y)))


def forward(function, *arrays):
    """Go forward, on bare arrays: what is not traced has no graph."""
    return numpy.asarray(function(*arrays))
