"""Elements picked by NumPy's indexing, and put back where they came from."""

from typing import Any

import numpy as np

from toolkit.core.function import Function, compute
from toolkit.core.variable import Array, Operand, Variable

__all__ = ["GetItem", "ScatterAdd", "embedding", "get_item", "scatter_add"]


class GetItem(Function):
    """``x[index]``."""

    __slots__ = ("index",)
    needs_inputs = False

    def __init__(self, index: Any) -> None:
        self.index = index

    def forward(self, x: Array) -> Array:
        """Pick: a view for slices and single positions, a copy for arrays of them, bools and single elements."""
        y: Array = x[self.index]
        return y

    def backward(self, gy: Any) -> Any:
        """Put each gradient where its element was, added up where one was picked more than once."""
        return compute(ScatterAdd(self.index, self.inputs[0].shape), gy)


class ScatterAdd(Function):
    """Zeros, with ``x`` added at an index: the way back of `GetItem`."""

    __slots__ = ("index", "shape")
    needs_inputs = False

    def __init__(self, index: Any, shape: tuple[int, ...]) -> None:
        self.index = index
        self.shape = shape

    def forward(self, x: Array) -> Array:
        """Add up."""
        y = np.zeros(self.shape, x.dtype)
        if _is_basic(self.index):
            y[self.index] = x
        else:
            np.add.at(y, self.index, x)
        return y

    def backward(self, gy: Any) -> Any:
        """Pick the gradients again."""
        return gy[self.index]


def _is_basic(index: Any) -> bool:
    """Return whether an index takes no element twice: numpy's basic indexing."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        part is None or part is Ellipsis or isinstance(part, slice | int | np.integer) for part in parts
    ) and not any(isinstance(part, bool) for part in parts)


def _plain(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple([_plain(part) for part in index])
    return index.data if isinstance(index, Variable) else index


def get_item(x: Operand, index: Any) -> Variable:
    """Return ``x[index]``, for whatever index NumPy takes.

    Parameters
    ----------
    x : Variable or numpy.ndarray
        Any shape.
    index : int, slice, Ellipsis, None, array of int or of bool, or tuple of these
        Arrays may come as variables; they have no gradient.

    Returns
    -------
    Variable
        A view of the memory of `x` for slices and single positions, a copy otherwise and of a single element.

    Raises
    ------
    IndexError
        The index does not fit.
    """
    y: Variable = GetItem(_plain(index)).apply(x)
    return y


def scatter_add(x: Operand, index: Any, shape: tuple[int, ...]) -> Variable:
    """Return zeros of `shape` to which `x` was added at `index`: the way back of `get_item`."""
    y: Variable = ScatterAdd(_plain(index), shape).apply(x)
    return y


def embedding(weights: Operand, positions: Any) -> Variable:
    r"""Return the rows of `weights` at `positions`.

    Parameters
    ----------
    weights : Variable or numpy.ndarray
        Shape (rows, columns).
    positions : Variable or numpy.ndarray of int
        Any shape; a row that comes more than once has its gradients added up.

    Returns
    -------
    Variable
        Shape (\*positions.shape, columns).

    Raises
    ------
    IndexError
        A position is no row, which count from 0, or `positions` are no integers.
    """
    rows = np.asarray(_plain(positions))
    if rows.dtype.kind not in "iu":
        raise IndexError(f"embedding needs integers as positions, not {rows.dtype}")
    if (rows < 0).any():
        raise IndexError(f"embedding takes rows from 0, not {rows.min()}")
    return get_item(weights, rows)


Variable.__getitem__ = get_item  # type: ignore[method-assign]
