"""The recorder: runs a workload once and writes down what it does to the engine.

It runs with the graph on and kept, weak references, dropped gradients and the collector off. Then whatever holds
a variable beside the inputs of living functions is the workload itself, and a count of references tells when it
lets go.
"""

import sys
import tracemalloc
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from toolkit.core.config import using_config
from toolkit.core.events import Listener, listening
from toolkit.core.function import Function
from toolkit.core.saving import Kept, Rounded
from toolkit.core.variable import Array, Operand, Variable
from toolkit.probes.traced import tracing_arrays
from toolkit.trials.collecting import collecting
from toolkit.trials.recording import (
    Born,
    Called,
    Cleared,
    Ended,
    Gradient,
    LetGo,
    Moment,
    Recording,
    Replaced,
    Stepped,
    Worked,
)

__all__ = ["record"]

#: `sys.getrefcount` counts its own argument and the name that it is called with.
_OWN_REFERENCES = 2


def record(
    workload: Callable[[], object],
    *,
    saves: Literal["inputs", "needed"] = "inputs",
    storage: Literal["exact", "float32", "float16"] = "exact",
) -> Recording:
    """Run `workload` once and return what it did.

    Whatever it raises passes through, and the core is left as it was. `saves` and `storage` are toggles that decide
    what a gradient is computed from, and so what comes and goes inside of it: a recording stands for one setting of
    them, and for every setting of the others.
    """
    recorder = _Recorder()
    with (
        using_config(
            references="weak",
            traversal="generation",
            retain_grad=False,
            enable_backprop=True,
            retain_graph=True,
            accumulation="new",
            saves=saves,
            storage=storage,
        ),
        collecting("off"),
        tracing_arrays(),
        listening(recorder),
        _hearing(recorder),
    ):
        result = workload()
        recorder.ended()
        del result
    return recorder.recording


