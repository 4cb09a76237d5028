"""PyTorch on one thread of the CPU; tensors share the memory of numpy's arrays."""

import torch
from torch import add, matmul, no_grad, relu, square, tanh
from torch.nn.functional import cross_entropy

__all__ = ["add", "add_row", "cross_entropy", "matmul", "relu", "square", "tanh"]

torch.set_num_threads(1)

#: numpy is not told of what it allocates.
TRACED = False

add_row = add


def constant(array):
    """Return a tensor without a gradient."""
    return torch.from_numpy(array)


def gradients(function, *arrays):
    """Go forward and back."""
    xs = [torch.from_numpy(array).requires_grad_() for array in arrays]
    y = function(*xs)
    y.backward(torch.ones_like(y))
    return [x.grad.numpy() for x in xs]


def forward(function, *arrays):
    """Go forward."""
    with no_grad():
        return function(*[torch.from_numpy(array) for array in arrays]).numpy()
