"""What stands in the graph for a variable whose data no gradient needs."""

from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.core.variable import Array, Variable

if TYPE_CHECKING:
    from toolkit.core.function import Function

__all__ = ["Unsaved"]


class Unsaved(Variable):
    """Where the gradient of a variable goes: its creator and its layout, without its data."""

    __slots__ = ("_dtype", "_shape")

    creator: "Function"

    def __init__(self, x: Variable) -> None:
        self.name = x.name
        self.grad = None
        self.creator = x.creator  # type: ignore[assignment]  # only what has a creator is left unsaved
        self.position = x.position
        self.generation = x.generation
        self.untracked = False
        self._shape, self._dtype = x.data.shape, x.data.dtype

    @property
    def data(self) -> Array:  # type: ignore[override]
        """Not there: whoever asks is told how to have it saved."""
        raise AttributeError(
            "the data of this input was not saved: name its position in `needs_inputs` of the function, or use "
            'saves="inputs"'
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that the data had."""
        return self._shape

    @property
    def ndim(self) -> int:
        """The number of dimensions that the data had."""
        return len(self._shape)

    @property
    def size(self) -> int:
        """The number of elements that the data had."""
        return int(np.prod(self._shape, dtype=int))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype that the data had."""
        return self._dtype

    def __repr__(self) -> str:
        return f"Unsaved(shape {self._shape}, dtype {self._dtype})"
