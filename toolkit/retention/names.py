"""How one object refers to another: `.outputs[0]`, `['x']`, `closure cell y`. No code of a type is run for it."""

import gc
from collections import deque
from collections.abc import Iterable, Iterator
from types import (
    AsyncGeneratorType,
    CellType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    ModuleType,
)
from typing import Any, Final

import numpy as np

from toolkit.retention.heap import is_array, referents
from toolkit.retention.roots import local_variables, namespace

#: Attributes that C code computes, of which reading neither changes nor makes anything.
_HARMLESS = ("__traceback__", "__context__", "__cause__", "args", "tb_next", "__defaults__", "__kwdefaults__",
             "__code__", "__bases__", "__mro__", "__base__")  # fmt: skip
_FRAMES: tuple[tuple[type, str], ...] = (
    (GeneratorType, "gi_frame"),
    (CoroutineType, "cr_frame"),
    (AsyncGeneratorType, "ag_frame"),
)
#: Of these the text runs no code but Python's own.
CONSTANTS: Final = (str, bytes, int, float, bool, type(None))
_KEY_CHARACTERS = 40
_ABSENT: Final = object()


def mro(one: Any) -> tuple[type, ...]:
    """Return the classes of an object, without asking the object or its metaclass."""
    found: tuple[type, ...] = type.__dict__["__mro__"].__get__(type(one))
    return found


def key_text(key: Any) -> str:
    """Return a key as Python writes it, if that runs no code but Python's own; else its type in brackets."""
    if type(key) in CONSTANTS:
        shown = repr(key)
        return shown if len(shown) <= _KEY_CHARACTERS else f"{shown[: _KEY_CHARACTERS - 1]}…"
    if type(key) is tuple:
        return f"({', '.join(key_text(part) for part in key[:4])}{', …' if len(key) > 4 else ''})"
    return f"<{type.__dict__['__name__'].__get__(type(key))}>"


def reference(holder: Any, held: Any, everything: Iterable[Any]) -> str:
    """Return the way from an object to another that it refers to, "" where it has no name.

    Parameters
    ----------
    holder, held : object
    everything : iterable
        The objects of the heap: where the name of an attribute is looked for when the type of the holder does
        not mention it. Nothing lists the names of an object that has no ``__dict__`` yet, and to ask for the
        ``__dict__`` would make it.
    """
    return next(_ways(holder, held, everything), "")


def _ways(holder: Any, held: Any, everything: Iterable[Any]) -> Iterator[str]:
    kinds = mro(holder)
    if dict in kinds:
        yield from _in_dict(holder, held)
    elif list in kinds or tuple in kinds:
        plain = list.__iter__(holder) if list in kinds else tuple.__iter__(holder)
        yield from (f"[{place}]" for place, one in enumerate(plain) if one is held)
    elif deque in kinds:
        yield from (f"[{place}]" for place, one in enumerate(deque.__iter__(holder)) if one is held)
    elif set in kinds or frozenset in kinds:
        yield " element"
    elif is_array(holder):
        yield from _in_array(holder, held)
    elif type(holder) is CellType:
        yield ".cell_contents"
    elif FrameType in kinds:
        yield from _in_frame(holder, held)
    for kind, attribute in _FRAMES:
        if kind in kinds:
            frame = kind.__dict__[attribute].__get__(holder)
            if frame is not None:
                yield from _in_frame(frame, held)
    yield from _in_slots(holder, held, kinds)
    if type(holder) is held:
        yield ".__class__"
    yield from _in_attributes(holder, held, everything)


def _in_dict(holder: dict[Any, Any], held: Any) -> Iterator[str]:
    # Copies, which other threads do not change, and no look-up, for a key may compare by code of its own.
    keys, values = list(dict.__iter__(holder)), list(dict.values(holder))
    for key, value in zip(keys, values, strict=False):
        if value is held:
            yield f"[{key_text(key)}]"
        elif key is held:
            yield " key"


