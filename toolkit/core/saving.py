"""What stands among the inputs of a function for a variable whose data is not there, or not to be read."""

from typing import Any

import numpy as np

from toolkit.core.variable import Array, Variable

__all__ = ["Guarded", "Unsaved"]


class _StandIn(Variable):
    """A variable's place in the graph and its layout."""

    __slots__ = ("_dtype", "_shape")

    def __init__(self, x: Variable) -> None:
        self.name = x.name
        self.grad = None
        self.creator = x.creator
        if x.creator is not None:
            self.position = x.position
        self.generation = x.generation
        self.untracked = x.untracked
        self._shape, self._dtype = x.shape, x.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the data."""
        return self._shape

    @property
    def ndim(self) -> int:
        """The number of dimensions of the data."""
        return len(self._shape)

    @property
    def size(self) -> int:
        """The number of elements of the data."""
        return int(np.prod(self._shape, dtype=int))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the data."""
        return self._dtype

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape {self._shape}, dtype {self._dtype})"


class Unsaved(_StandIn):
    """Where the gradient of a variable goes, without its data, which no gradient needs."""

    __slots__ = ()

    @property
    def data(self) -> Array:  # type: ignore[override]
        """Not there: whoever asks is told how to have it saved."""
        raise AttributeError(
            "the data of this input was not saved: name its position in `needs_inputs` of the function, or use "
            'saves="inputs"'
        )


class Guarded(_StandIn):
    """An input while the gradient is recorded: who reads its data would lose how the gradient hangs on it."""

    __slots__ = ("variable",)

    def __init__(self, x: Variable) -> None:
        super().__init__(x)
        self.variable = x

    @property
    def data(self) -> Array:  # type: ignore[override]
        """Not to be read: whoever asks is told how to take the variable."""
        raise RuntimeError(
            "this backward reads the data of an input, so its gradient cannot be differentiated: take the input by "
            "self.input_like(gy), or by self.constant() where the gradient of the gradient does not hang on it"
        )