class _Recorder(Listener):
    def __init__(self) -> None:
        self.recording = Recording()
        self._numbers = _Numbers()
        self._known = _KnownArrays(self.recording.array_bytes)
        self._variables: dict[int, weakref.ref[Variable]] = {}
        self._functions: dict[int, weakref.ref[Function]] = {}
        self._inputs: dict[int, tuple[tuple[bool, ...], tuple[int, ...]]] = {}
        self._uses: Counter[int] = Counter()
        self._held: set[int] = set()
        self._data: dict[int, int] = {}
        self._with_gradient: set[int] = set()
        self._in_call = self._in_step = False
        self._born_in_call: list[int] = []
        self._left_at = self._left_bytes = self._left_other_bytes = 0

    def calling(self) -> None:
        """Hear that a function is about to compute: from here on the peak is its own."""
        self._settle()
        self._in_call = True

    def born(self, variable: Variable) -> None:
        """Hear that a variable was made, by the workload or inside a call."""
        self._settle()
        number = self._numbers.of(variable)
        self._variables[number] = weakref.ref(variable, lambda _: self._died(number))
        self._held.add(number)
        self._data[number] = self._known.number_of(variable.data)
        if self._in_call:
            self._born_in_call.append(number)
        else:
            self.recording.events.append(Born(self._moment(), number, self._data[number]))

    def called(self, function: Function, inputs: tuple[Variable, ...], outputs: tuple[Variable, ...]) -> None:
        """Write down the call, and the leaves that it made of scalars and arrays among its inputs."""
        saved = tuple([self._known.number_of(array) for array in _saved_by(function)])
        moment = self._moment()
        made = tuple([self._numbers.of(y) for y in outputs])
        for number in self._born_in_call:
            if number not in made:
                self.recording.events.append(Born(Moment(moment.other_bytes, 0), number, self._data[number]))
        self._born_in_call = []
        self._in_call = False
        used = tuple([self._numbers.of(x) for x in inputs])
        recorded = hasattr(function, "inputs")
        held = tuple([place for place, x in enumerate(inputs) if recorded and function.inputs[place] is x])
        number = self._numbers.of(function)
        holds = [used[place] for place in held]
        self._uses.update(holds)
        self._inputs[number] = tuple([x.creator is None for x in inputs]), used
        self._functions[number] = weakref.ref(function, lambda _: self._function_died(number, holds))
        arrays = tuple([self._data[y] for y in made])
        self.recording.events.append(
            Called(moment, number, used, made, arrays, held if recorded else None, saved)
        )

    def going_back(self) -> None:
        """Hear that a backward pass is about to begin."""
        self._settle()

    def stepping(self) -> None:
        """Hear that a function is about to compute its gradients."""
        if self._in_step:
            raise NotImplementedError(
                "a backward pass inside of another, as a checkpoint makes one, is not simulated: its peak has a "
                "formula of its own in analysis.predictions"
            )
        self._in_step = True
        self._leave()

    def stepped(self, function: Function, gys: tuple[Any, ...], gxs: tuple[Any, ...]) -> None:
        """Write down that a function has computed its gradients, before they are passed on."""
        self._in_step = False
        if any(isinstance(gy, Variable) for gy in gys):
            raise NotImplementedError(
                "a backward pass that is itself recorded (create_graph) is not simulated"
            )
        number = self._numbers.of(function)
        given = tuple([self._gradient(gy) for gy in gys])
        returned = tuple([None if gx is None else self._gradient(np.asarray(gx)) for gx in gxs])
        leaves, used = self._inputs[number]
        self._with_gradient.update(
            [x for x, leaf, gx in zip(used, leaves, gxs, strict=True) if leaf and gx is not None]
        )
        self.recording.events.append(Stepped(self._moment(), number, given, returned))

    def _gradient(self, array: Array) -> Gradient:
        return Gradient(self._known.number_of(array), array.base is None, array.nbytes)

    def accumulated(
        self,
        earlier: Array,
        total: Array,
        output_gradients: tuple[Array, ...],
        input_gradients: tuple[Array | None, ...],
    ) -> None:
        """Know the sum of two gradients; the simulation counts it."""
        self._known.number_of(total)
        self._leave()

    def backward_step(
        self,
        function: Function,
        output_gradients: tuple[Array, ...],
        input_gradients: tuple[Array | None, ...],
    ) -> None:
        """Leave out the peak of passing gradients on, which the simulation counts."""
        self._leave()

    def returned(self) -> None:
        """Hear that the core hands back to the workload, which goes on from what is alive now."""
        self._leave()

    def ended(self) -> None:
        """Write down the end, while the result is held."""
        self._settle()
        self.recording.events.append(Ended(self._moment()))

    def _settle(self) -> None:
        """Write down what the workload has done by itself since the last event."""
        if not self._in_call:
            peak = tracemalloc.get_traced_memory()[1]
            if peak > self._left_bytes:
                # Whether the peak came before or after what the workload has let go of is not known: it is
                # counted from what was alive when the core was left.
                worked = Worked(Moment(self._left_other_bytes, peak - self._left_bytes))
                self.recording.events.insert(self._left_at, worked)
            self._leave()
        for number, reference in list(self._variables.items()):
            variable = reference()
            if variable is None:
                continue
            references = sys.getrefcount(variable) - _OWN_REFERENCES
            if number in self._held and references <= self._uses[number]:
                self._let_go(number)
            if number in self._with_gradient and variable.grad is None:
                self._with_gradient.discard(number)
                self.recording.events.append(Cleared(number))
            array = self._known.number_of(variable.data)
            if array != self._data[number]:
                self._data[number] = array
                self.recording.events.append(Replaced(number, array))

    def _died(self, number: int) -> None:
        del self._variables[number]
        if number in self._held:
            self._let_go(number)

    def _let_go(self, number: int) -> None:
        self._held.discard(number)
        self.recording.events.append(LetGo(number))

    def _function_died(self, number: int, held: list[int]) -> None:
        del self._functions[number], self._inputs[number]
        self._uses.subtract(held)

    def _moment(self) -> Moment:
        """Return what else is alive now, and how far the peak since the core was left lay above."""
        current, peak = tracemalloc.get_traced_memory()
        # A peak no higher than where the core was left says nothing of what came since.
        above = peak - current if peak > self._left_bytes else 0
        self._leave()
        return Moment(self._left_other_bytes, above)

    def _leave(self) -> None:
        tracemalloc.reset_peak()
        self._left_at = len(self.recording.events)
        self._left_bytes = tracemalloc.get_traced_memory()[0]
        self._left_other_bytes = self._left_bytes - self._known.alive_bytes


