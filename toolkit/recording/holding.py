"""Who holds an array: the engine, by the slots that it is known to have, or whoever else refers to it."""

import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from toolkit.core.function import Function
from toolkit.core.saving import Kept, Rounded
from toolkit.core.variable import Array

__all__ = ["OWN_REFERENCES", "Arrays", "Numbers", "attributes_of", "kept_by", "saved_by"]

#: `sys.getrefcount` counts its own argument and the name that it is called with.
OWN_REFERENCES = 2


class Numbers:
    """Numbers for objects: addresses, told apart in time by noticing when an object goes."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._next = 0

    def of(self, thing: Any) -> int:
        """Return the number of an object, a new one for an object that is new."""
        number = self._numbers.get(id(thing))
        if number is None:
            number = self._numbers[id(thing)] = self._next
            self._next += 1
            weakref.finalize(thing, self._numbers.pop, id(thing)).atexit = False
        return number

    def known(self, thing: Any) -> int | None:
        """Return the number of an object that has one."""
        return self._numbers.get(id(thing))


class Arrays:
    """The arrays that the engine has seen: their numbers, their bytes, and which of them somebody else holds.

    Attributes
    ----------
    alive_bytes : int
        What those occupy that are alive.
    """

    def __init__(self, array_bytes: dict[int, int]) -> None:
        self.alive_bytes = 0
        self._array_bytes = array_bytes
        self._numbers = Numbers()
        #: By the `id` of an array object, views too: how many slots of the engine and how many views refer to it.
        self._slots: Counter[int] = Counter()
        self._objects: dict[int, tuple[int, weakref.ref[Array]]] = {}
        #: Array objects that somebody may have taken since they were last looked at, and those that he holds.
        self._asked: set[int] = set()
        self._taken: dict[int, int] = {}

    def number_of(self, array: Array, *, private: bool = False) -> int:
        """Return the number of the array that owns the memory of `array`, and follow both from here on.

        Nobody but the engine can get at one that is `private`.
        """
        known = self._objects.get(id(array))
        if known is not None:
            return known[0]
        if isinstance(array.base, np.ndarray):
            number = self.number_of(array.base)
            self.hold(array.base)
        else:
            number = self._numbers.of(array)
            # Memory of others is not traced.
            own_bytes = array.nbytes if array.base is None else 0
            self._array_bytes[number] = own_bytes
            self.alive_bytes += own_bytes
        key, base = id(array), id(array.base) if isinstance(array.base, np.ndarray) else None
        own_bytes = 0 if base else self._array_bytes[number]
        self._objects[key] = number, weakref.ref(array, lambda _: self._freed(key, base, own_bytes))
        if not private:
            self._asked.add(key)
        return number

    def _freed(self, key: int, base: int | None, own_bytes: int) -> None:
        del self._objects[key]
        self._slots.pop(key, None)
        self._asked.discard(key)
        self._taken.pop(key, None)
        self.alive_bytes -= own_bytes
        if base is not None:
            self._slots[base] -= 1

    def hold(self, array: Array) -> None:
        """Know that a slot of the engine refers to an array object."""
        self._slots[id(array)] += 1

    def drop(self, key: int) -> None:
        """Know that a slot of the engine no longer refers to the array object with this `id`."""
        if key in self._slots:
            self._slots[key] -= 1

    def asked_for(self, array: Array) -> None:
        """Look at this array object the next time: somebody has asked the engine for it."""
        self.number_of(array)
        self._asked.add(id(array))
        if isinstance(array.base, np.ndarray):
            # A view of a view refers to the array that owns the memory.
            self.asked_for(array.base)

    def held_by_others(self) -> Counter[int]:
        """Return the numbers of the arrays that others than the engine refer to, with how many objects of each."""
        for key in [*self._asked]:
            known = self._objects.get(key)
            array = known and known[1]()
            if array is not None and sys.getrefcount(array) - OWN_REFERENCES > self._slots[key]:
                self._taken[key] = known[0]  # type: ignore[index]
            else:
                self._taken.pop(key, None)
                self._asked.discard(key)
            del array
        return Counter(self._taken.values())


def saved_by(function: Function) -> Iterator[Array | Rounded]:
    """Yield what a call of a function saved beside its inputs."""
    for x in getattr(function, "inputs", ()):
        if isinstance(x, Kept):
            yield x.rounded
    yield from _arrays_in(getattr(function, "output_data", None))


def kept_by(function: Function) -> Iterator[Array | Rounded]:
    """Yield the arrays that a function keeps for its gradient, as its class says."""
    for name in function.keeps:
        yield from _arrays_in(getattr(function, name, None))


def attributes_of(function: Function) -> Iterator[Array | Rounded]:
    """Yield the arrays that a function holds as long as it is there, whatever its class says."""
    names = {*getattr(function, "__dict__", ())}
    for kind in type(function).__mro__:
        if kind is not Function:
            slots = kind.__dict__.get("__slots__", ())
            names.update((slots,) if isinstance(slots, str) else slots)
    for name in sorted(names - {*function.keeps, *Function.__slots__, "__dict__"}):
        mangled = next(
            (f"_{kind.__name__.lstrip('_')}{name}" for kind in type(function).__mro__ if name[:2] == "__"),
            name,
        )
        yield from _arrays_in(getattr(function, mangled, getattr(function, name, None)))


def _arrays_in(value: Any) -> Iterator[Array | Rounded]:
    if isinstance(value, np.ndarray | Rounded):
        yield value
    elif isinstance(value, dict):
        yield from _arrays_in(list(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _arrays_in(one)