def _in_array(holder: Any, held: Any) -> Iterator[str]:
    if np.ndarray.base.__get__(holder) is held:
        yield ".base"
    plain = np.ndarray.view(holder, np.ndarray)
    if plain.dtype.kind == "O":
        for place, one in enumerate(plain.flat):
            if one is held:
                where = np.unravel_index(place, plain.shape)
                yield f"[{', '.join(str(int(part)) for part in where)}]"
    elif plain.dtype.hasobject:
        yield " element"


def _in_frame(frame: FrameType, held: Any) -> Iterator[str]:
    for name, one in local_variables(frame).items():
        if one is held or (type(held) is CellType and _contents(held) is one):
            yield f" local {name!r}"


def _contents(cell: CellType) -> Any:
    found = gc.get_referents(cell)
    return found[0] if found else None


def _in_slots(holder: Any, held: Any, kinds: tuple[type, ...]) -> Iterator[str]:
    for kind in kinds:
        for name, descriptor in namespace_of_class(kind).items():
            if type(descriptor) is MemberDescriptorType or (
                type(descriptor) is GetSetDescriptorType and name in _HARMLESS
            ):
                try:
                    found = descriptor.__get__(holder)
                except AttributeError:
                    continue
                if found is held:
                    yield f".{descriptor.__name__}"


def namespace_of_class(kind: type) -> dict[str, Any]:
    """Return the namespace of a class itself, which its ``__dict__`` only stands for."""
    found: dict[str, Any] = gc.get_referents(type.__dict__["__dict__"].__get__(kind))[0]
    return found


def is_namespace_of(names: Any, holder: Any) -> bool:
    """Whether a dictionary that an object refers to is where that object keeps its attributes."""
    if type(names) is not dict:
        return False
    if type in mro(holder):
        return namespace_of_class(holder) is names
    if ModuleType in mro(holder):
        return namespace(holder) is names
    strings = [name for name in names if type(name) is str]
    return len(strings) == len(names) > 0 and all(attribute_is(holder, name, names[name]) for name in strings)


def attribute_is(holder: Any, name: str, held: Any) -> bool:
    """Whether an object keeps another one as the attribute `name`, in itself and not by way of its class."""
    for kind in mro(holder):
        inherited = namespace_of_class(kind).get(name, _ABSENT)
        # Whatever can compute an attribute might do so now.
        if inherited is held or any("__get__" in namespace_of_class(one) for one in mro(inherited)):
            return False
    try:
        return object.__getattribute__(holder, name) is held
    except AttributeError:
        return False


def _in_attributes(holder: Any, held: Any, everything: Iterable[Any]) -> Iterator[str]:
    if type in mro(holder):
        return
    tried: set[str] = set()
    for name in _candidates(holder, everything):
        if name not in tried and attribute_is(holder, name, held):
            yield f".{name}"
        tried.add(name)


def _candidates(holder: Any, everything: Iterable[Any]) -> Iterator[str]:
    for names in referents(holder):
        if type(names) is dict:
            yield from [name for name in names if type(name) is str]
    for kind in mro(holder):
        members = namespace_of_class(kind)
        for source in ("__static_attributes__", "__annotations__"):
            if type(members.get(source)) in (tuple, dict):
                yield from [name for name in members[source] if type(name) is str]
        for member in list(members.values()):
            yield from _mentioned(member)
    for one in everything:
        yield from _mentioned(one)


def _mentioned(function: Any) -> tuple[str, ...]:
    return function.__code__.co_names if type(function) is FunctionType else ()


def key_of(names: dict[Any, Any], held: Any) -> str:
    """Return under which name a namespace holds an object, "?" if under none."""
    keys, values = list(dict.__iter__(names)), list(dict.values(names))
    return next(
        (key for key, one in zip(keys, values, strict=False) if one is held and type(key) is str), "?"
    )
