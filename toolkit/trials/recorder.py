"""The recorder: runs a workload once and writes down what it does to the engine.

It runs with the graph on and kept, weak references and the collector off. Then whatever holds a variable, a
function or an array beside the living parts of the graph is the workload itself, and a count of references tells
when it takes and lets go.
"""

import gc
import sys
import threading
import tracemalloc
import weakref
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from typing import Any, Literal

import numpy as np

from toolkit.core.config import current_config, named_toggles, using_config
from toolkit.core.events import Listener, listening
from toolkit.core.function import Function
from toolkit.core.saving import Kept, Rounded, StandIn
from toolkit.core.variable import Array, Variable
from toolkit.probes.traced import tracing_arrays
from toolkit.trials.collecting import collecting
from toolkit.trials.hearing import hearing
from toolkit.trials.holding import OWN_REFERENCES, Arrays, Numbers, attributes_of, kept_by, saved_by
from toolkit.trials.recording import (
    ArrayLetGo,
    ArrayTaken,
    Born,
    Called,
    Collected,
    Ended,
    FunctionLetGo,
    GaveUp,
    Gradient,
    GradientSet,
    Iterated,
    LetGo,
    Moment,
    PassedOn,
    Recording,
    Replaced,
    StepEnded,
    Stepped,
    Unchained,
    WentBack,
    Worked,
)

__all__ = ["Recorder", "UnpredictableError", "record"]


class UnpredictableError(Exception):
    """The workload does something whose memory the simulation does not know; the message says what."""


def record(
    workload: Callable[[], object],
    *,
    saves: Literal["inputs", "needed"] = "inputs",
    storage: Literal["exact", "float32", "float16"] = "exact",
    retain_grad: bool = False,
    references: Literal["weak", "strong"] = "weak",
    accumulation: Literal["new", "in_place"] = "new",
    recorder: "Recorder | None" = None,
) -> Recording:
    """Run `workload` once and return what it did, and let the collector run when all is over.

    `saves` and `storage` are toggles that decide what a gradient is computed from, and so what comes and goes
    inside of it: a recording stands for one setting of them, and for every setting of the others, but see
    `Recording`.

    Parameters
    ----------
    workload : callable
        Whatever it raises passes through, and the core is left as it was.
    saves, storage, retain_grad, references, accumulation
        As in `toolkit.Config`.
    recorder : Recorder, optional
        For a workload that tells of its steps by `Recorder.iterated`.

    Raises
    ------
    UnpredictableError
        The workload records a backward pass, calls `toolkit.core.backward.gradients`, or sets a toggle inside of
        which nothing is simulated.
    """
    recorder = recorder or Recorder()
    recording = recorder.recording
    recording.retain_grad, recording.references, recording.accumulation = (
        retain_grad,
        references,
        accumulation,
    )
    # Whatever is named here counts as set by the workload: what it leaves to the mode must not be.
    named: dict[str, object] = {"saves": saves, "storage": storage}
    if retain_grad:
        named["retain_grad"] = True
    if references != "weak":
        named["references"] = references
    if accumulation != "new":
        named["accumulation"] = accumulation

    def run() -> None:
        with (
            using_config(**named),
            collecting("off"),
            tracing_arrays(),
            listening(recorder),
            hearing(recorder),
        ):
            result = workload()
            recorder.ended()
            gc.collect()
            del result

    # In a context of its own every toggle is at its default, and none is named but what is named here.
    Context().run(run)
    if recorder.refusal is not None:
        raise UnpredictableError(recorder.refusal)
    return recorder.recording


class _Made:
    """A living function: what it was called with, and what of it the engine is known to hold."""

    __slots__ = ("creators", "inputs", "reference", "saved", "slots")

    def __init__(
        self,
        reference: "weakref.ref[Function]",
        inputs: list[int],
        creators: list[int],
        saved: list[int],
        slots: list[int],
    ) -> None:
        self.reference = reference
        self.inputs = inputs
        self.creators = creators
        self.saved = saved
        self.slots = slots


