"""What keeps objects alive without being an object that the collector looks through: modules and running frames."""

import sys
from dataclasses import dataclass, field
from inspect import CO_OPTIMIZED
from pathlib import PurePath
from threading import get_ident
from types import FrameType, ModuleType
from typing import Any

_PACKAGE = __name__.rpartition(".")[0]
#: The frame, its variable for the locals and the argument of the counting refer to them, and nobody else.
_OURS_ALONE = 3


@dataclass(frozen=True)
class Roots:
    """The roots of a moment, by the ids of what they hold.

    Attributes
    ----------
    variables, functions, counts : dict
        Of each object that running functions hold in variables: the name of one variable and its function, and
        how many variables hold it.
    namespaces : dict
        Of each namespace of a module or of running code: whose it is.
    modules : dict
        Of each imported module: its name.
    values : list
        The objects that running functions hold, each once.
    """

    variables: dict[int, str] = field(default_factory=dict)
    functions: dict[int, str] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    namespaces: dict[int, str] = field(default_factory=dict)
    modules: dict[int, str] = field(default_factory=dict)
    values: list[Any] = field(default_factory=list)


def roots() -> Roots:
    """Return the roots of this moment, without the frames of whoever asks.

    The list of values is the only thing that refers to what the roots hold.
    """
    found = Roots()
    # Names first, for other threads may import meanwhile; and no pairs, which Python keeps when they are freed.
    for name in list(sys.modules):
        module = sys.modules.get(name)
        if module is not None and ModuleType in type.__dict__["__mro__"].__get__(type(module)):
            found.modules[id(module)] = str(name)
            found.namespaces[id(namespace(module))] = f"module {name}"
    for frame in _running():
        found.namespaces.setdefault(id(frame.f_globals), f"running code {_where(frame)}")
        if not frame.f_code.co_flags & CO_OPTIMIZED:
            found.namespaces.setdefault(id(frame.f_locals), f"class body {_where(frame)}")
            continue
        where = _where(frame)
        for name, value in local_variables(frame).items():
            at = id(value)
            if at not in found.variables:
                found.variables[at], found.functions[at] = name, where
                found.values.append(value)
            found.counts[at] = found.counts.get(at, 0) + 1
    return found


def namespace(module: ModuleType) -> dict[str, Any]:
    """Return the namespace of a module, without running code of its type."""
    found: dict[str, Any] = vars(ModuleType)["__dict__"].__get__(module)
    return found


def local_variables(frame: FrameType) -> dict[str, Any]:
    """Return the variables of a function's frame, and leave no copy of them with the frame.

    Before Python 3.13 a frame keeps the dictionary that it is asked for, and with it every value, until the
    function ends. It is emptied again, unless somebody else has it or is tracing, who may want to write back.
    """
    names = frame.f_locals
    variables = dict(names)
    if sys.version_info < (3, 13) and sys.getrefcount(names) <= _OURS_ALONE and sys.gettrace() is None:
        names.clear()
    return variables


def _running() -> list[FrameType]:
    tops = sys._current_frames()
    # A frame in a variable of its own would be a cycle, and garbage of our making.
    del tops[get_ident()]
    found = []
    for top in (sys._getframe(1), *tops.values()):
        frame: FrameType | None = top
        while frame is not None:
            if not str(frame.f_globals.get("__name__")).startswith(_PACKAGE):
                found.append(frame)
            frame = frame.f_back
    return found


def _where(frame: FrameType) -> str:
    return f"{frame.f_code.co_qualname}() in {PurePath(frame.f_code.co_filename).name}"
