"""The ledger: the logical bytes of every array that the engine touches, by what it is for."""

from contextlib import ExitStack
from weakref import WeakSet

from toolkit.core.events import Listener, listening
from toolkit.core.function import Function
from toolkit.core.variable import Array, Variable
from toolkit.probes import MOMENTS, Datasheet, Moment, Position
from toolkit.probes._lives import (
    ACTIVATION,
    GRADIENT,
    INPUT,
    PARAMETER,
    ROLES,
    TEMPORARY,
    Life,
    Lives,
)
from toolkit.probes._stack import Stack

__all__ = ["DATASHEET", "PHASES", "PROBE", "ROLES", "Ledger"]

DATASHEET = Datasheet(
    includes="the data of every array that the core touches, from the event at which it first meets it until it is "
    "freed; a view through the array that owns its memory, once. A parameter is a leaf that is used again after a "
    "backward pass gave it a gradient, since the core has no other mark; an input any other leaf; an activation an "
    "output that the graph or the workload holds; saved what a function keeps as an attribute; a gradient what "
    "backward steps hand on; a temporary an output that is freed before the next event, or without a graph the "
    "one that nobody but the next call needs",
    excludes="what comes and goes inside one operation; an array before the core first meets it; memory that no "
    "array owns; Python's objects; other engines",
    keeps_alive="a weak reference to each array, with its place in the account; 40 bytes for each array that was "
    "ever met; 1 MiB of room for readings; no array",
    unit="bytes",
    error="0 at an event of the core, and so at every peak, but for what it excludes",
    cost="about 1 us for each array and 1 us for each event",
    exact_on="CPython, which frees an array with its last reference",
    disturbs="the collector, which counts the weak references: under strong references it runs more often; loops "
    "whose arrays are freed at once see no more of it. Times. It gets trials of its own",
)

#: What the engine does, by the number that stands for it in the series.
PHASES = ("forward", "backward", "release")
_FORWARD, _BACKWARD, _RELEASE = range(len(PHASES))

MEASURES = ("ledger",)
METRICS = (
    "ledger_peak_bytes",
    *(f"ledger_{role}_at_peak_bytes" for role in ROLES),
    *(f"ledger_{phase}_peak_bytes" for phase in PHASES),
    "ledger_end_bytes",
    "ledger_dropped_bytes",
    "ledger_collected_bytes",
    "ledger_arrays_count",
)
DETAILS = METRICS
#: What others make when they start is before its own start.
RANK = 2


