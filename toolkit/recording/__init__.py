"""A recording: what a workload does to the engine, once, so that its memory under every mode can be computed.

Two things decide when an array is freed: the engine, whose rules are known, and the workload's own names, which
are not. A recording holds what is not known: which variables and functions there are, in which order they come,
when the workload takes and lets go of variables, functions and bare arrays, and which toggles it sets itself.

Variables, functions and arrays are numbered; a view counts as the array that owns its memory. An event that stands
for a moment tells `other_bytes`, array data alive at that moment that the recording does not follow, and
`above_bytes`, how far the peak since the event before lay above what is alive at that moment. A toggle is None
where the workload leaves it to the mode.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = [
    "ArrayLetGo",
    "ArrayTaken",
    "Born",
    "Called",
    "Collected",
    "Ended",
    "Event",
    "FunctionLetGo",
    "GaveUp",
    "Gradient",
    "GradientSet",
    "Iterated",
    "LetGo",
    "Moment",
    "PassedOn",
    "Recording",
    "Replaced",
    "StepEnded",
    "Stepped",
    "Unchained",
    "WentBack",
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

    In a graph it holds the inputs at the positions `held`, the creators of the others, and the arrays `saved`; in
    a graph and without one, the arrays `keeps` and `attributes`. All but the last go when the function lets go of
    what it saved, if it does before it goes itself. Of the arrays saved, each that is `rounded` stands beside the
    variable whose data it holds. `above_unsaved_bytes` is how far the peak lay above what was alive before
    anything was saved.
    """

    moment: Moment
    function: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arrays: tuple[int, ...]
    held: tuple[int, ...]
    saved: tuple[int, ...]
    keeps: tuple[int, ...]
    attributes: tuple[int, ...]
    rounded: tuple[tuple[int, int], ...]
    above_unsaved_bytes: int
    enable_backprop: bool | None = None
    references: Literal["weak", "strong"] | None = None


@dataclass(frozen=True, slots=True)
class Gradient:
    """A gradient: the array that owns its memory, whether that is itself, and the size that a sum with it has."""

    array: int
    owning: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class WentBack:
    """A backward pass began, from `root`; what is passed on to that next is where it starts."""

    root: int
    retain_grad: bool | None
    retain_graph: bool | None
    accumulation: Literal["new", "in_place"] | None


@dataclass(frozen=True, slots=True)
class Stepped:
    """A function computed the gradients of its inputs; they have not been passed on."""

    moment: Moment
    function: int
    output_gradients: tuple[Gradient, ...]
    input_gradients: tuple[Gradient | None, ...]


@dataclass(frozen=True, slots=True)
class PassedOn:
    """A gradient arrived at `variable`; `total` is what came of it where one was there before."""

    variable: int
    gradient: Gradient
    total: Gradient | None


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A function has passed its gradients on; `kept` are those that its outputs have, in its own order."""

    function: int
    kept: tuple[Gradient | None, ...]


@dataclass(frozen=True, slots=True)
class GaveUp:
    """A pass ended by an error: what had arrived and was not passed on is gone."""


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
class FunctionLetGo:
    """The workload no longer holds `function`, which it held when that was called."""

    function: int


@dataclass(frozen=True, slots=True)
class ArrayTaken:
    """The workload holds `array` by a name of its own."""

    array: int


@dataclass(frozen=True, slots=True)
class ArrayLetGo:
    """The workload no longer holds `array` by a name of its own."""

    array: int


@dataclass(frozen=True, slots=True)
class GradientSet:
    """The workload gave `variable` a gradient, or cleared the one it had."""

    variable: int
    gradient: Gradient | None


@dataclass(frozen=True, slots=True)
class Replaced:
    """The workload gave `variable` other data: `array`."""

    variable: int
    array: int


@dataclass(frozen=True, slots=True)
class Unchained:
    """The workload cut `variable` off from the function that made it."""

    variable: int


@dataclass(frozen=True, slots=True)
class Collected:
    """The workload had the garbage collector run, up to `generation`."""

    generation: int


@dataclass(frozen=True, slots=True)
class Iterated:
    """The workload ended `step` of an epoch of so many `steps`."""

    step: int
    steps: int


Event: TypeAlias = (
    Born
    | Called
    | WentBack
    | Stepped
    | PassedOn
    | StepEnded
    | GaveUp
    | Worked
    | Ended
    | LetGo
    | FunctionLetGo
    | ArrayTaken
    | ArrayLetGo
    | GradientSet
    | Replaced
    | Unchained
    | Collected
    | Iterated
)


@dataclass(slots=True)
class Recording:
    """What a workload did.

    Attributes
    ----------
    events : list of Event
        In order.
    array_bytes : dict of int to int
        The size of each array.
    retain_grad : bool
        The level under which it was recorded.
    reads_kept_gradients : bool
        Whether the workload asked for the gradient of an intermediate variable, so that what it does may hang on
        `retain_grad`: it then stands for that level alone.
    references, accumulation : str
        The levels under which it was recorded.
    computes_again : bool
        Whether gradients compute parts of the graph again (checkpoints), whose graphs are not followed: it then
        stands for those two levels alone.
    has_own_cycles : bool
        Whether the collector, which ran where the workload had it run and when all was over, freed arrays that
        objects of the workload's own held in a cycle: it then stands for a collector that comes at those moments
        alone.
    """

    events: list[Event] = field(default_factory=list)
    array_bytes: dict[int, int] = field(default_factory=dict)
    retain_grad: bool = False
    references: Literal["weak", "strong"] = "weak"
    accumulation: Literal["new", "in_place"] = "new"
    reads_kept_gradients: bool = False
    computes_again: bool = False
    has_own_cycles: bool = False
