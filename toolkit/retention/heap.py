"""Which object refers to which, as the collector's own function for it tells, and what refers from elsewhere.

The reference count of an object, less the references that were found, is the number of those that come from
elsewhere: from C code, from the interpreter and from the variables of running functions, none of which is an
object that can be asked. The collector finds its roots in the same way.
"""

import gc
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.retention.roots import namespace

_Positions = npt.NDArray[np.int64]
#: Py_TPFLAGS_HAVE_GC of CPython's object.h: objects of this type can tell what they refer to.
_TELLS_REFERENTS = 1 << 14
#: In place of a position: what belongs to the asking is no part of the heap.
_OURS = -1
#: A module that tells of objects which are freed already, in Python 3.12 (gh-122695 of CPython). Telling frees
#: them once more, into a list of free ones that then leads round to itself: the next telling never ends.
_TELLS_FREED = "_asyncio" if sys.version_info[:2] == (3, 12) else ""


@dataclass(frozen=True)
class Heap:
    """The references of a moment. Objects are known by their positions in `objects`.

    It refers to every object: whoever has it must let go of it within the same call.

    Attributes
    ----------
    objects : list
        First those that the collector looks through, then those it does not: arrays, containers that it has
        given up tracking, objects hidden by ``gc.freeze``.
    visible_count : int
        How many the collector looks through.
    target : int
        The position of the object that is asked about.
    outside : numpy.ndarray of int64
        For each object, how many references come from no other object here.
    """

    objects: list[Any]
    visible_count: int
    target: int
    outside: _Positions
    _holders: _Positions
    _starts: _Positions

    def holders(self, position: int) -> list[int]:
        """Return the positions of those that refer to the object at a position, each once."""
        found = self._holders[self._starts[position] : self._starts[position + 1]]
        return list(dict.fromkeys(found.tolist()))


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the collector from running by itself, in any thread, and leave it enabled or not as it was."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def referents(one: Any) -> list[Any]:
    """Return what an object owns references to, once for each reference, without running code of its type."""
    if type(one) is ModuleType and _tells_freed(one):
        return [namespace(one)]
    found = gc.get_referents(one)
    if is_array(one):
        found += _array_referents(one)
    return found


def is_array(one: Any) -> bool:
    """Whether it is an array; unlike ``isinstance`` this never asks the object."""
    return np.ndarray in type.__dict__["__mro__"].__get__(type(one))


def scan(boxed: list[Any], more: list[Any]) -> Heap:
    """Return the references of this moment.

    Parameters
    ----------
    boxed : list
        The one object that is asked about. Nothing else of the asking may refer to it.
    more : list
        Where to look besides what ``gc.get_objects`` shows, each object once.
    """
    # By their ids: a variable of a comprehension may be a cell, an object that refers to the list itself.
    asking = {id(boxed), id(more)}
    objects = [one for one in gc.get_objects() if id(one) not in asking]
    visible_count = len(objects)
    index = {id(one): position for position, one in enumerate(objects)} | dict.fromkeys(asking, _OURS)
    for one in boxed + more:
        if id(one) not in index:
            index[id(one)] = len(objects)
            objects.append(one)
    one = None
    holders, held = _references(objects, index)
    outside = _reference_counts(objects)
    target = index[id(boxed[0])]
    ours = np.array([index[id(entry)] for entry in boxed + more], dtype=np.int64)
    _subtract(outside, ours)
    _subtract(outside, held)
    order = np.argsort(held, kind="stable")
    starts = np.searchsorted(held[order], np.arange(len(objects) + 1))
    return Heap(objects, visible_count, target, outside, holders[order], starts)


def _references(objects: list[Any], index: dict[int, int]) -> tuple[_Positions, _Positions]:
    """Return the two ends of each reference; objects that turn up on the way are appended to `objects`."""
    holders, held = array("q"), array("q")
    worth_asking: dict[int, bool] = {}
    for position, one in enumerate(objects):
        for referent in referents(one):
            at = index.get(id(referent))
            if at is None:
                kind = type(referent)
                if id(kind) not in worth_asking:
                    worth_asking[id(kind)] = _is_worth_asking(referent)
                if not worth_asking[id(kind)]:
                    continue
                at = index[id(referent)] = len(objects)
                objects.append(referent)
            elif at == _OURS:
                continue
            holders.append(position)
            held.append(at)
    return np.array(holders, dtype=np.int64), np.array(held, dtype=np.int64)


def _is_worth_asking(one: Any) -> bool:
    flags: int = type.__dict__["__flags__"].__get__(type(one))
    return bool(flags & _TELLS_REFERENTS) or is_array(one)


def _tells_freed(module: ModuleType) -> bool:
    name = namespace(module).get("__name__")
    return type(name) is str and name == _TELLS_FREED != ""


def _array_referents(one: Any) -> list[Any]:
    # An array is no object of the collector's and does not tell it what it refers to.
    base = np.ndarray.base.__get__(one)
    if base is not None:
        return [base]
    dtype = np.ndarray.dtype.__get__(one)
    return list(_elements(np.ndarray.view(one, np.ndarray))) if dtype.hasobject else []


def _elements(plain: npt.NDArray[Any]) -> Iterator[Any]:
    if plain.dtype.names:
        for name in plain.dtype.names:
            yield from _elements(plain[name])
    elif plain.dtype.kind == "O":
        yield from (element for element in plain.flat if element is not None)


def _reference_counts(objects: list[Any]) -> _Positions:
    # What the list and the counting itself add is seen at an object that nothing else refers to.
    objects.append(object())
    counts = np.fromiter(map(sys.getrefcount, objects), dtype=np.int64, count=len(objects))
    objects.pop()
    found: _Positions = counts[:-1] - counts[-1]
    return found


def _subtract(counts: _Positions, positions: _Positions) -> None:
    counts -= np.bincount(positions, minlength=len(counts))
