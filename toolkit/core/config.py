"""Every toggle of the core in one place (book steps 15, 17 and 18, and the ways of saving memory beyond).

The toggles are one immutable value. It is held in a `ContextVar`, so that threads and asyncio tasks never see
each other's settings: a new thread starts from the defaults, a new task from those of its maker.
"""

from collections.abc import Iterator
from contextlib import _GeneratorContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from typing import Final, Literal

__all__ = ["Config", "current_config", "named_toggles", "no_grad", "using_config"]


@dataclass(frozen=True, slots=True)
class Config:
    """One setting of every toggle.

    Attributes
    ----------
    references : {"weak", "strong"}
        How a function holds its outputs (step 17.4). A strong reference closes a cycle between a function and
        its outputs, which only the garbage collector can free.
    traversal : {"generation", "lifo"}
        The order of the backward pass: by generation (step 16), or the wrong last-in-first-out order of step
        15.2, kept for demonstration.
    retain_grad : bool
        Whether the gradients of intermediate variables outlive the backward pass (step 18.1).
    enable_backprop : bool
        Whether a call records the graph that a backward pass needs (step 18.3).
    saves : {"inputs", "needed"}
        What a recorded call keeps for its gradient: all of its inputs, as the book does, or the data alone that
        the gradient needs.
    retain_graph : bool
        Whether the graph outlives the backward pass, as in the book, or each function lets go of what it saved
        as soon as it was gone back through. In LIFO order, which goes through some again, it always does.
    storage : {"exact", "float32", "float16"}
        How a recorded call keeps the data that it saves, that of leaves excepted: as it is, or rounded to a
        narrower dtype, from which the gradient is then computed. An array is rounded when it is first saved: what
        is written into it between two calls that save it is missed by the second. What `saves="needed"` or a
        narrower dtype puts in the place of a variable is not cut off by its `unchain`: calls made before still lead
        to what it was made of.
    accumulation : {"new", "in_place"}
        Where the sum of two gradients goes: into a new array, as in the book (step 14.2), or into the first one's
        where nothing else refers to that.
    buffers : {"fresh", "reused"}
        Whether functions compute into memory that is asked for anew each time, or into that of large arrays that
        are gone.

    Raises
    ------
    ValueError
        When a toggle is given a value that is not one of its levels.
    """

    references: Literal["weak", "strong"] = field(default="weak", metadata={"levels": ("weak", "strong")})
    traversal: Literal["generation", "lifo"] = field(
        default="generation", metadata={"levels": ("generation", "lifo")}
    )
    retain_grad: bool = field(default=False, metadata={"levels": (False, True)})
    enable_backprop: bool = field(default=True, metadata={"levels": (False, True)})
    saves: Literal["inputs", "needed"] = field(default="inputs", metadata={"levels": ("inputs", "needed")})
    retain_graph: bool = field(default=True, metadata={"levels": (False, True)})
    storage: Literal["exact", "float32", "float16"] = field(
        default="exact", metadata={"levels": ("exact", "float32", "float16")}
    )
    accumulation: Literal["new", "in_place"] = field(default="new", metadata={"levels": ("new", "in_place")})
    buffers: Literal["fresh", "reused"] = field(default="fresh", metadata={"levels": ("fresh", "reused")})

    def __post_init__(self) -> None:
        for toggle, levels in self.levels().items():
            value = getattr(self, toggle)
            # `1 in (False, True)` holds, so the type has to agree as well.
            if not any(type(value) is type(level) and value == level for level in levels):
                allowed = ", ".join(map(repr, levels))
                raise ValueError(f"{toggle} must be one of {allowed}, not {value!r}")

    @classmethod
    def levels(cls) -> dict[str, tuple[object, ...]]:
        """Return the levels that each toggle can take, by its name."""
        return {toggle.name: toggle.metadata["levels"] for toggle in fields(cls)}


_current: ContextVar[Config] = ContextVar("toolkit_config", default=Config())
_named: ContextVar[frozenset[str]] = ContextVar("toolkit_named", default=frozenset())

#: The configuration in force in this thread or task: `current_config()` returns a `Config`.
current_config: Final = _current.get

#: Which toggles blocks of `using_config` around here have set, be it to what they were: a frozen set of names.
named_toggles: Final = _named.get

_UNSET: Final = object()


def using_config(
    name: str | None = None, value: object = _UNSET, /, **settings: object
) -> _GeneratorContextManager[Config]:
    """Set toggles inside a `with` block (step 18.5); what was in force before comes back, also on errors.

    Parameters
    ----------
    name, value
        One toggle as in the book: ``using_config("enable_backprop", False)``.
    **settings
        Any number of toggles: ``using_config(references="strong", retain_grad=True)``.

    Returns
    -------
    context manager
        Yields the `Config` in force inside the block. It also serves as a decorator of plain functions.

    Raises
    ------
    ValueError
        At the call, before the block is entered: an unknown toggle, or a value that is not one of its levels.
    TypeError
        When a name comes without a value.
    """
    if name is not None:
        if value is _UNSET:
            raise TypeError(f"using_config({name!r}) needs a value, as in using_config({name!r}, value)")
        settings = {name: value, **settings}
    known = Config.levels()
    for toggle in settings:
        if toggle not in known:
            raise ValueError(f"unknown toggle {toggle!r}; the toggles are {', '.join(known)}")
    replace(Config(), **settings)  # type: ignore[arg-type]  # refuses bad values here and not on entering
    return _overriding(settings)


@contextmanager
def _overriding(settings: dict[str, object]) -> Iterator[Config]:
    config = replace(_current.get(), **settings)  # type: ignore[arg-type]
    token, names = _current.set(config), _named.set(_named.get().union(settings))
    try:
        yield config
    finally:
        _current.reset(token)
        _named.reset(names)


def no_grad() -> _GeneratorContextManager[Config]:
    """Record no graph inside the block (step 18.5): short for ``using_config("enable_backprop", False)``."""
    return using_config(enable_backprop=False)
