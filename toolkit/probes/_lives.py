"""The lives of the arrays that the engine meets: who owns the memory, what it is for, when it is freed."""

from array import array as column
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from weakref import ref

import numpy as np

from toolkit.core.function import Function
from toolkit.core.variable import Array

#: What an array is for, in the order in which figures stack it.
ROLES = ("parameter", "input", "activation", "saved", "gradient", "temporary")
PARAMETER, INPUT, ACTIVATION, SAVED, GRADIENT, TEMPORARY = range(len(ROLES))

_ALIVE = -1


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of one array that owns memory.

    Attributes
    ----------
    role : str
        The last that it had, one of `ROLES`.
    holder : str
        Where the engine first met it, as in "output of Square".
    shape : tuple of int
    dtype : numpy.dtype
    nbytes : int
        Of its memory; 0 for what lies in a buffer that no array owns.
    born : int
        The event, counted from 1, at which the engine first met it.
    died : int or None
        The last event at which it was alive; None while it is.
    """

    role: str
    holder: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    nbytes: int
    born: int
    died: int | None


class Watch(ref[Array]):
    """A weak reference to an array that owns memory, with what its death changes."""

    __slots__ = ("key", "met", "nbytes", "role", "row")

    key: int
    met: int
    nbytes: int
    role: int
    row: int


class Lives:
    """Bytes by role, of every array that was met and is alive.

    Attributes
    ----------
    bytes : list of int
        Of each role, in the order of `ROLES`.
    event : int
        How many events there were.
    """

    def __init__(self) -> None:
        # Made once: a bound method is an object that the collector counts.
        self._hear = self._died
        self._slots: dict[type, tuple[str, ...]] = {}
        self.clear()

    def clear(self) -> None:
        """Forget every array."""
        self._watched: dict[int, Watch] = {}
        self._temporaries: dict[int, Watch] = {}
        self._kinds: dict[tuple[str, str, tuple[int, ...], np.dtype[Any]], int] = {}
        self._kind, self._roles, self._bytes = column("q"), column("q"), column("q")
        self._births, self._deaths = column("q"), column("q")
        self.bytes = [0] * len(ROLES)
        self.event = 0
        self._fleeting: list[int] = []

    def release(self) -> None:
        """Watch no array any more; what was learned stays."""
        self._watched.clear()
        self._temporaries.clear()

    def begin_event(self) -> None:
        """Count an event: arrays that are met now are alive at it."""
        self.event += 1
        self._fleeting.clear()

    def take_fleeting(self) -> int:
        """Return the bytes of outputs that the last event recorded in the graph and that are dead already.

        They were temporaries.
        """
        for row in self._fleeting:
            self._roles[row] = TEMPORARY
        return sum([self._bytes[row] for row in self._fleeting])

    def meet(self, array: Array, role: int, place: str, name: str) -> None:
        """Note that `array` is alive, and if its memory is new, that it has `role`.

        Memory that is known keeps its role, but for an input that proves to be a parameter. `place` and `name`
        tell where it was met.
        """
        owner = array if array.base is None else owner_of(array)
        watch = self._watched.get(id(owner))
        if watch is None:
            watch = self._watch(owner, role, place, name)
        elif role == PARAMETER and watch.role == INPUT:
            self._change(watch, PARAMETER)
        watch.met = self.event

    def meet_saved(self, function: Function, name: str) -> None:
        """Note the arrays that `function`, of the class `name`, keeps as attributes."""
        kind = type(function)
        slots = self._slots.get(kind)
        if slots is None:
            slots = self._slots[kind] = _own_slots(kind)
        if not slots:
            return
        for slot in slots:
            attribute = getattr(function, slot, None)
            if attribute is not None:
                for array in _arrays_in(attribute):
                    self.meet(array, SAVED, "saved by", name)

    def end_event(self) -> None:
        """Take a temporary that an event did not touch for an activation: somebody holds it."""
        if self._temporaries:
            held = [watch for watch in self._temporaries.values() if watch.met != self.event]
            for watch in held:
                del self._temporaries[watch.key]
                self._change(watch, ACTIVATION)

    @property
    def count(self) -> int:
        """How many arrays were met."""
        return len(self._births)

    def __iter__(self) -> Iterator[Life]:
        kinds = list(self._kinds)
        for row, (kind, died) in enumerate(zip(self._kind, self._deaths, strict=True)):
            place, name, shape, dtype = kinds[kind]
            yield Life(
                role=ROLES[self._roles[row]],
                holder=f"{place} {name}",
                shape=shape,
                dtype=dtype,
                nbytes=self._bytes[row],
                born=self._births[row],
                died=None if died == _ALIVE else died,
            )

    def _watch(self, owner: Array, role: int, place: str, name: str) -> Watch:
        watch = Watch(owner, self._hear)
        watch.key = key = id(owner)
        watch.nbytes = nbytes = owner.nbytes if owner.base is None else 0
        watch.role = role
        watch.row = len(self._births)
        self._watched[key] = watch
        if role == TEMPORARY:
            self._temporaries[key] = watch
        self.bytes[role] += nbytes
        kind = (place, name, owner.shape, owner.dtype)
        self._kind.append(self._kinds.setdefault(kind, len(self._kinds)))
        self._roles.append(role)
        self._bytes.append(nbytes)
        self._births.append(self.event)
        self._deaths.append(_ALIVE)
        return watch

    def _change(self, watch: Watch, role: int) -> None:
        self.bytes[watch.role] -= watch.nbytes
        self.bytes[role] += watch.nbytes
        watch.role = self._roles[watch.row] = role

    def _died(self, watch: ref[Array]) -> None:
        assert isinstance(watch, Watch)
        role, row = watch.role, watch.row
        del self._watched[watch.key]
        self.bytes[role] -= watch.nbytes
        self._deaths[row] = self.event
        if role == TEMPORARY:
            del self._temporaries[watch.key]
        elif role == ACTIVATION and self._births[row] == self.event:
            self._fleeting.append(row)


def owner_of(array: Array) -> Array:
    """Return the array that owns the memory of `array`; the last on the way there if no array does."""
    base: Any = array
    while (base := base.obj if isinstance(base, memoryview) else getattr(base, "base", None)) is not None:
        if isinstance(base, np.ndarray):
            array = base
    return array


def _own_slots(kind: type) -> tuple[str, ...]:
    """Return the names of the attributes that functions of a class have beyond those of every function."""
    names: list[str] = []
    for one in kind.__mro__[: kind.__mro__.index(Function)]:
        slots = one.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else slots
    return (*names, "__dict__") if kind.__dictoffset__ else tuple(names)


def _arrays_in(attribute: Any) -> Iterator[Array]:
    if isinstance(attribute, np.ndarray):
        yield attribute
    elif isinstance(attribute, dict):
        for one in attribute.values():
            yield from _arrays_in(one)
    elif isinstance(attribute, tuple | list):
        for one in attribute:
            yield from _arrays_in(one)
