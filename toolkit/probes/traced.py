"""Traced bytes: what numpy allocates for array data, to the byte, through tracemalloc."""

import ctypes
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from toolkit.core.events import Listener, listening
from toolkit.probes import MOMENTS, Datasheet, Moment, Position
from toolkit.probes._timeline import Timeline

DATASHEET = Datasheet(
    includes="the data of every array that numpy allocates between start and stop; beside it, from a copy of the "
    "process, everything that Python's allocators hand out as well",
    excludes="what was allocated before the start; numpy's array objects themselves; memory of other "
    "libraries, also where an array is a view of it (frombuffer, unpickled arrays)",
    keeps_alive="a record of each live block in C memory; 256 KiB of room for readings",
    unit="bytes",
    error="0 for array data; some kilobytes for the total, which counts what the trial itself makes meanwhile",
    cost="about 1 us for each array that is made or freed; the copy runs the workload a second time",
    exact_on="CPython; the total where the platform can fork",
    disturbs="the resident set, by its own records, and times: it gets trials of its own",
)

MEASURES = ("traced",)
METRICS = (
    "peak_traced_bytes",
    "peak_traced_total_bytes",
    "end_traced_bytes",
    "dropped_traced_bytes",
    "collected_traced_bytes",
    "unfrozen_traced_bytes",
    "cleared_traced_bytes",
    "cleared_traced_total_bytes",
)
DETAILS = (
    "peak_traced_total_bytes",
    "dropped_traced_bytes",
    "collected_traced_bytes",
    "unfrozen_traced_bytes",
    "cleared_traced_bytes",
    "cleared_traced_total_bytes",
)
#: What others take when they start is before its own start.
RANK = 2


class Traced(Listener):
    """Traces numpy's allocations alone; Python's as well where `everything` is set before the start."""

    exact = True
    moments: tuple[Moment, ...] = ("end", "dropped", "collected", "unfrozen", "cleared")
    everything = False

    def __init__(self, position: Position) -> None:
        self._timeline = Timeline(position)
        self._tracing = ExitStack()
        self._moments: dict[str, int] = {}

    def start(self) -> None:
        """Begin to trace, and listen to the core."""
        self._timeline.clear()
        self._moments = dict.fromkeys(MOMENTS, 0)
        self._peak = 0
        self._tracing.enter_context(listening(self))
        self._tracing.enter_context(tracing_everything() if self.everything else tracing_arrays())

    def called(self, *_: object) -> None:
        """Read what is traced while all that a function needed is alive."""
        self.observe()

    def backward_step(self, *_: object) -> None:
        """Read what is traced while the gradients of a step are alive."""
        self.observe()

    def observe(self) -> None:
        """Read what is traced."""
        self._timeline.add(tracemalloc.get_traced_memory()[0])

    def stop(self) -> None:
        """Read the peak; tracing goes on until the last moment is read."""
        self._peak = tracemalloc.get_traced_memory()[1]

    def read(self, moment: Moment) -> None:
        """Read what is traced; the last moment ends the tracing."""
        self._moments[moment] = tracemalloc.get_traced_memory()[0]
        if moment == self.moments[-1]:
            self._tracing.close()

    def metrics(self) -> dict[str, int | float]:
        """Return the peak and what was left at each moment; no trimming frees what is traced."""
        return {
            "peak_traced_bytes": self._peak,
            "end_traced_bytes": self._moments["end"],
            "dropped_traced_bytes": self._moments["dropped"],
            "collected_traced_bytes": self._moments["collected"],
            "unfrozen_traced_bytes": self._moments["unfrozen"],
            "cleared_traced_bytes": self._moments["cleared"],
        }

    def series(self) -> dict[str, list[int] | list[float]]:
        """Return what was traced after each core event, and the step of each."""
        return {"event_traced_bytes": self._timeline.readings(), "event_step": self._timeline.steps()}


class _Allocator(ctypes.Structure):
    """`PyMemAllocatorEx` (Python/C API, Memory Management)."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("ctx", "malloc", "calloc", "realloc", "free")]


_DOMAINS = (0, 1, 2)  # PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ


@contextmanager
def tracing_everything() -> Iterator[None]:
    """Trace what Python's allocators hand out, and what numpy reports to tracemalloc."""
    tracemalloc.start()
    try:
        tracemalloc.clear_traces()
        yield
    finally:
        tracemalloc.stop()


@contextmanager
def tracing_arrays() -> Iterator[None]:
    """Trace what numpy reports to tracemalloc, and nothing that Python's allocators hand out.

    tracemalloc works by hooks in Python's allocators; numpy reports its array data to it by itself
    (`PyTraceMalloc_Track`). Putting the unhooked allocators back leaves the reports of numpy alone.
    """
    plain = [_Allocator() for _ in _DOMAINS]
    for domain, allocator in zip(_DOMAINS, plain, strict=True):
        ctypes.pythonapi.PyMem_GetAllocator(domain, ctypes.byref(allocator))
    with tracing_everything():
        for domain, allocator in zip(_DOMAINS, plain, strict=True):
            ctypes.pythonapi.PyMem_SetAllocator(domain, ctypes.byref(allocator))
        tracemalloc.clear_traces()
        yield


PROBE = Traced
