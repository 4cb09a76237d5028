"""MyGrad."""

import mygrad
import numpy as np
from mygrad import add, matmul, square, tanh
from mygrad.nnet import relu
from mygrad.nnet import softmax_crossentropy as cross_entropy

__all__ = ["add", "add_row", "cross_entropy", "matmul", "relu", "square", "tanh"]

add_row = add


def constant(array):
    """Return a tensor without a gradient."""
    return mygrad.tensor(array, constant=True, copy=False)


def gradients(function, *arrays):
    """Go forward and back."""
    xs = [mygrad.tensor(array, copy=False) for array in arrays]
    function(*xs).backward(1.0)
    return [x.grad for x in xs]


def forward(function, *arrays):
    """Go forward."""
    with mygrad.no_autodiff:
        return np.asarray(function(*[mygrad.tensor(array, copy=False) for array in arrays]))