class _Numbers:
    """Numbers for objects: addresses, told apart in time by noticing when an object goes."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._next = 0

    def of(self, thing: Any) -> int:
        number = self._numbers.get(id(thing))
        if number is None:
            number = self._numbers[id(thing)] = self._next
            self._next += 1
            weakref.finalize(thing, self._numbers.pop, id(thing))
        return number


class _KnownArrays:
    """The arrays that belong to variables and gradients: their numbers, and how many bytes of them are alive."""

    def __init__(self, array_bytes: dict[int, int]) -> None:
        self.alive_bytes = 0
        self._array_bytes = array_bytes
        self._numbers = _Numbers()

    def number_of(self, array: Array) -> int:
        owner = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        number = self._numbers.of(owner)
        if number not in self._array_bytes:
            self._array_bytes[number] = owner.nbytes
            self.alive_bytes += owner.nbytes
            weakref.finalize(owner, self._freed, owner.nbytes)
        return number

    def _freed(self, array_bytes: int) -> None:
        self.alive_bytes -= array_bytes


def _saved_by(function: Function) -> Iterator[Array]:
    """Yield the arrays that a function keeps beside its inputs, but for those that somebody handed to it."""
    kept = getattr(function, "output_data", None)
    stand_ins = [x.rounded for x in getattr(function, "inputs", ()) if isinstance(x, Kept)]
    for one in [kept, *stand_ins]:
        if one is not None:
            yield one.array if isinstance(one, Rounded) else one
    for name in function.keeps:
        array = getattr(function, name, None)
        if isinstance(array, np.ndarray) and sys.getrefcount(array) <= _OWN_REFERENCES + 1:
            yield array


@contextmanager
def _hearing(recorder: _Recorder) -> Iterator[None]:
    """Let the recorder hear what the core tells nobody: births, and the beginnings of calls and steps."""
    make, call, go_back = Variable.__init__, Function.__call__, Variable.backward
    heard: dict[type[Function], Any] = {}

    def __init__(self: Variable, data: Array, name: str | None = None) -> None:
        make(self, data, name)
        recorder.born(self)

    def __call__(self: Function, *inputs: Operand) -> Any:
        recorder.calling()
        outputs = call(self, *inputs)
        hear_steps_of(type(self))
        recorder.returned()
        return outputs

    def backward(self: Variable, *settings: Any, **named: Any) -> None:
        recorder.going_back()
        go_back(self, *settings, **named)
        recorder.returned()

    def hear_steps_of(kind: type[Function]) -> None:
        if kind in heard:
            return
        heard[kind] = kind.__dict__.get("backward")
        plain = kind.backward

        def step(self: Function, *gys: Any) -> Any:
            recorder.stepping()
            gxs = plain(self, *gys)
            recorder.stepped(self, gys, gxs if type(gxs) is tuple else (gxs,))
            return gxs

        kind.backward = step  # type: ignore[method-assign]

    changes = {
        (Variable, "__init__"): __init__,
        (Function, "__call__"): __call__,
        (Variable, "backward"): backward,
    }
    for (owner, name), change in changes.items():
        setattr(owner, name, change)
    try:
        yield
    finally:
        for (owner, name), plain in zip(changes, (make, call, go_back), strict=True):
            setattr(owner, name, plain)
        for kind, own in heard.items():
            if own is None:
                del kind.backward
            else:
                kind.backward = own  # type: ignore[method-assign]
