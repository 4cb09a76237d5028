"""The instrumented core."""

from contextlib import contextmanager

from toolkit import (
    Variable,
    add,
    cross_entropy,
    matmul,
    no_grad,
    release_buffers,
    relu,
    square,
    tanh,
    using_config,
)

__all__ = ["MODES", "add", "add_row", "cross_entropy", "matmul", "relu", "square", "tanh"]


@contextmanager
def _memory_used_again():
    try:
        with using_config(buffers="reused"):
            yield
    finally:
        release_buffers()


MODES = {
    "core, saving": lambda: using_config(saves="needed", retain_graph=False, accumulation="in_place"),
    "core, memory used again": _memory_used_again,
}

add_row = add


def constant(array):
    """Return the array itself."""
    return array


def gradients(function, *arrays):
    """Go forward and back."""
    xs = [Variable(array) for array in arrays]
    function(*xs).backward()
    return [x.grad for x in xs]


def forward(function, *arrays):
    """Go forward."""
    with no_grad():
        return function(*[Variable(array) for array in arrays]).data
