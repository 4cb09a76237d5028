"""The resident set: the pages of this process that are in memory, as the kernel counts them."""

import mmap
import os
import sys
from contextlib import ExitStack

from toolkit.core.events import Listener, listening
from toolkit.probes import MOMENTS, Datasheet, Moment, Position
from toolkit.probes._timeline import Timeline

DATASHEET = Datasheet(
    includes="every resident page of the process less the baseline, which is array data: whatever has 64 KiB or "
    "more is mapped by itself and counts in whole pages",
    excludes="pages that were asked for and never touched; what the process had before the baseline; Python's own "
    "objects and arrays below 64 KiB, as far as the reserve holds them: 16 MiB for Python and 2 MiB for the C "
    "library are made resident before the baseline, enough for about 40,000 nodes of a graph",
    keeps_alive="the reserve, 20 MiB in all; 256 KiB of room for readings; no array",
    unit="bytes, a multiple of the page size",
    error="0 to 2 pages at a core event. A temporary inside one function is seen by the kernel's high-water mark "
    "alone, which is off by up to 2 max(32, 2 CPUs) pages for each CPU, to either side, and counts only beyond "
    "that: 512 KiB on 2 CPUs, or what each trial measures on maps of known size, where that is more. More than "
    "65,530 maps (vm.max_map_count) put arrays elsewhere",
    cost="under 1 us at each core event",
    exact_on="Linux with glibc; elsewhere the current set as psutil reads it, and the peak is the largest reading",
    disturbs="times, slightly; nothing in memory",
)

MEASURES = ("resident",)
METRICS = (
    "baseline_rss_bytes",
    "peak_rss_bytes",
    "event_peak_rss_bytes",
    "hwm_peak_rss_bytes",
    "end_rss_bytes",
    "dropped_rss_bytes",
    "collected_rss_bytes",
    "trimmed_rss_bytes",
    "hwm_error_bytes",
)
DETAILS = tuple(name for name in METRICS if name not in ("peak_rss_bytes", "end_rss_bytes"))
#: What others take when they start is before its baseline.
RANK = 2

#: How far the high-water mark may be off, to either side: the kernel takes it from a count of pages of which each
#: CPU may keep up to a batch to itself (Linux, lib/percpu_counter.c: max(32, 2 CPUs) pages), once for anonymous
#: pages and once for those of files. Readings of statm add up what the CPUs keep, and are exact.
HIGH_WATER_ERROR_BYTES = 2 * max(32, 2 * (os.cpu_count() or 1)) * (os.cpu_count() or 1) * mmap.PAGESIZE

#: Maps on which a reader measures the error of its high-water mark: below, at and beyond the batches of some CPUs.
_KNOWN_PAGES = (1, 31, 32, 63, 64, 100, 128, 200, 256, 500, 512, 1000)

_RESET_PEAK = b"5"


class Resident(Listener):
    """Reads the resident set after each core event, and the kernel's high-water mark of the whole region.

    The high-water mark is reset by writing 5 to ``/proc/self/clear_refs`` and read as ``VmHWM`` of
    ``/proc/self/status`` (Linux kernel, Documentation/filesystems/proc.rst). The peak reported is the larger of
    the two, where the high-water mark is larger by more than its own error.
    """

    moments: tuple[Moment, ...] = ("end", "dropped", "collected", "retaken", "trimmed")

    def __init__(self, position: Position) -> None:
        self._timeline = Timeline(position)
        self._reader = _LinuxReader() if sys.platform == "linux" else _PortableReader()
        self.exact = self._reader.exact
        self._high_water_error = _bound(self._reader)
        self._listening = ExitStack()
        self._moments: dict[str, int] = {}

    def start(self) -> None:
        """Reset the high-water mark, read the baseline, and listen to the core."""
        self._timeline.clear()
        self._moments = dict.fromkeys(MOMENTS, 0)
        self._listening.enter_context(listening(self))
        self._highest = 0
        self._peak = 0
        self._reader.reset_peak()
        self._baseline = self._reader.current()

    def called(self, *_: object) -> None:
        """Read the resident set while all that a function needed is alive."""
        self.observe()

    def backward_step(self, *_: object) -> None:
        """Read the resident set while the gradients of a step are alive."""
        self.observe()

    def observe(self) -> None:
        """Read the resident set."""
        current = self._reader.current()
        if current > self._highest:
            self._highest = current
        self._timeline.add(current - self._baseline)

    def stop(self) -> None:
        """Read the high-water mark and listen no more."""
        self._peak = self._reader.peak()
        self.observe()
        self._listening.close()

    def read(self, moment: Moment) -> None:
        """Read the resident set."""
        self._moments[moment] = self._reader.current()

    def metrics(self) -> dict[str, int | float]:
        """Return the baseline as it is, and the rest less the baseline."""
        at = {moment: rss - self._baseline for moment, rss in self._moments.items()}
        # Taking the room back may need pages that others now fill; what trimming frees is counted from there.
        freed = at["retaken"] - at["trimmed"]
        beyond_error = self._peak - self._highest > self._high_water_error
        return {
            "baseline_rss_bytes": self._baseline,
            "peak_rss_bytes": (self._peak if beyond_error else self._highest) - self._baseline,
            "event_peak_rss_bytes": self._highest - self._baseline,
            "hwm_peak_rss_bytes": self._peak - self._baseline,
            "end_rss_bytes": at["end"],
            "dropped_rss_bytes": at["dropped"],
            "collected_rss_bytes": at["collected"],
            "trimmed_rss_bytes": at["collected"] - freed,
            "hwm_error_bytes": self._high_water_error,
        }

    def series(self) -> dict[str, list[int] | list[float]]:
        """Return the resident set after each core event, less the baseline, and the step of each."""
        return {"event_rss_bytes": self._timeline.readings(), "event_step": self._timeline.steps()}