class Ledger(Listener):
    """Follows each array from the event at which the core first meets it to its death.

    A reading is taken at each event, when all that the event needed is alive. A release is what follows the last
    backward step of a pass, or the last call in a step of the loop: its reading, taken when the next call
    begins, is what was left of it.
    """

    exact = True
    moments: tuple[Moment, ...] = ("end", "dropped", "collected")

    def __init__(self, position: Position) -> None:
        self._position = position
        self._lives = Lives()
        self._stack = Stack(2 + len(ROLES))
        self._listening = ExitStack()
        self._clear()

    def _clear(self) -> None:
        self._lives.clear()
        self._stack.clear()
        self._given: WeakSet[Variable] = WeakSet()
        self._any_given = False
        self._reading: list[int] = []
        self._phase = _FORWARD
        self._step = self._position.step
        self._peak = 0
        self._at_peak = [0] * len(ROLES)
        self._phase_peaks = [0] * len(PHASES)
        self._moments = dict.fromkeys(MOMENTS, 0)

    def start(self) -> None:
        """Begin an empty account, and listen to the core."""
        self._clear()
        self._listening.enter_context(listening(self))

    def called(self, function: Function, inputs: tuple[Variable, ...], outputs: tuple[Variable, ...]) -> None:
        """Account for what a call was given, made and saved."""
        self._begin(_FORWARD)
        name = type(function).__name__
        meet = self._lives.meet
        for x in inputs:
            if x.creator is not None or x.untracked:
                meet(x.data, ACTIVATION, "input of", name)
            elif self._any_given and x in self._given:
                meet(x.data, PARAMETER, "input of", name)
            else:
                meet(x.data, INPUT, "input of", name)
        for y in outputs:
            meet(y.data, TEMPORARY if y.untracked else ACTIVATION, "output of", name)
        self._lives.meet_saved(function, name)
        self._end(_FORWARD)

    def backward_step(
        self,
        function: Function,
        output_gradients: tuple[Array, ...],
        input_gradients: tuple[Array | None, ...],
    ) -> None:
        """Account for the gradients of a step."""
        self._begin(_BACKWARD)
        name = type(function).__name__
        self._meet_gradients((*output_gradients, *input_gradients), name)
        for x, gradient in zip(function.inputs, input_gradients, strict=True):
            if x.creator is None and gradient is not None:
                self._given.add(x)
                self._any_given = True
        self._lives.meet_saved(function, name)
        self._end(_BACKWARD)

    def accumulated(
        self,
        earlier: Array,
        total: Array,
        output_gradients: tuple[Array, ...],
        input_gradients: tuple[Array | None, ...],
    ) -> None:
        """Account for a sum of gradients beside both of its parts."""
        self._begin(_BACKWARD)
        self._meet_gradients((earlier, *output_gradients, *input_gradients, total), "accumulation")
        self._end(_BACKWARD)

    def _meet_gradients(self, gradients: tuple[Array | None, ...], name: str) -> None:
        for gradient in gradients:
            if gradient is not None:
                self._lives.meet(gradient, GRADIENT, "gradient of", name)

    def observe(self) -> None:
        """Read what is alive."""
        self._begin(self._phase)
        self._end(self._phase)

    def _begin(self, phase: int) -> None:
        if self._reading:
            # Only now is the role of the youngest known.
            fleeting = self._lives.take_fleeting()
            self._reading[ACTIVATION] -= fleeting
            self._reading[TEMPORARY] += fleeting
            self._keep(self._phase, self._reading)
            if phase == _FORWARD and (self._phase == _BACKWARD or self._step != self._position.step):
                self._read_release()
        self._lives.begin_event()

    def _end(self, phase: int) -> None:
        self._lives.end_event()
        self._reading = self._lives.bytes.copy()
        self._phase = phase
        self._step = self._position.step

    def _read_release(self) -> None:
        self._keep(_RELEASE, self._lives.bytes.copy())

    def _keep(self, phase: int, reading: list[int]) -> None:
        total = sum(reading)
        if total > self._phase_peaks[phase]:
            self._phase_peaks[phase] = total
        # Of events that are equally high the last: by then the account knows the roles best.
        if total >= self._peak and phase != _RELEASE:
            self._peak = total
            self._at_peak = reading
        self._stack.add(self._step, phase, *reading)

    def stop(self) -> None:
        """Read what is left; deaths are followed until the last moment is read."""
        if self._reading:
            self._keep(self._phase, self._reading)
        # Whatever is alive now is held by the workload.
        self._lives.begin_event()
        self._lives.end_event()
        self._read_release()
        self._listening.close()
        self._given.clear()

    def read(self, moment: Moment) -> None:
        """Read what is alive; the last moment ends the watch."""
        self._moments[moment] = sum(self._lives.bytes)
        if moment == self.moments[-1]:
            self._lives.release()

    def lives(self) -> tuple[Life, ...]:
        """Return what is known of each array that was met, in the order of their first events."""
        return tuple(self._lives)

    def metrics(self) -> dict[str, int | float]:
        """Return the peak and of what it consisted, the peak of each phase, and what was left at each moment."""
        return {
            "ledger_peak_bytes": self._peak,
            **{f"ledger_{role}_at_peak_bytes": held for role, held in zip(ROLES, self._at_peak, strict=True)},
            **{f"ledger_{name}_peak_bytes": one for name, one in zip(PHASES, self._phase_peaks, strict=True)},
            "ledger_end_bytes": self._moments["end"],
            "ledger_dropped_bytes": self._moments["dropped"],
            "ledger_collected_bytes": self._moments["collected"],
            "ledger_arrays_count": self._lives.count,
        }

    def series(self) -> dict[str, list[int] | list[float]]:
        """Return the bytes of each role at each event and after each release, with the step and the phase.

        The phase is the place of its name in `PHASES`.
        """
        steps, phases, *roles = self._stack.columns()
        return {
            "event_step": steps,
            "event_phase": phases,
            **{f"event_{role}_bytes": held for role, held in zip(ROLES, roles, strict=True)},
        }


PROBE = Ledger
