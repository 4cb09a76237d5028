"""The heap: what malloc has handed out, and what kind of pages are resident, at the highest point of a trial."""

import ctypes
import mmap
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack

from toolkit.core.events import Listener, listening
from toolkit.probes import Datasheet, Moment, Position

DATASHEET = Datasheet(
    includes="at the core event with the most resident pages: the bytes that malloc has handed out and not got "
    "back, with its headers and the pages that it maps (mallinfo2, as psutil.heap_info has it), the resident pages "
    "without a file and those of files, all less the baseline",
    excludes="Python's own arenas, which are mapped past malloc; every other moment",
    keeps_alive="a few numbers; no array",
    unit="bytes; pages in whole ones",
    error="0 for malloc, but for freed blocks of up to 1 KiB that a thread keeps at hand; 0 to 1 page for each "
    "kind of page",
    cost="under 1 us at each core event, some more at one that is higher than all before it",
    exact_on="Linux with glibc 2.33 or newer; with another malloc its bytes are left out, elsewhere everything",
    disturbs="times, slightly; nothing in memory",
)

_TRIED_BYTES = 1 << 20

MEASURES = ("resident",)
METRICS = ("heap_in_use_bytes", "heap_anonymous_rss_bytes", "heap_file_rss_bytes")
DETAILS = METRICS
#: What others take when they start is before its baseline.
RANK = 2


class Heap(Listener):
    """Reads malloc and the kinds of resident pages after each core event, and keeps the highest reading."""

    moments: tuple[Moment, ...] = ()

    def __init__(self, position: Position) -> None:
        del position  # every probe is made with one; this one has no use for it
        self.exact = sys.platform == "linux"
        self._statm = os.open("/proc/self/statm", os.O_RDONLY) if self.exact else None
        self._in_use = reader_of_malloc()
        self._listening = ExitStack()

    def __del__(self) -> None:
        if self._statm is not None:
            os.close(self._statm)

    def start(self) -> None:
        """Read the baseline, and listen to the core."""
        self._listening.enter_context(listening(self))
        self._highest = -1
        self._at_peak = (0, 0, 0)
        if self._statm is not None:
            self._baseline = self._read_all(os.pread(self._statm, 128, 0).split())

    def called(self, *_: object) -> None:
        """Read while all that a function needed is alive."""
        self.observe()

    def backward_step(self, *_: object) -> None:
        """Read while the gradients of a step are alive."""
        self.observe()

    def observe(self) -> None:
        """Read the resident pages, and of what they are if they were never more."""
        if self._statm is None:
            return
        told = os.pread(self._statm, 128, 0).split()
        resident = int(told[1])
        if resident > self._highest:
            self._highest = resident
            self._at_peak = self._read_all(told)

    def stop(self) -> None:
        """Read once more, and listen no more."""
        self.observe()
        self._listening.close()

    def read(self, moment: Moment) -> None:
        """Do nothing: it reads up to the end."""

    def metrics(self) -> dict[str, int | float]:
        """Return the highest reading, less the baseline; without what this platform does not tell."""
        if self._statm is None:
            return {}
        in_use, anonymous, file = (
            peak - before for peak, before in zip(self._at_peak, self._baseline, strict=True)
        )
        return {
            **({"heap_in_use_bytes": in_use} if self._in_use else {}),
            "heap_anonymous_rss_bytes": anonymous,
            "heap_file_rss_bytes": file,
        }

    def series(self) -> dict[str, list[int] | list[float]]:
        """Return nothing."""
        return {}

    def _read_all(self, statm: list[bytes]) -> tuple[int, int, int]:
        # Resident pages, and those of files and shared memory among them (Linux, fs/proc/task_mmu.c: task_statm).
        resident, of_files = int(statm[1]), int(statm[2])
        return (
            self._in_use() if self._in_use else 0,
            (resident - of_files) * mmap.PAGESIZE,
            of_files * mmap.PAGESIZE,
        )


class _Mallinfo2(ctypes.Structure):
    """`struct mallinfo2` of glibc's malloc.h."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def reader_of_malloc() -> Callable[[], int] | None:
    """Return what reads the bytes that malloc has handed out; None where nothing tells them.

    They are the sum of what psutil.heap_info gives (`heap_used` is `uordblks`, `mmap_used` is `hblkhd`), from the
    same call: a trial runs in any interpreter that has numpy, and loads nothing else.
    """
    mallinfo2 = None if sys.platform == "win32" else getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo2 is None:
        return None
    mallinfo2.restype = _Mallinfo2

    def in_use() -> int:
        told = mallinfo2()
        return int(told.uordblks + told.hblkhd)

    before = in_use()
    room = bytearray(_TRIED_BYTES)
    # Where another allocator was preloaded, the C library tells of its own, which is idle.
    return in_use if in_use() - before >= len(room) else None


PROBE = Heap
