"""The recorder: runs a workload once and writes down what it does to the engine.

It runs with the graph on and kept, weak references and the collector off. Then whatever holds a variable, a
function or an array beside the living parts of the graph is the workload itself.
"""

import gc
import threading
import tracemalloc
from collections.abc import Callable
from contextvars import Context
from typing import Any, Literal

import numpy as np

from toolkit.core.config import current_config, named_toggles, using_config
from toolkit.core.events import Listener, listening
from toolkit.core.function import Function
from toolkit.core.variable import Array, Variable
from toolkit.probes.traced import tracing_arrays
from toolkit.recording import (
    ArrayLetGo,
    Born,
    Called,
    Collected,
    Ended,
    FunctionLetGo,
    GradientSet,
    Iterated,
    LetGo,
    Moment,
    Recording,
    Replaced,
    Unchained,
)
from toolkit.recording.hearing import hearing
from toolkit.recording.living import Living, Saved
from toolkit.recording.moments import Moments
from toolkit.recording.passes import Passes
from toolkit.trials.collecting import collecting

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


class Recorder(Listener):
    """What hears the core, and writes a recording.

    Attributes
    ----------
    recording : Recording
    living : Living
        The parts of the graph that are alive, and who holds them.
    moments : Moments
        What else is alive.
    passes : Passes
        What hears of backward passes.
    refusal : str or None
        Why the workload cannot be simulated.
    """

    def __init__(self) -> None:
        self.recording = Recording()
        self.living = Living(self.recording)
        self.moments = Moments(self.recording, self.living.arrays)
        self.passes = Passes(self)
        self.refusal: str | None = None
        self._calling = False
        self._born_in_call: list[int] = []
        self._above_unsaved_bytes: int | None = None
        #: How many events there were, and what else was alive, when a collection began.
        self._before_collection = 0, 0
        self._has_ended = False
        self._thread = threading.get_ident()

    @property
    def deaf(self) -> bool:
        """Whether nothing is written down: what a gradient computes again comes and goes inside of it."""
        return self.passes.in_step or self.refusal is not None

    @property
    def _inside(self) -> bool:
        return self._calling or self.passes.under_way

    def refuse(self, reason: str) -> None:
        """Remember the first thing that cannot be simulated."""
        self.refusal = self.refusal or reason

    def check_toggles(self) -> None:
        """Refuse what is computed where the simulation does not know the rules."""
        config = current_config()
        if threading.get_ident() != self._thread:
            self.refuse("it computes in a thread of its own, which starts from the default of every toggle")
        if config.buffers != "fresh":
            self.refuse('it sets buffers="reused"')
        if config.traversal != "generation":
            self.refuse('it sets traversal="lifo"')

    def settle(self) -> None:
        """Write down what the workload has done by itself since the last event."""
        if not self._inside:
            self.moments.return_from_work()
            self.living.look()
            # What is found to be gone was so by now: whatever the workload makes from here on comes after it.
            self.moments.leave()

    def calling(self) -> None:
        """Hear that a function is about to compute: from here on the peak is its own."""
        if self.passes.in_step:
            self.recording.computes_again = True
        if self.deaf:
            return
        self.check_toggles()
        self.settle()
        self._calling = True

    def saving(self) -> None:
        """Hear that a function has computed and is about to save what its gradient needs."""
        if not self.deaf:
            current, peak = tracemalloc.get_traced_memory()
            self._above_unsaved_bytes = peak - current

    def call_ended(self) -> None:
        """Hear that a call is over, also where it raised."""
        if not self.deaf:
            self._calling = False
            self._born_in_call = []
            self.moments.leave()

    def born(self, variable: Variable) -> None:
        """Hear that a variable was made, by the workload or inside a call."""
        if self.deaf:
            return
        self.settle()
        number = self.living.add(variable)
        if self._calling:
            self._born_in_call.append(number)
        else:
            self.recording.events.append(Born(self.moments.now(), number, self.living.data[number]))

    def known(self, variable: Variable) -> int:
        """Return the number of a variable, which may have been made before the recording began."""
        number = self.living.numbers.known(variable)
        if number is not None:
            return number
        if variable.creator is not None:
            self.refuse("it goes on with a graph that was made before it began")
        number = self.living.add(variable)
        self.recording.events.append(
            Born(Moment(self.moments.other_bytes(), 0), number, self.living.data[number])
        )
        if variable.grad is not None:
            gradient = self.living.gradient(variable.grad)
            self.living.fill(number, "grad", variable.grad)
            self.recording.events.append(GradientSet(number, gradient))
        return number

    def asked(self, variable: Variable, name: str, array: Any) -> None:
        """Hear that somebody reads the data or the gradient of a variable."""
        if self._inside or self.deaf:
            return
        number = self.known(variable)
        if name == "grad" and number in self.living.creator:
            self.recording.reads_kept_gradients = True
        if isinstance(array, np.ndarray):
            self.moments.return_from_work()
            self.living.arrays.asked_for(array)
            if name == "grad" and not self.living.is_filled(number, name):
                self.living.fill(number, name, array)

    def setting(self, variable: Variable, name: str, array: Any) -> None:
        """Hear that data or a gradient is about to be set, by the engine or by the workload."""
        number = self.living.numbers.known(variable)
        if number is None and not self._inside and not self.deaf:
            number = self.known(variable)
        if number is None or not self.living.follows(number) or self.refusal is not None:
            return
        if not self._inside and not self.passes.in_step:
            self.settle()
            self._set_by_workload(number, name, array)
        self.living.empty(number, name)
        if isinstance(array, np.ndarray):
            self.living.arrays.number_of(array)
            self.living.fill(number, name, array)

    def _set_by_workload(self, number: int, name: str, array: Any) -> None:
        if name == "grad":
            gradient = self.living.gradient(array) if isinstance(array, np.ndarray) else None
            self.recording.events.append(GradientSet(number, gradient))
        elif isinstance(array, np.ndarray):
            owner = self.living.arrays.number_of(array)
            if owner != self.living.data[number]:
                self.living.data[number] = owner
                self.recording.events.append(Replaced(number, owner))
        self.moments.leave()

    def unchained(self, variable: Variable) -> None:
        """Hear that a variable is cut off from the function that made it."""
        if self.deaf:
            return
        self.settle()
        number = self.known(variable)
        if self.living.unchain(number):
            self.recording.events.append(Unchained(number))

    def at_line(self) -> None:
        """Hear that the workload goes on with another line: what it let go of before was gone by now."""
        if not self._inside and not self.deaf:
            self.settle()

    def collected(self, phase: str, told: dict[str, int]) -> None:
        """Hear that the workload has the collector run, or the end: by itself it does not here."""
        if self._inside or self.deaf:
            return
        self.settle()
        events = self.recording.events
        if phase == "start":
            self._before_collection = len(events), self.moments.other_bytes()
            return
        known, other_bytes = self._before_collection
        # What the engine's own cycles held, the workload held no more before.
        let_go = any(isinstance(event, LetGo | FunctionLetGo | ArrayLetGo) for event in events[known:])
        if let_go or self.moments.other_bytes() < other_bytes:
            self.recording.has_own_cycles = True
        if not self._has_ended:
            events.append(Collected(told["generation"]))

    def iterated(self, step: int, steps: int) -> None:
        """Hear that a step of the workload's own has ended."""
        if not self.deaf:
            self.settle()
            self.recording.events.append(Iterated(step, steps))

    def ended(self) -> None:
        """Write down the end, while the result is held."""
        self.settle()
        self.recording.events.append(Ended(self.moments.now()))
        self._has_ended = True

    def _output(self, variable: Variable) -> int:
        """Return the number of an output. A single one is made without `__init__`, and so not heard of before."""
        number = self.living.numbers.of(variable)
        return number if self.living.follows(number) else self.living.add(variable)

    def called(self, function: Function, inputs: tuple[Variable, ...], outputs: tuple[Variable, ...]) -> None:
        """Write down the call, and the leaves that it made of scalars and arrays among its inputs."""
        if self.deaf:
            return
        living = self.living
        used = tuple([self.known(x) for x in inputs])
        made = tuple([self._output(y) for y in outputs])
        held = Saved(function)
        saved, keeps, attributes = map(living.numbers_of, (held.saved, held.keeps, held.attributes))
        moment = self.moments.now()
        unsaved, self._above_unsaved_bytes = self._above_unsaved_bytes, None
        for number in self._born_in_call:
            if number not in made:
                born = Born(Moment(moment.other_bytes, 0), number, living.data[number])
                self.recording.events.append(born)
        self._born_in_call = []
        kept_inputs = getattr(function, "inputs", None) or ()
        places = tuple([place for place, x in enumerate(kept_inputs) if inputs[place] is x])
        config, named = current_config(), named_toggles()
        self.recording.events.append(
            Called(
                moment,
                living.add_function(
                    function,
                    [used[place] for place in places],
                    made,
                    held,
                    strong=config.references == "strong",
                ),
                used,
                made,
                tuple([living.data[y] for y in made]),
                places,
                saved,
                keeps,
                attributes,
                living.rounded(function, used, made),
                moment.above_bytes if unsaved is None else unsaved,
                config.enable_backprop if "enable_backprop" in named else None,
                config.references if "references" in named else None,
            )
        )

    def accumulated(
        self,
        earlier: Array,
        total: Array,
        output_gradients: tuple[Array, ...],
        input_gradients: tuple[Array | None, ...],
    ) -> None:
        """Hear of the sum of two gradients."""
        self.passes.accumulated(total)
