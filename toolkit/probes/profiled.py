"""memory_profiler's own listing: the resident set before and after each line. The reference that readers know."""

import mmap

from memory_profiler import LineProfiler

from toolkit.probes import Datasheet, Moment, Position
from toolkit.probes._source import source_of

__all__ = ["DATASHEET", "PROBE", "Profiled"]

DATASHEET = Datasheet(
    includes="the resident set of the process, which memory_profiler's LineProfiler reads through psutil whenever "
    "a line of the workload is over, as @profile does; of the increments of a line the sum over its executions",
    excludes="what comes and goes within a line. An increment is what was read less the highest that was ever read "
    "at the line before: it is 0 where a line frees as much as it makes, or takes up pages that stayed resident "
    "when they were freed, and below 0 in each round in which the line before stays under its highest; that of the "
    "line of def is the whole process. LineProfiler runs the body once; memory_usage((f, ...)) of the same library "
    "runs one again that is over before its fifth reading, unless it is given max_iterations=1",
    keeps_alive="nothing",
    unit="bytes, from MiB",
    error="as much as the line makes or frees: increments do not add up to what is held",
    cost="about 20 us for each line of the workload and 1 us for each line of every function that it leads to",
    exact_on="nowhere: it is an estimate, kept because readers know it",
    disturbs="everything: it loads memory_profiler and psutil into the trial and traces every line. It gets trials "
    "of its own",
)

MEASURES = ("profiled",)
METRICS = ("profiled_executions_count", "profiled_increment_bytes")
DETAILS = METRICS
RANK = 2

_MIB = 1 << 20


class Profiled:
    """Runs the workload under `memory_profiler.LineProfiler`."""

    #: It yields what its datasheet says on every platform.
    exact = True
    moments: tuple[Moment, ...] = ()

    def __init__(self, position: Position) -> None:
        self._position = position
        self._source = source_of(position.code)

    def start(self) -> None:
        """Begin a new listing."""
        self._profiler = LineProfiler()
        if self._position.code is not None:
            self._profiler.code_map.add(self._position.code)
        self._profiler.enable()

    def observe(self) -> None:
        """Do nothing: it reads at the end of each line."""

    def stop(self) -> None:
        """End the listing."""
        self._profiler.disable()

    def read(self, moment: Moment) -> None:
        """Do nothing: it knows no line then."""

    def metrics(self) -> dict[str, int | float]:
        """Return how often the body ran, and the increments of all lines of the body together."""
        numbers, increments, occurrences = self._columns()
        return {
            "profiled_executions_count": occurrences[0] if numbers else 0,
            "profiled_increment_bytes": sum(increments[1:]),
        }

    def series(self) -> dict[str, list[int] | list[float]]:
        """Return a reading for each line that ran; the first is that of the line of def."""
        numbers, increments, occurrences = self._columns()
        return {
            "line_number": numbers,
            "line_profiler_increment_bytes": increments,
            "line_profiler_calls_count": occurrences,
        }

    def _columns(self) -> tuple[list[int], list[int], list[int]]:
        lines = [
            (number, _bytes(reading[0]), reading[2])
            for _, listing in self._profiler.code_map.items()
            for number, reading in listing
            if reading is not None
        ]
        numbers, increments, occurrences = ([line[place] for line in lines] for place in range(3))
        return numbers, increments, occurrences

    def conditions(self) -> dict[str, str | int]:
        """Return the source of the workload."""
        return self._source


def _bytes(mib: float) -> int:
    # The kernel counts pages; a sum of MiB has rounding errors.
    return round(mib * _MIB / mmap.PAGESIZE) * mmap.PAGESIZE


PROBE = Profiled
