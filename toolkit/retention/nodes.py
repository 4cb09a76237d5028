"""What an object is called, what it is there for, and how many bytes it takes, without running code of its type."""

import gc
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CellType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    TracebackType,
    WrapperDescriptorType,
)
from typing import Any

import numpy as np

from toolkit.core.function import Function
from toolkit.core.variable import Variable
from toolkit.nn import Parameter
from toolkit.retention import Node
from toolkit.retention.heap import is_array
from toolkit.retention.names import CONSTANTS, key_text, mro, namespace_of_class
from toolkit.retention.roots import namespace

#: By type, the first that fits: what an object is there for.
_ROLES: tuple[tuple[type, str], ...] = (
    (Function, "function of a graph"),
    (ModuleType, "module"),
    (type, "class"),
    (FunctionType, "code"),
    (BuiltinFunctionType, "code"),
    (MethodType, "bound method"),
    (GeneratorType, "suspended code"),
    (CoroutineType, "suspended code"),
    (AsyncGeneratorType, "suspended code"),
    (FrameType, "frame"),
    (TracebackType, "traceback"),
    (BaseException, "exception"),
    (CellType, "closure cell"),
    (dict, "container"),
    (list, "container"),
    (tuple, "container"),
    (set, "container"),
    (frozenset, "container"),
)
#: What the collector puts before each object that it tracks, which ``sys.getsizeof`` counts.
_HEADER_BYTES = 16


def node(number: int, one: Any, role: str = "") -> Node:
    """Describe an object; `role` is what only its holder can tell."""
    return Node(number, label(one), type_name(one), role or _role(one), size_bytes(one))


def type_name(one: Any) -> str:
    """Return the name of the type of an object, with its module unless it is built in."""
    kind = type(one)
    module = type.__dict__["__module__"].__get__(kind)
    name = type.__dict__["__qualname__"].__get__(kind)
    # A class may name its instances' module in place of its own, by a property.
    return str(name) if type(module) is not str or module == "builtins" else f"{module}.{name}"


def size_bytes(one: Any) -> int:
    """Return what the own memory of an object takes; `Node` says what counts."""
    if is_array(one):
        plain = np.ndarray.view(one, np.ndarray)
        return 0 if _is_view(one) else plain.nbytes
    for kind in mro(one):
        sizeof = namespace_of_class(kind).get("__sizeof__")
        # A size computed in Python is code of the type.
        if isinstance(sizeof, MethodDescriptorType | WrapperDescriptorType):
            return int(sizeof(one)) + (_HEADER_BYTES if gc.is_tracked(one) else 0)
    return 0


def label(one: Any) -> str:
    """Return what to call an object."""
    kinds = mro(one)
    if is_array(one):
        plain = np.ndarray.view(one, np.ndarray)
        return f"{plain.dtype.name} {plain.shape}"
    if Variable in kinds:
        name = slot(one, "name")
        named = _short(type.__dict__["__qualname__"].__get__(type(one)))
        return f"{named} {name!r}" if type(name) is str else named
    if ModuleType in kinds:
        return f"module {_text(namespace(one).get('__name__'))}"
    if type in kinds:
        return f"class {_short(type.__dict__['__qualname__'].__get__(one))}"
    if type(one) in (FunctionType, GeneratorType, CoroutineType, AsyncGeneratorType):
        return f"{_short(one.__qualname__)}()"
    if type(one) is MethodType and type(one.__func__) is FunctionType:
        return f"method {_short(one.__func__.__qualname__)}()"
    if type(one) in CONSTANTS:
        return key_text(one)
    for kind, length in (
        (dict, dict.__len__),
        (list, list.__len__),
        (tuple, tuple.__len__),
        (set, set.__len__),
    ):
        if kind in kinds:
            return f"{type.__dict__['__name__'].__get__(type(one))} of {length(one)}"
    return _short(type.__dict__["__qualname__"].__get__(type(one)))


def _short(qualified_name: str) -> str:
    return qualified_name.rpartition("<locals>.")[2]


def _text(name: Any) -> str:
    return name if type(name) is str else "?"


def _role(one: Any) -> str:
    if is_array(one):
        return "view of another array" if _is_view(one) else "array"
    kinds = mro(one)
    if Variable in kinds:
        return variable_role(one)
    return next((role for kind, role in _ROLES if kind in kinds), "object")


def _is_view(one: Any) -> bool:
    base = np.ndarray.base.__get__(one)
    return base is not None


def slot(variable: Any, name: str) -> Any:
    """Return an attribute that every variable has, past what its class makes of it; None where it is not set."""
    try:
        return Variable.__dict__[name].__get__(variable)
    except AttributeError:
        return None


def variable_role(variable: Any) -> str:
    """Return what a variable is in its graph."""
    if slot(variable, "creator") is not None:
        return f"generation {slot(variable, 'generation')}"
    return "parameter" if Parameter in mro(variable) else "leaf"


def role_at(holder: Any, held: Any) -> str:
    """Return what an array is to the variable that holds it, "" where that tells nothing."""
    if Variable not in mro(holder) or not is_array(held) or _is_view(held):
        return ""
    if slot(holder, "grad") is held:
        return "gradient"
    role = variable_role(holder)
    return {"leaf": "input", "parameter": "parameter"}.get(role, "activation")
