"""The recorder: runs a workload once and writes down what it does to the engine.

It runs with the graph on, weak references, dropped gradients and the collector off. Then whatever holds a variable
beside the inputs of living functions is the workload itself, and a count of references tells when it lets go.
"""

import sys
import tracemalloc
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from toolkit.core.config import using_config
from toolkit.core.events import Listener, listening
from toolkit.core.function import Function
from toolkit.core.variable import Array, Operand, Variable
from toolkit.probes.traced import tracing_arrays
from toolkit.trials.collecting import collecting
from toolkit.trials.recording import (
    Born,
    Called,
    Cleared,
    Ended,
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


def record(workload: Callable[[], object]) -> Recording:
    """Run `workload` once and return what it did.

    Whatever it raises passes through, and the core is left as it was.
    """
    recorder = _Recorder()
    with (
        using_config(references="weak", traversal="generation", retain_grad=False, enable_backprop=True),
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
        self._uses: Counter[int] = Counter()
        self._held: set[int] = set()
        self._data: dict[int, int] = {}
        self._with_gradient: set[int] = set()
        self._in_call = False
        self._born_in_call: list[int] = []
        self._left_bytes = self._left_other_bytes = 0

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
        moment = self._moment()
        made = tuple([self._numbers.of(y) for y in outputs])
        for number in self._born_in_call:
            if number not in made:
                self.recording.events.append(Born(Moment(moment.other_bytes, 0), number, self._data[number]))
        self._born_in_call = []
        self._in_call = False
        used = tuple([self._numbers.of(x) for x in inputs])
        number = self._numbers.of(function)
        self._uses.update(used)
        self._functions[number] = weakref.ref(function, lambda _: self._function_died(number, used))
        arrays = tuple([self._data[y] for y in made])
        self.recording.events.append(Called(moment, number, used, made, arrays))

    def going_back(self) -> None:
        """Hear that a backward pass is about to begin."""
        self._settle()

    def stepping(self) -> None:
        """Hear that a function is about to compute its gradients."""
        self._leave()

    def backward_step(
        self,
        function: Function,
        output_gradients: tuple[Array, ...],
        input_gradients: tuple[Array | None, ...],
    ) -> None:
        """Write down the step."""
        for y in function.live_outputs():
            if y is not None:
                self._known.pass_on_sum(self._numbers.of(y))
        given = tuple([self._known.number_of(gradient) for gradient in output_gradients])
        returned = tuple(
            [None if gradient is None else self._known.number_of(gradient) for gradient in input_gradients]
        )
        for x, gradient in zip(function.inputs, input_gradients, strict=True):
            if gradient is None:
                continue
            if x.creator is None:
                self._with_gradient.add(self._numbers.of(x))
                if x.grad is not None:
                    self._known.number_of(x.grad)
            else:
                self._known.arrive(self._numbers.of(x), x.data.nbytes)
        moment = self._moment()
        self.recording.events.append(Stepped(moment, self._numbers.of(function), given, returned))

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
                # It is not known whether the peak came before or after what the workload let go of.
                self.recording.events.append(Worked(Moment(self._left_other_bytes, peak - self._left_bytes)))
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

    def _function_died(self, number: int, used: tuple[int, ...]) -> None:
        del self._functions[number]
        self._uses.subtract(used)

    def _moment(self) -> Moment:
        """Return what else is alive now, and how far the peak since the core was left lay above."""
        current, peak = tracemalloc.get_traced_memory()
        # A peak no higher than where the core was left says nothing of what came since.
        above = peak - current if peak > self._left_bytes else 0
        self._leave()
        return Moment(self._left_other_bytes, above)

    def _leave(self) -> None:
        tracemalloc.reset_peak()
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
        self._arrived: set[int] = set()
        self._sums: dict[int, int] = {}

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

    def arrive(self, variable: int, gradient_bytes: int) -> None:
        """Note a gradient for a variable that will hand it on; a second one makes a sum that nobody tells of."""
        if variable in self._arrived and variable not in self._sums:
            self._sums[variable] = gradient_bytes
            self.alive_bytes += gradient_bytes
        self._arrived.add(variable)

    def pass_on_sum(self, variable: int) -> None:
        """Note that a variable hands its gradient on: a sum is known as that gradient from now on."""
        self._arrived.discard(variable)
        self.alive_bytes -= self._sums.pop(variable, 0)

    def _freed(self, array_bytes: int) -> None:
        self.alive_bytes -= array_bytes


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

    def backward(self: Variable, retain_grad: bool | None = None) -> None:
        recorder.going_back()
        go_back(self, retain_grad)
        recorder.returned()

    def hear_steps_of(kind: type[Function]) -> None:
        if kind in heard:
            return
        heard[kind] = kind.__dict__.get("backward")
        plain = kind.backward

        def step(self: Function, *gys: Any) -> Any:
            recorder.stepping()
            return plain(self, *gys)

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
