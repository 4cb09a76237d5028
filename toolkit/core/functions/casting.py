"""The same numbers in another dtype."""

from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.core.function import Function
from toolkit.core.variable import Array, Operand, Variable

__all__ = ["AsType", "astype"]


class AsType(Function):
    """Another floating dtype."""

    __slots__ = ("target",)
    needs_inputs = False

    def __init__(self, target: npt.DTypeLike) -> None:
        self.target = np.dtype(target)

    def forward(self, x: Array) -> Array:
        """Round or widen: a copy, also where nothing changes."""
        return x.astype(self.target)

    def backward(self, gy: Any) -> Any:
        """Give the gradient the dtype of the input."""
        return gy.astype(self.inputs[0].dtype)


def astype(x: Operand, dtype: npt.DTypeLike) -> Variable:
    """Return `x` in `dtype`, in memory of its own; the gradient comes back in the dtype of `x`."""
    y: Variable = AsType(dtype).apply(x)
    return y


Variable.astype = astype  # type: ignore[assignment,method-assign]
