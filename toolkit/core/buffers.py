"""Memory used again: results of ufuncs go into the memory of arrays that are gone.

The kernel hands out memory page by page, at the first touch of each, and takes it back when a large array is freed:
an engine that keeps activations pays for that in every iteration, more than for the arithmetic. So here memory is
kept when its array is gone, by size, for the next result of that size.

With the toggle ``buffers="reused"`` functions are handed their arrays as `Reused`, through which every ufunc, and
every operator, puts its result there. The functions themselves know nothing of it.
"""

import sys
from math import prod
from threading import local
from typing import Any

import numpy as np

from toolkit.core.variable import Array

__all__ = [
    "LEAST_BYTES",
    "SOLE_REFERENCES",
    "Reused",
    "kept_bytes",
    "ones_like",
    "release_buffers",
    "reusing",
]

#: Smaller results are left to numpy: to find memory for them here would take longer than the page faults do.
LEAST_BYTES = 1 << 15


class _Kept(local):
    # Each thread has its own, of which it alone takes memory: to look whether somebody refers to it and to take it
    # are two steps. Another thread may give memory back meanwhile, at the end of a list, which moves none.
    def __init__(self) -> None:
        #: By size in bytes, the memory that no array uses any more, the one that was given back last at the end.
        self.free: dict[int, list[Array]] = {}


_kept = _Kept()
_dtypes: dict[tuple[Any, ...], np.dtype[Any]] = {}


class Reused(np.ndarray[Any, np.dtype[Any]]):
    """An array of which the results of ufuncs are computed into memory that was used before.

    A view holds what it is a view of, so that memory comes back only when nobody refers to any part of it.
    """

    __slots__ = ("_free", "_memory")

    _free: list[Array]
    _memory: Array

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **settings: Any) -> Any:
        """Compute into memory that was used before, where the result is one large array."""
        xs = tuple([x.view(np.ndarray) if type(x) is Reused else x for x in inputs])
        if method == "__call__" and not settings:
            room = _room_for(ufunc, xs)
            if room is None:
                return ufunc(*xs)
            ufunc(*xs, out=room.view(np.ndarray))
            return room
        outs = settings.get("out")
        if outs is not None:
            settings["out"] = tuple([y.view(np.ndarray) if type(y) is Reused else y for y in outs])
        if type(settings.get("where")) is Reused:
            settings["where"] = settings["where"].view(np.ndarray)
        result = getattr(ufunc, method)(*xs, **settings)
        return outs[0] if outs is not None and len(outs) == 1 else result

    def __del__(self) -> None:
        # Views have neither.
        memory = getattr(self, "_memory", None)
        if memory is not None:
            self._free.append(memory)


def reusing(x: Array) -> Array:
    """Return a view of an array whose results reuse memory; itself where it is too small for that to pay."""
    return x.view(Reused) if type(x) is np.ndarray and x.nbytes >= LEAST_BYTES else x


def ones_like(x: Array) -> Array:
    """Return ones in the layout of `x`, in memory that was used before where `x` is `Reused`."""
    room = _room(x.shape, x.dtype) if type(x) is Reused and x.flags.c_contiguous else None
    if room is None:
        return np.ones_like(x)
    room.fill(1)
    return room


def kept_bytes() -> int:
    """Return the bytes of the memory that is kept for this thread and that no array uses."""
    return sum(size * len(free) for size, free in _kept.free.items())


def release_buffers() -> None:
    """Give the memory that is kept for this thread and that no array uses back to the allocator.

    What is kept for another thread goes when that thread ends.
    """
    for free in _kept.free.values():
        free.clear()


def _room_for(ufunc: np.ufunc, xs: tuple[Any, ...]) -> Reused | None:
    """Return an array for the result of a ufunc; None where that is small, or its layout not known beforehand."""
    kinds: list[Any] = [ufunc]
    shapes = []
    for x in xs:
        # A subclass, such as a masked array, has something to say about the result. That of an elementwise ufunc is
        # laid out as its inputs are, on which the order hangs in which it is summed, and so the last bits.
        if type(x) is np.ndarray and (x.flags.c_contiguous or ufunc.signature is not None):
            kinds.append(x.dtype)
            shapes.append(x.shape)
        elif isinstance(x, np.generic):
            kinds.append(x.dtype)
        elif isinstance(x, float) or type(x) is int:
            kinds.append(type(x))
        else:
            return None
    if ufunc.signature is None and ufunc.nout == 1:
        shape = shapes[0]
        if len(shapes) > 1 and shapes[1:] != shapes[:-1]:
            shape = np.broadcast_shapes(*shapes)
    elif ufunc is np.matmul and xs[0].ndim == xs[1].ndim == 2:
        shape = (xs[0].shape[0], xs[1].shape[1])
    else:
        return None
    key = tuple(kinds)
    dtype = _dtypes.get(key)
    if dtype is None:
        dtype = _dtypes[key] = ufunc.resolve_dtypes((*key[1:], None))[-1]
    return _room(shape, dtype)


def _room(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Reused | None:
    size = prod(shape) * dtype.itemsize
    if size < LEAST_BYTES or dtype.hasobject:
        return None
    free = _kept.free.setdefault(size, [])
    memory = _memory(size, free)
    room = Reused(shape, dtype, memory)
    room._free, room._memory = free, memory
    return room


def _memory(size: int, free: list[Array]) -> Array:
    # A view may have outlived the array that gave the memory back: then somebody still refers to it.
    for place in range(len(free) - 1, -1, -1):
        if _references(free[place]) == SOLE_REFERENCES:
            return free.pop(place)
    return np.empty(size, np.uint8)


def _references(memory: Array) -> int:
    return sys.getrefcount(memory)


_contained = [np.zeros(1)]
#: What `sys.getrefcount` tells of an argument that only a container of the caller's refers to.
SOLE_REFERENCES = _references(_contained[0])
