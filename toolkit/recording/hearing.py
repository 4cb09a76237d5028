"""What the core tells nobody, heard all the same: births, beginnings, slots read and set, gradients passed on.

For the time of a recording, and for that alone, its methods are wrapped.
"""

import gc
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from toolkit.core.backward import _Pass
from toolkit.core.config import Config
from toolkit.core.function import Function
from toolkit.core.saving import StandIn
from toolkit.core.variable import Array, Operand, Variable

if TYPE_CHECKING:
    from toolkit.recording.passes import Passes
    from toolkit.recording.recorder import Recorder

__all__ = ["hearing"]

TraceFunction: TypeAlias = Callable[[FrameType, str, Any], Any]
#: Where no line is the workload's own; the standard library, dataclasses too, serves the recorder as well.
_NOT_OF_THE_WORKLOAD = (
    f"{Path(__file__).parents[1]}{os.sep}",
    f"{Path(np.__file__).parent}{os.sep}",
    f"{Path(Counter.subtract.__code__.co_filename).parents[1]}{os.sep}",
    "<frozen",
    "<string>",
)


@contextmanager
def hearing(recorder: "Recorder") -> Iterator[None]:
    """Let the recorder hear all inside the block, and leave the core as it was, also on errors."""
    with ExitStack() as undo:
        _hear_variables(recorder, undo)
        _hear_calls(recorder, undo)
        _hear_passes(recorder.passes, undo)
        gc.callbacks.append(recorder.collected)
        undo.callback(gc.callbacks.remove, recorder.collected)
        _hear_lines(recorder, undo)
        yield


def _put(undo: ExitStack, owner: type, name: str, change: Any) -> None:
    undo.callback(setattr, owner, name, owner.__dict__[name])
    setattr(owner, name, change)


def _hear_variables(recorder: "Recorder", undo: ExitStack) -> None:
    make, unchain = Variable.__init__, Variable.unchain

    def __init__(self: Variable, data: Array, name: str | None = None) -> None:
        make(self, data, name)
        recorder.born(self)

    def heard_unchain(self: Variable) -> None:
        recorder.unchained(self)
        unchain(self)

    _put(undo, Variable, "__init__", __init__)
    _put(undo, Variable, "unchain", heard_unchain)
    for name in ("data", "grad"):
        _put(undo, Variable, name, _heard_slot(recorder, name, Variable.__dict__[name]))


def _heard_slot(recorder: "Recorder", name: str, slot: Any) -> property:
    def read(self: Variable) -> Any:
        value = slot.__get__(self)
        recorder.asked(self, name, value)
        return value

    def write(self: Variable, value: Any) -> None:
        if not isinstance(self, StandIn) and _is_set(slot, self):
            recorder.setting(self, name, value)
        slot.__set__(self, value)

    return property(read, write)


def _hear_lines(recorder: "Recorder", undo: ExitStack) -> None:
    """Let the recorder look at every line of the workload, for names that it lets go of in between.

    An array that is freed says nothing of what comes after it: without this, an array made by the workload itself
    would be counted beside those that it dropped just before.
    """

    def at_call(frame: FrameType, _: str, __: object) -> TraceFunction | None:
        return None if frame.f_code.co_filename.startswith(_NOT_OF_THE_WORKLOAD) else at_line

    def at_line(_: FrameType, event: str, __: object) -> TraceFunction:
        if event == "line":
            recorder.at_line()
        return at_line

    undo.callback(sys.settrace, sys.gettrace())
    sys.settrace(at_call)


def _is_set(slot: Any, variable: Variable) -> bool:
    try:
        slot.__get__(variable)
    except AttributeError:
        return False
    return True


def _hear_calls(recorder: "Recorder", undo: ExitStack) -> None:
    apply, save = Function.apply, Function._save
    heard: set[type] = set()

    def heard_apply(self: Function, *inputs: Operand) -> Any:
        recorder.calling()
        try:
            return apply(self, *inputs)
        finally:
            _hear_steps_of(type(self), recorder.passes, undo, heard)
            recorder.call_ended()

    def heard_save(self: Function, outputs: tuple[Variable, ...], config: Config) -> None:
        recorder.saving()
        save(self, outputs, config)

    _put(undo, Function, "apply", heard_apply)
    _put(undo, Function, "_save", heard_save)


def _hear_steps_of(kind: type[Function], passes: "Passes", undo: ExitStack, heard: set[type]) -> None:
    owner = next(one for one in kind.__mro__ if "backward" in one.__dict__)
    if owner in heard:
        return
    heard.add(owner)
    plain: Callable[..., Any] = owner.__dict__["backward"]

    def step(self: Function, *gys: Any) -> Any:
        followed = passes.stepping()
        gxs: Any = ()
        try:
            gxs = plain(self, *gys)
        finally:
            passes.stepped(self, gys, gxs if type(gxs) is tuple else (gxs,), followed=followed)
        return gxs

    _put(undo, owner, "backward", step)


def _hear_passes(passes: "Passes", undo: ExitStack) -> None:
    go_back, begin, arrive, do_step = Variable.backward, _Pass.__init__, _Pass.arrive, _Pass._step

    def backward(
        self: Variable,
        retain_grad: bool | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> None:
        passes.going_back(self, retain_grad, retain_graph)
        finished = False
        try:
            go_back(self, retain_grad, retain_graph, create_graph)
            finished = True
        finally:
            passes.gone_back(self, finished=finished)

    def __init__(self: _Pass, **settings: Any) -> None:
        passes.passing(create_graph=settings["create_graph"], wanted=settings.get("wanted") is not None)
        begin(self, **settings)

    def heard_arrive(self: _Pass, x: Variable, gx: Any, gys: Any = (), gxs: Any = ()) -> None:
        arrive(self, x, gx, gys, gxs)
        passes.arrived(x, gx)

    def heard_step(self: _Pass, function: Function) -> None:
        passes.step_begins(function)
        do_step(self, function)
        del function
        passes.step_ended()

    _put(undo, Variable, "backward", backward)
    _put(undo, _Pass, "__init__", __init__)
    _put(undo, _Pass, "arrive", heard_arrive)
    _put(undo, _Pass, "_step", heard_step)
