"""The ledger line by line: which line of the workload made, freed and still held how many bytes of arrays."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any
from weakref import ref

from toolkit.core.events import Listener, listening
from toolkit.core.function import Function
from toolkit.core.variable import Array, Variable
from toolkit.probes import MOMENTS, Datasheet, Moment, Position
from toolkit.probes._lives import ACTIVATION, GRADIENT, INPUT, Lives, Watch
from toolkit.probes._source import source_of

__all__ = ["DATASHEET", "PROBE", "RETURNING", "Lines"]

DATASHEET = Datasheet(
    includes="the data of every array that is put into a Variable or that the core touches, each from then until "
    "it is freed; a view through the array that owns its memory, once. Its birth and its death count for the line "
    "of the workload's own function that runs then, whatever that line has called; what dies with the names of "
    "the function counts for its return",
    excludes="what comes and goes inside one operation; an array before it meets a Variable or the core; memory "
    "that no array owns; Python's objects; other engines; lines of other functions, which count for the line that "
    "calls",
    keeps_alive="a weak reference to each array; 40 bytes for each array that was ever met; no array",
    unit="bytes",
    error="0, but for what it excludes",
    cost="about 1 us for each line of the workload and for each call of a Python function that it leads to, 5 us "
    "for each array",
    exact_on="CPython, which frees an array with its last reference",
    disturbs="the collector, which counts the weak references and what tracing makes; times, by a multiple in "
    "loops of small arrays. It gets trials of its own",
)

MEASURES = ("lines",)
METRICS = (
    "lines_made_bytes",
    "lines_freed_bytes",
    "lines_peak_bytes",
    "lines_end_bytes",
    "lines_dropped_bytes",
    "lines_collected_bytes",
)
DETAILS = METRICS
#: What others make when they start is before its own start.
RANK = 2

#: Stands for the return of the workload, when its names go, in place of a line's number.
RETURNING = 0


class _ByLine(Lives):
    """The lives of arrays, with the line at which each began and ended."""

    def clear(self) -> None:
        """Forget every array and every line."""
        super().clear()
        self.line = RETURNING
        self.held = 0
        self.made: Counter[int] = Counter()
        self.freed: Counter[int] = Counter()
        self.peaks: Counter[int] = Counter()

    def begin(self, line: int) -> None:
        """Count for `line` what comes and goes from now on."""
        self.line = line
        self._note_peak()

    def _note_peak(self) -> None:
        if self.held > self.peaks[self.line]:
            self.peaks[self.line] = self.held

    def _watch(self, owner: Array, role: int, place: str, name: str) -> Watch:
        watch = super()._watch(owner, role, place, name)
        self.held += watch.nbytes
        self.made[self.line] += watch.nbytes
        self._note_peak()
        return watch

    def _died(self, watch: ref[Array]) -> None:
        assert isinstance(watch, Watch)
        super()._died(watch)
        self.held -= watch.nbytes
        self.freed[self.line] += watch.nbytes


class Lines(Listener):
    """Follows the lines of the workload by `sys.settrace`, and the arrays that it makes by weak references."""

    exact = True
    moments: tuple[Moment, ...] = ("end", "dropped", "collected")

    def __init__(self, position: Position) -> None:
        self._position = position
        self._source = source_of(position.code)
        self._lives = _ByLine()
        self._watching = ExitStack()
        self._clear()

    def _clear(self) -> None:
        self._lives.clear()
        # Of calls of the workload that have not returned: the line of each. It is one, unless it calls itself.
        self._running: list[int] = []
        self._calls: Counter[int] = Counter()
        self._held: Counter[int] = Counter()
        self._rows: list[tuple[int, int, int, int, int, int]] = []
        self._moments = dict.fromkeys(MOMENTS, 0)

    def start(self) -> None:
        """Begin an empty account, and follow the workload."""
        self._clear()
        self._watching.enter_context(listening(self))
        self._watching.enter_context(_hearing_of_variables(self._meet_new))
        self._watching.enter_context(_tracing(self._enter))

    def _enter(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        if event != "call" or frame.f_code is not self._position.code:
            return None
        self._running.append(frame.f_lineno)
        self._lives.begin(frame.f_lineno)
        return self._go_on

    def _go_on(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        if event == "line":
            self._end_line()
            self._running[-1] = frame.f_lineno
            self._lives.begin(frame.f_lineno)
        elif event == "return":
            self._end_line()
            self._running.pop()
            self._lives.begin(self._running[-1] if self._running else RETURNING)
        return self._go_on

    def _end_line(self) -> None:
        line = self._running[-1]
        self._calls[line] += 1
        self._held[line] = max(self._held[line], self._lives.held)

    def _meet_new(self, variable: Variable) -> None:
        self._lives.meet(variable.data, INPUT, "data of", "Variable")

    def called(self, function: Function, inputs: tuple[Variable, ...], outputs: tuple[Variable, ...]) -> None:
        """Account for what a call was given, made and saved."""
        for variable in (*inputs, *outputs):
            self._lives.meet(variable.data, ACTIVATION, "data of", "Variable")
        self._lives.meet_saved(function, type(function).__name__)

    def backward_step(
        self,
        function: Function,
        output_gradients: tuple[Array, ...],
        input_gradients: tuple[Array | None, ...],
    ) -> None:
        """Account for the gradients of a step."""
        self._meet_gradients((*output_gradients, *input_gradients))
        self._lives.meet_saved(function, type(function).__name__)

    def accumulated(
        self,
        earlier: Array,
        total: Array,
        output_gradients: tuple[Array, ...],
        input_gradients: tuple[Array | None, ...],
    ) -> None:
        """Account for a sum of gradients beside both of its parts."""
        self._meet_gradients((earlier, *output_gradients, *input_gradients, total))

    def _meet_gradients(self, gradients: tuple[Array | None, ...]) -> None:
        for gradient in gradients:
            if gradient is not None:
                self._lives.meet(gradient, GRADIENT, "gradient of", "Variable")

    def observe(self) -> None:
        """Do nothing: lines and arrays tell of themselves."""

    def stop(self) -> None:
        """Close the account of the lines; deaths are followed until the last moment is read."""
        self._watching.close()
        lives = self._lives
        self._calls[RETURNING] = self._calls[self._first_line()]
        self._held[RETURNING] = lives.held
        self._rows = [
            (line, count, lives.made[line], lives.freed[line], self._held[line], lives.peaks[line])
            for line, count in sorted(self._calls.items())
            if count
        ]

    def _first_line(self) -> int:
        return min((line for line in self._calls), default=RETURNING)

    def read(self, moment: Moment) -> None:
        """Read what is alive; the last moment ends the watch."""
        self._moments[moment] = self._lives.held
        if moment == self.moments[-1]:
            self._lives.release()

    def metrics(self) -> dict[str, int | float]:
        """Return what all lines made and freed, the most that was held, and what was left at each moment."""
        return {
            "lines_made_bytes": sum(row[2] for row in self._rows),
            "lines_freed_bytes": sum(row[3] for row in self._rows),
            "lines_peak_bytes": max((row[5] for row in self._rows), default=0),
            "lines_end_bytes": self._moments["end"],
            "lines_dropped_bytes": self._moments["dropped"],
            "lines_collected_bytes": self._moments["collected"],
        }

    def series(self) -> dict[str, list[int] | list[float]]:
        """Return a reading for each line that ran, and last what went when the workload returned, as line 0.

        A line has the number that it has in its file. What was made and freed is the sum over its executions;
        what was held after it, and the most that was held while it ran, the highest of them.
        """
        rows = [row for row in self._rows if row[0] != RETURNING]
        rows += [row for row in self._rows if row[0] == RETURNING]
        names = (
            "number",
            "calls_count",
            *(f"ledger_{one}_bytes" for one in ("made", "freed", "held", "peak")),
        )
        return {f"line_{name}": [row[place] for row in rows] for place, name in enumerate(names)}

    def conditions(self) -> dict[str, str | int]:
        """Return the source of the workload."""
        return self._source


@contextmanager
def _hearing_of_variables(hear: Callable[[Variable], None]) -> Iterator[None]:
    """Tell of every variable as it is made, inside the block.

    The core itself tells of an array only when a function is given it, which is on a later line than the one that
    made it. A core that told of this as well would cost every user of it; here it costs this trial alone.
    """
    plain = Variable.__init__

    def told(variable: Variable, data: Array, name: str | None = None) -> None:
        plain(variable, data, name)
        hear(variable)

    Variable.__init__ = told  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Variable.__init__ = plain  # type: ignore[method-assign]


@contextmanager
def _tracing(enter: Callable[..., Any]) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(before)


PROBE = Lines
