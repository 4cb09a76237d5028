"""The memory of a recorded workload under any mode: the lifetime of every array, by the rules of the engine.

The rules are those of reference counting, and beside them two: with strong references a function and its outputs
hold each other, and what nothing else holds waits for the collector, which works as `analysis.counting` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Mode", "Simulated"]


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A setting of the toggles, and of the collector.

    Attributes
    ----------
    references, retain_grad, enable_backprop, retain_graph, accumulation
        As in `toolkit.Config`. What a gradient is computed from (`saves`, `storage`) belongs to the recording.
    thresholds : sequence of three int, or None
        `gc.get_threshold()`; None where the collector is off.
    every : int or None
        After how many steps a full collection follows.
    at_epoch_end : bool
        Whether one follows the last step of an epoch.
    counted : int
        How many objects of the youngest generation the collector had counted when the workload began.
    """

    references: Literal["weak", "strong"] = "weak"
    retain_grad: bool = False
    enable_backprop: bool = True
    retain_graph: bool = True
    accumulation: Literal["new", "in_place"] = "new"
    thresholds: Sequence[int] | None = None
    every: int | None = None
    at_epoch_end: bool = False
    counted: int = 0


@dataclass(frozen=True)
class Simulated:
    """What a workload would need.

    Attributes
    ----------
    peak_bytes : int
        The most array data alive at any moment.
    end_bytes : int or None
        The array data alive when the workload has returned and its result is held. None where a collection that
        comes by counts of objects has freed, or could have freed, some of it: when exactly hangs on single objects,
        and with it what is left.
    exact : bool
        False where such collections decide the peak too.
    has_cycles : bool
        Whether functions and their outputs hold each other, so that it matters when the collector comes.
    """

    peak_bytes: int
    end_bytes: int | None
    exact: bool = True
    has_cycles: bool = False