def high_water_error() -> int:
    """Return how far the kernel's high-water mark may be off on this host, in bytes.

    It is `HIGH_WATER_ERROR_BYTES`, or the error on maps of known size, where a kernel is farther off than that.
    """
    return _bound(_LinuxReader() if sys.platform == "linux" else _PortableReader())


def _bound(reader: "_LinuxReader | _PortableReader") -> int:
    return max(HIGH_WATER_ERROR_BYTES, *map(reader.peak_error, _KNOWN_PAGES)) if reader.exact else 0


class _LinuxReader:
    """Reads /proc through files that stay open while the reader lives: an open costs six times a read."""

    def __init__(self) -> None:
        self._open: list[int] = []
        self._statm = self._opened("/proc/self/statm", os.O_RDONLY)
        self._status = self._opened("/proc/self/status", os.O_RDONLY)
        try:
            self._clear_refs: int | None = self._opened("/proc/self/clear_refs", os.O_WRONLY)
            os.write(self._clear_refs, _RESET_PEAK)
        except OSError:
            # Some sandboxes forbid it: the high-water mark is then that of the whole process, so it is not used.
            self._clear_refs = None
        self.exact = self._clear_refs is not None

    def _opened(self, path: str, flags: int) -> int:
        descriptor = os.open(path, flags)
        self._open.append(descriptor)
        return descriptor

    def __del__(self) -> None:
        for descriptor in self._open:
            os.close(descriptor)

    def current(self) -> int:
        return int(os.pread(self._statm, 128, 0).split(None, 2)[1]) * mmap.PAGESIZE

    def reset_peak(self) -> None:
        if self._clear_refs is not None:
            os.write(self._clear_refs, _RESET_PEAK)

    def peak(self) -> int:
        if self._clear_refs is None:
            return self.current()
        status = os.pread(self._status, 8192, 0)
        return int(status.partition(b"VmHWM:")[2].split(maxsplit=1)[0]) * 1024

    def peak_error(self, pages: int) -> int:
        """Return how far the high-water mark is off once a map of so many pages is gone, in bytes."""
        touch = b"x" * pages
        self.reset_peak()
        before = self.current()
        with mmap.mmap(-1, pages * mmap.PAGESIZE) as room:
            room[:: mmap.PAGESIZE] = touch
        return abs(self.peak() - before - pages * mmap.PAGESIZE)


class _PortableReader:
    """Reads what psutil offers everywhere; a peak between two core events is missed."""

    exact = False

    def __init__(self) -> None:
        # Where /proc tells everything, a trial does without it.
        import psutil

        self._process = psutil.Process()

    def current(self) -> int:
        rss: int = self._process.memory_info().rss
        return rss

    def reset_peak(self) -> None:
        pass

    def peak(self) -> int:
        return self.current()

    def peak_error(self, pages: int) -> int:
        return 0


PROBE = Resident