class Recorder(Listener):
    """What hears the core, and writes a recording.

    Attributes
    ----------
    recording : Recording
    refusal : str or None
        Why the workload cannot be simulated.
    """

    def __init__(self) -> None:
        self.recording = Recording()
        self.refusal: str | None = None
        self._numbers = Numbers()
        self._arrays = Arrays(self.recording.array_bytes)
        self._variables: dict[int, weakref.ref[Variable]] = {}
        self._functions: dict[int, _Made] = {}
        #: How many living functions refer to a variable as an input, and how many variables to a function.
        self._uses: Counter[int] = Counter()
        self._children: Counter[int] = Counter()
        self._held: set[int] = set()
        self._held_functions: set[int] = set()
        self._held_arrays: Counter[int] = Counter()
        self._data: dict[int, int] = {}
        #: The `id` of the arrays in the slots of a variable.
        self._slots: dict[int, dict[str, int]] = {}
        self._creator: dict[int, int] = {}
        self._outputs: dict[int, tuple[int, ...]] = {}
        self._calling = False
        self._stepping = self._passing = 0
        self._born_in_call: list[int] = []
        self._total: Gradient | None = None
        self._step: tuple[int, list[weakref.ref[Variable]]] = 0, []
        self._left_at = self._left_bytes = self._left_other_bytes = 0
        self._above_unsaved_bytes: int | None = None
        #: How many events there were, and what else was alive, when a collection began.
        self._before_collection = 0, 0
        self._has_ended = False
        self._thread = threading.get_ident()

    @property
    def _deaf(self) -> bool:
        # What a gradient computes again comes and goes inside of it.
        return bool(self._stepping) or self.refusal is not None

    @property
    def _inside(self) -> bool:
        return self._calling or bool(self._passing)

    def refuse(self, reason: str) -> None:
        """Remember the first thing that cannot be simulated."""
        self.refusal = self.refusal or reason

    # What the workload does.

    def calling(self) -> None:
        """Hear that a function is about to compute: from here on the peak is its own."""
        if self._stepping:
            self.recording.computes_again = True
        if self._deaf:
            return
        self._check_toggles()
        self._settle()
        self._calling = True

    def saving(self) -> None:
        """Hear that a function has computed and is about to save what its gradient needs."""
        if not self._deaf:
            current, peak = tracemalloc.get_traced_memory()
            self._above_unsaved_bytes = peak - current

    def call_ended(self) -> None:
        """Hear that a call is over, also where it raised."""
        if not self._deaf:
            self._calling = False
            self._born_in_call = []
            self._leave()

    def born(self, variable: Variable) -> None:
        """Hear that a variable was made, by the workload or inside a call."""
        if self._deaf:
            return
        self._settle()
        number = self._know(variable)
        if self._calling:
            self._born_in_call.append(number)
        else:
            self.recording.events.append(Born(self._moment(), number, self._data[number]))

    def _know(self, variable: Variable) -> int:
        number = self._numbers.of(variable)
        self._variables[number] = weakref.ref(variable, lambda _: self._died(number))
        self._held.add(number)
        data = variable.data
        self._data[number] = self._arrays.number_of(data)
        self._arrays.hold(data)
        self._slots[number] = {"data": id(data)}
        return number

    def _known(self, variable: Variable) -> int:
        """Return the number of a variable, which may have been made before the recording began."""
        number = self._numbers.known(variable)
        if number is not None:
            return number
        if variable.creator is not None:
            self.refuse("it goes on with a graph that was made before it began")
        number = self._know(variable)
        self.recording.events.append(Born(Moment(self._other_bytes(), 0), number, self._data[number]))
        if variable.grad is not None:
            gradient = self._gradient(variable.grad)
            self._arrays.hold(variable.grad)
            self._slots[number]["grad"] = id(variable.grad)
            self.recording.events.append(GradientSet(number, gradient))
        return number

    def asked(self, variable: Variable, name: str, array: Any) -> None:
        """Hear that somebody reads the data or the gradient of a variable."""
        if self._inside or self._deaf:
            return
        number = self._known(variable)
        if name == "grad" and number in self._creator:
            self.recording.reads_kept_gradients = True
        if isinstance(array, np.ndarray):
            self._work()
            self._arrays.asked_for(array)
            if name == "grad" and "grad" not in self._slots[number]:
                self._arrays.hold(array)
                self._slots[number]["grad"] = id(array)

    def setting(self, variable: Variable, name: str, array: Any) -> None:
        """Hear that data or a gradient is about to be set, by the engine or by the workload."""
        number = self._numbers.known(variable)
        if number is None and not self._inside and not self._deaf:
            number = self._known(variable)
        if number is None or number not in self._slots or self.refusal is not None:
            return
        if not self._inside and not self._stepping:
            self._settle()
            self._set_by_workload(number, name, array)
        slots = self._slots[number]
        if name in slots:
            self._arrays.drop(slots.pop(name))
        if isinstance(array, np.ndarray):
            self._arrays.number_of(array)
            self._arrays.hold(array)
            slots[name] = id(array)

    def _set_by_workload(self, number: int, name: str, array: Any) -> None:
        if name == "grad":
            gradient = self._gradient(array) if isinstance(array, np.ndarray) else None
            self.recording.events.append(GradientSet(number, gradient))
        elif isinstance(array, np.ndarray):
            owner = self._arrays.number_of(array)
            if owner != self._data[number]:
                self._data[number] = owner
                self.recording.events.append(Replaced(number, owner))
        self._leave()

    def unchained(self, variable: Variable) -> None:
        """Hear that a variable is cut off from the function that made it."""
        if self._deaf:
            return
        self._settle()
        number = self._known(variable)
        creator = self._creator.pop(number, None)
        if creator is not None:
            self._children[creator] -= 1
            self.recording.events.append(Unchained(number))

    def at_line(self) -> None:
        """Hear that the workload goes on with another line: what it let go of before was gone by now."""
        if not self._inside and not self._deaf:
            self._settle()

    def collected(self, phase: str, told: dict[str, int]) -> None:
        """Hear that the workload has the collector run, or the end: by itself it does not here."""
        if self._inside or self._deaf:
            return
        self._settle()
        events = self.recording.events
        if phase == "start":
            self._before_collection = len(events), self._other_bytes()
            return
        known, other_bytes = self._before_collection
        # What the engine's own cycles held, the workload held no more before.
        let_go = any(isinstance(event, LetGo | FunctionLetGo | ArrayLetGo) for event in events[known:])
        if let_go or self._other_bytes() < other_bytes:
            self.recording.has_own_cycles = True
        if not self._has_ended:
            events.append(Collected(told["generation"]))

    def iterated(self, step: int, steps: int) -> None:
        """Hear that a step of the workload's own has ended."""
        if not self._deaf:
            self._settle()
            self.recording.events.append(Iterated(step, steps))

    def ended(self) -> None:
        """Write down the end, while the result is held."""
        self._settle()
        self.recording.events.append(Ended(self._moment()))
        self._has_ended = True

    # What the engine does.

    def called(self, function: Function, inputs: tuple[Variable, ...], outputs: tuple[Variable, ...]) -> None:
        """Write down the call, and the leaves that it made of scalars and arrays among its inputs."""
        if self._deaf:
            return
        used = tuple([self._known(x) for x in inputs])
        saved = [*saved_by(function)]
        keeps = [*kept_by(function)]
        attributes = [*attributes_of(function)]
        saved_numbers, keeps_numbers, attribute_numbers = [
            tuple([self._number_of(one) for one in held]) for held in (saved, keeps, attributes)
        ]
        moment = self._moment()
        unsaved, self._above_unsaved_bytes = self._above_unsaved_bytes, None
        made = tuple([self._numbers.of(y) for y in outputs])
        for number in self._born_in_call:
            if number not in made:
                self.recording.events.append(Born(Moment(moment.other_bytes, 0), number, self._data[number]))
        self._born_in_call = []
        number = self._numbers.of(function)
        kept_inputs = getattr(function, "inputs", None)
        held: tuple[int, ...] = ()
        creators: list[int] = []
        if kept_inputs is not None:
            held = tuple([place for place, x in enumerate(inputs) if kept_inputs[place] is x])
            creators = [
                self._numbers.of(x.creator)
                for x in kept_inputs
                if isinstance(x, StandIn) and x.creator is not None
            ]
            self._creator.update(dict.fromkeys(made, number))
            self._outputs[number] = made
            self._children[number] += len(made)
        holds = [used[place] for place in held]
        self._uses.update(holds)
        self._children.update(creators)
        self._functions[number] = _Made(
            weakref.ref(function, lambda _: self._function_died(number)),
            holds,
            creators,
            self._slots_of([*saved, *keeps]),
            self._slots_of(attributes),
        )
        self._held_functions.add(number)
        config, named = current_config(), named_toggles()
        self.recording.events.append(
            Called(
                moment,
                number,
                used,
                made,
                tuple([self._data[y] for y in made]),
                held,
                saved_numbers,
                keeps_numbers,
                attribute_numbers,
                self._rounded(function, used, made),
                moment.above_bytes if unsaved is None else unsaved,
                config.enable_backprop if "enable_backprop" in named else None,
                config.references if "references" in named else None,
            )
        )
        if config.references == "strong" and kept_inputs is not None:
            # The function refers to its outputs itself: nothing but that tells them from the workload's own.
            self._uses.update(made)
            self._functions[number].inputs.extend(made)

    def _number_of(self, one: Array | Rounded) -> int:
        return (
            self._arrays.number_of(one.array, private=True)
            if isinstance(one, Rounded)
            else self._arrays.number_of(one)
        )

    def _rounded(
        self, function: Function, used: tuple[int, ...], made: tuple[int, ...]
    ) -> tuple[tuple[int, int], ...]:
        sources = [
            (x.rounded, variable)
            for x, variable in zip(getattr(function, "inputs", ()), used, strict=False)
            if isinstance(x, Kept)
        ]
        output = getattr(function, "output_data", None)
        if isinstance(output, Rounded):
            sources.append((output, made[0]))
        return tuple([(self._number_of(rounded), variable) for rounded, variable in sources])

    def _slots_of(self, held: list[Any]) -> list[int]:
        keys = []
        for one in held:
            if isinstance(one, np.ndarray):
                self._arrays.hold(one)
                keys.append(id(one))
        return keys

    def going_back(self, root: Variable, retain_grad: bool | None, retain_graph: bool | None) -> None:
        """Hear that a backward pass is about to begin."""
        if self._deaf:
            return
        self._check_toggles()
        self._settle()
        config, named = current_config(), named_toggles()
        number = self._known(root)
        if retain_grad is None and "retain_grad" in named:
            retain_grad = config.retain_grad
        if retain_graph is None and "retain_graph" in named:
            retain_graph = config.retain_graph
        accumulation = config.accumulation if "accumulation" in named else None
        self.recording.events.append(WentBack(number, retain_grad, retain_graph, accumulation))
        self._passing += 1

    def gone_back(self, root: Variable, *, finished: bool) -> None:
        """Hear that a backward pass is over, or that it raised."""
        if self._deaf or not self._passing:
            return
        if not finished:
            self.recording.events.append(GaveUp())
        number = self._numbers.known(root)
        if number is not None and number not in self._creator and root.grad is not None:
            # A leaf: the pass ended where it began.
            self.recording.events.append(GradientSet(number, self._gradient(root.grad)))
        self._passing -= 1
        self._leave()

    def passing(self, *, create_graph: bool, wanted: bool) -> None:
        """Hear how a pass goes about it."""
        if self._stepping:
            self.recording.computes_again = True
        elif create_graph:
            self.refuse("it records a backward pass (create_graph)")
        elif wanted:
            self.refuse("it calls gradients")

    def arrived(self, variable: Variable, gradient: Any) -> None:
        """Write down that a gradient was passed on, and the sum that it became part of."""
        if self._deaf:
            return
        # A stand-in is where a variable of the graph was, which it names by its creator.
        number = self._numbers.known(variable)
        if number is None and isinstance(variable, StandIn):
            number = self._output_of(variable)
        if number is None:
            number = self._known(variable)
        self.recording.events.append(PassedOn(number, self._gradient(np.asarray(gradient)), self._total))
        self._total = None
        self._leave()

    def _output_of(self, stand_in: StandIn) -> int:
        assert stand_in.creator is not None
        return self._outputs[self._numbers.of(stand_in.creator)][stand_in.position]

    def stepping(self) -> bool:
        """Hear that a function is about to compute its gradients; return whether it is followed."""
        followed = not self._deaf
        if followed:
            self._leave()
        self._stepping += 1
        return followed

    def stepped(self, function: Function, gys: tuple[Any, ...], gxs: Any, *, followed: bool) -> None:
        """Write down that a function has computed its gradients, before they are passed on."""
        self._stepping -= 1
        if not followed or self._deaf:
            return
        given = tuple([self._gradient(gy) for gy in gys])
        returned = tuple([None if gx is None else self._gradient(np.asarray(gx)) for gx in gxs])
        self.recording.events.append(Stepped(self._moment(), self._numbers.of(function), given, returned))

    def step_begins(self, function: Function) -> None:
        """Remember whose step it is."""
        if not self._deaf:
            outputs = function.outputs
            self._step = (
                self._numbers.of(function),
                [y if isinstance(y, weakref.ref) else weakref.ref(y) for y in outputs],
            )

    def step_ended(self) -> None:
        """Write down that a step is over, and what it left."""
        if self._deaf:
            return
        number, outputs = self._step
        kept = []
        for reference in outputs:
            y = reference()
            kept.append(None if y is None or y.grad is None else self._gradient(y.grad))
        self.recording.events.append(StepEnded(number, tuple(kept)))
        made = self._functions.get(number)
        function = made and made.reference()
        if made is not None and function is not None and not hasattr(function, "inputs"):
            self._emptied(made)
        self._leave()

    def _gradient(self, array: Array) -> Gradient:
        return Gradient(self._arrays.number_of(array), array.base is None, array.nbytes)

    def accumulated(
        self,
        earlier: Array,
        total: Array,
        output_gradients: tuple[Array, ...],
        input_gradients: tuple[Array | None, ...],
    ) -> None:
        """Remember the sum of two gradients until it has arrived; the simulation counts it."""
        if self._deaf:
            return
        self._total = self._gradient(total)
        self._leave()

    # Who holds what.

    def _check_toggles(self) -> None:
        config = current_config()
        if threading.get_ident() != self._thread:
            self.refuse("it computes in a thread of its own, which starts from the default of every toggle")
        if config.buffers != "fresh":
            self.refuse('it sets buffers="reused"')
        if config.traversal != "generation":
            self.refuse('it sets traversal="lifo"')

    def _settle(self) -> None:
        """Write down what the workload has done by itself since the last event."""
        if self._inside:
            return
        self._work()
        events = self.recording.events
        taken = self._arrays.held_by_others()
        events.extend([ArrayTaken(array) for array in taken if array not in self._held_arrays])
        for number in [*self._held]:
            if _references(self._variables[number]) <= self._uses[number]:
                self._let_go(number)
        for number in [*self._held_functions]:
            if _references(self._functions[number].reference) <= self._children[number]:
                self._let_go_function(number)
        events.extend([ArrayLetGo(array) for array in self._held_arrays if array not in taken])
        self._held_arrays = taken

    def _work(self) -> None:
        peak = tracemalloc.get_traced_memory()[1]
        if peak > self._left_bytes:
            # Whether the peak came before or after what the workload has let go of is not known: it is
            # counted from what was alive when the core was left.
            worked = Worked(Moment(self._left_other_bytes, peak - self._left_bytes))
            self.recording.events.insert(self._left_at, worked)
        self._leave()

    def _died(self, number: int) -> None:
        del self._variables[number]
        for key in self._slots.pop(number).values():
            self._arrays.drop(key)
        creator = self._creator.pop(number, None)
        if creator is not None:
            self._children[creator] -= 1
        if number in self._held:
            self._let_go(number)

    def _let_go(self, number: int) -> None:
        self._held.discard(number)
        self.recording.events.append(LetGo(number))

    def _let_go_function(self, number: int) -> None:
        self._held_functions.discard(number)
        self.recording.events.append(FunctionLetGo(number))

    def _function_died(self, number: int) -> None:
        made = self._functions.pop(number)
        self._outputs.pop(number, None)
        self._emptied(made)
        for key in made.slots:
            self._arrays.drop(key)
        if number in self._held_functions:
            self._let_go_function(number)

    def _emptied(self, made: _Made) -> None:
        self._uses.subtract(made.inputs)
        self._children.subtract(made.creators)
        for key in made.saved:
            self._arrays.drop(key)
        made.inputs, made.creators, made.saved = [], [], []

    def _moment(self) -> Moment:
        """Return what else is alive now, and how far the peak since the core was left lay above."""
        current, peak = tracemalloc.get_traced_memory()
        # A peak no higher than where the core was left says nothing of what came since.
        above = peak - current if peak > self._left_bytes else 0
        self._leave()
        return Moment(self._left_other_bytes, above)

    def _other_bytes(self) -> int:
        return tracemalloc.get_traced_memory()[0] - self._arrays.alive_bytes

    def _leave(self) -> None:
        tracemalloc.reset_peak()
        self._left_at = len(self.recording.events)
        self._left_bytes = tracemalloc.get_traced_memory()[0]
        self._left_other_bytes = self._left_bytes - self._arrays.alive_bytes


def _references(reference: "weakref.ref[Any]") -> int:
    one = reference()
    return sys.getrefcount(one) - OWN_REFERENCES
