"""What a function saves in place of a variable: its place in the graph alone, or its data rounded."""

from typing import Any
from weakref import WeakValueDictionary, ref

import numpy as np

from toolkit.core.variable import Array, Variable

__all__ = [
    "Guarded",
    "Kept",
    "Restored",
    "Rounded",
    "StandIn",
    "Unsaved",
    "kept",
    "kept_data",
    "with_data",
    "without_data",
]


class Rounded:
    """An array kept in a narrower dtype.

    Attributes
    ----------
    array : numpy.ndarray
        The rounded numbers.
    """

    __slots__ = ("__weakref__", "_dtype", "_source", "array")

    def __init__(self, data: Array, dtype: str) -> None:
        self.array = data.astype(dtype)
        self._dtype = data.dtype
        self._source = ref(data)

    def is_of(self, data: Array) -> bool:
        """Return whether these are the numbers of this very array, as they were when it was first saved."""
        return self._source() is data

    @property
    def data(self) -> Array:
        """The numbers in the dtype that they had, in memory of their own."""
        return self.array.astype(self._dtype)


#: By the creator's `id`, the position among its outputs and the dtype: all that save one variable share one array.
#: The `id` may be another creator's by now, and the variable may have been given other data: an entry counts for
#: the array alone that it was made of. What was since written into that one is not seen: to see it takes a copy.
_rounded: WeakValueDictionary[tuple[int, int, str], Rounded] = WeakValueDictionary()


def kept(x: Variable, storage: str) -> Variable:
    """Return what is saved for an input whose data is needed: itself, or a stand-in with rounded data."""
    if x.creator is None or not _is_wider(x, storage):
        return x
    shared = x.shared(storage) if isinstance(x, Restored) else None
    return Kept(x, _rounded_once(x, storage) if shared is None else shared)


def kept_data(y: Variable, storage: str) -> Array | Rounded:
    """Return what is saved for an output, by the function that made it: no more than data, or it held itself."""
    return _rounded_once(y, storage) if _is_wider(y, storage) else y.data


def without_data(x: Variable) -> Variable:
    """Return what is saved for an input whose data is not needed; a leaf's gradient must have somewhere to go."""
    return x if x.creator is None else Unsaved(x)


def with_data(x: Variable) -> Variable:
    """Return a variable with the place and the data of one that was saved."""
    if not isinstance(x, Kept):
        return x
    whole = Restored(x.rounded)
    whole.set_creator(x.creator, x.position)  # type: ignore[arg-type]  # a leaf is saved as it is
    return whole


def _is_wider(x: Variable, storage: str) -> bool:
    return storage != "exact" and x.dtype.kind == "f" and x.dtype.itemsize > np.dtype(storage).itemsize


def _rounded_once(x: Variable, storage: str) -> Rounded:
    place = id(x.creator), x.position, storage
    found = _rounded.get(place)
    if found is None or not found.is_of(x.data):
        found = _rounded[place] = Rounded(x.data, storage)
    return found


class Restored(Variable):
    """A variable made again from rounded data: who saves it shares that data and rounds nothing anew."""

    __slots__ = ("_restored", "_rounded")

    def __init__(self, rounded: Rounded) -> None:
        super().__init__(rounded.data)
        self._rounded = ref(rounded)
        self._restored = ref(self.data)

    def shared(self, storage: str) -> Rounded | None:
        """Return what it was made from, if that is there and in this dtype, and the data is what it was."""
        rounded = self._rounded()
        if rounded is None or rounded.array.dtype != storage or self._restored() is not self.data:
            return None
        return rounded


class StandIn(Variable):
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


class Unsaved(StandIn):
    """Where the gradient of a variable goes, without its data, which no gradient needs."""

    __slots__ = ()

    @property
    def data(self) -> Array:  # type: ignore[override]
        """Not there: whoever asks is told how to have it saved."""
        raise AttributeError(
            "the data of this input was not saved: name its position in `needs_inputs` of the function, or use "
            'saves="inputs"'
        )


class Kept(StandIn):
    """A variable of which rounded data is kept."""

    __slots__ = ("rounded",)

    def __init__(self, x: Variable, rounded: Rounded) -> None:
        super().__init__(x)
        self.rounded = rounded

    @property
    def data(self) -> Array:  # type: ignore[override]
        """The rounded data in the dtype that it had, in memory of its own."""
        return self.rounded.data


class Guarded(StandIn):
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
