"""A recording: what a workload does to the engine, once, so that its memory under every mode can be computed.

Two things decide when an array is freed: the engine, whose rules are known, and the workload's own names, which are
not. A recording holds what is not known: which variables and functions there are, in which order they come, and
when the workload lets go of each variable.

Variables, functions and arrays are numbered; a view counts as the array that owns its memory. An event that stands
for a moment tells `other_bytes`, array data alive at that moment that belongs to no variable and no gradient, and
`above_bytes`, how far the peak since the event before lay above what is alive at that moment.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = [
    "Born",
    "Called",
    "Cleared",
    "Ended",
    "Event",
    "Gradient",
    "LetGo",
    "Moment",
    "Recording",
    "Replaced",
    "Stepped",
    "Worked",
]


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time at which memory was read, in bytes."""

    other_bytes: int
    above_bytes: int


@dataclass(frozen=True, slots=True)
class Born:
    """The workload made a leaf that holds `array`."""

    moment: Moment
    variable: int
    array: int


@dataclass(frozen=True, slots=True)
class Called:
    """A function made variables `outputs`, which hold `arrays`, from variables `inputs`.

    It holds the inputs at the positions `held`, the creators of the others, and the arrays `saved`, which nothing
    else held when it was called but functions and the variables `outputs`. Where the workload itself had switched
    the graph off, `held` is None: no mode records the call.
    """

    moment: Moment
    function: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arrays: tuple[int, ...]
    held: tuple[int, ...] | None
    saved: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Gradient:
    """A gradient: the array that owns its memory, whether that is itself, and the size that a sum with it has."""

    array: int
    owning: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Stepped:
    """A function computed the gradients of its inputs; they have not been passed on."""

    moment: Moment
    function: int
    output_gradients: tuple[Gradient, ...]
    input_gradients: tuple[Gradient | None, ...]


@dataclass(frozen=True, slots=True)
class Worked:
    """The workload did something by itself that took memory; `above_bytes` lies above the event before."""

    moment: Moment


@dataclass(frozen=True, slots=True)
class Ended:
    """The workload has returned; its result is held."""

    moment: Moment


@dataclass(frozen=True, slots=True)
class LetGo:
    """The workload no longer holds `variable`."""

    variable: int


@dataclass(frozen=True, slots=True)
class Cleared:
    """The workload cleared the gradient of `variable`."""

    variable: int


@dataclass(frozen=True, slots=True)
class Replaced:
    """The workload gave `variable` other data: `array`."""

    variable: int
    array: int


Event: TypeAlias = Born | Called | Stepped | Worked | Ended | LetGo | Cleared | Replaced


@dataclass(frozen=True, slots=True)
class Recording:
    """What a workload did.

    Attributes
    ----------
    events : list of Event
        In order.
    array_bytes : dict of int to int
        The size of each array.
    """

    events: list[Event] = field(default_factory=list)
    array_bytes: dict[int, int] = field(default_factory=dict)
