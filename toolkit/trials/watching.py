"""The watch over a trial: from outside, until its process ends or passes a limit."""

import mmap
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import psutil

from toolkit.trials.descendants import Descendants
from toolkit.trials.output import Output
from toolkit.trials.shared import unmapped_bytes

__all__ = ["INTERVAL_SECONDS", "Samples", "WatchEnd", "watch"]

#: What ends a watch: the process by itself, or the limit that it passes.
WatchEnd: TypeAlias = Literal["ended", "timeout", "mem-limit", "output-limit"]

#: Between two looks at a trial.
INTERVAL_SECONDS = 0.01
#: Beyond it, samples are thinned out: a trial may run for a year.
_MOST_SAMPLES = 8192


def watch(
    process: "subprocess.Popen[bytes]",
    output: Output,
    samples: "Samples",
    descendants: Descendants,
    *,
    deadline_seconds: float,
    memory_limit_bytes: int,
) -> WatchEnd:
    """Watch a trial until its process ends or passes a limit, and return which.

    Nothing that the trial does moves the deadline: it counts from this call, by the clock on the wall. Memory is
    the resident set of the process and of its descendants, where pages that they share count for each. A
    descendant whose parent has gone counts as long as the process adopts it; each that is seen at a look is
    remembered in `descendants`. Shared memory that they hold open and do not map is added.
    """
    began = time.monotonic()
    with _waiting_for(process) as ended, _memory_of(process.pid, descendants) as resident:
        while True:
            over = ended(INTERVAL_SECONDS)
            output.read()
            if output.is_too_much:
                return "output-limit"
            if over:
                return "ended"
            passed, taken = time.monotonic() - began, resident()
            samples.add(passed, taken)
            if taken > memory_limit_bytes:
                return "mem-limit"
            if passed >= deadline_seconds:
                return "timeout"


class Samples:
    """The resident set over time, in bounded room: where it fills up, each two samples become the higher one.

    Attributes
    ----------
    seconds : list of float
        Since the watch began.
    resident_bytes : list of int
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.resident_bytes: list[int] = []
        self._stride = 1
        self._in_last = 0

    def add(self, seconds: float, resident_bytes: int) -> None:
        """Add a sample: by itself, or to the last one while that stands for fewer than each other does."""
        if self._in_last and self._in_last < self._stride:
            self.resident_bytes[-1] = max(self.resident_bytes[-1], resident_bytes)
            self._in_last += 1
            return
        if len(self.seconds) == _MOST_SAMPLES:
            self.seconds = self.seconds[::2]
            pairs = zip(self.resident_bytes[::2], self.resident_bytes[1::2], strict=True)
            self.resident_bytes = [max(pair) for pair in pairs]
            self._stride *= 2
        self.seconds.append(seconds)
        self.resident_bytes.append(resident_bytes)
        self._in_last = 1


@contextmanager
def _waiting_for(process: "subprocess.Popen[bytes]") -> Iterator[Callable[[float], bool]]:
    """Yield what waits for so many seconds at most, and returns whether the process has ended."""
    try:
        # Told by the kernel at once, where Popen.wait with a timeout polls.
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        # This system has no such call, or whoever watches has seen the process end already.
        yield lambda seconds: _has_ended(process, seconds)
        return
    try:
        yield lambda seconds: bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def _has_ended(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


@contextmanager
def _memory_of(process_id: int, descendants: Descendants) -> Iterator[Callable[[], int]]:
    """Yield what returns the memory of a process and its descendants, in bytes; 0 once they have ended."""
    if sys.platform != "linux":
        yield lambda: _portable_memory(process_id)
        return
    try:
        statm = os.open(f"/proc/{process_id}/statm", os.O_RDONLY)
    except OSError:
        yield lambda: 0
        return
    try:
        # Through an open file the number of the process cannot come to mean another one.
        yield lambda: _memory(process_id, statm, list(descendants.look(process_id)))
    finally:
        os.close(statm)


def _memory(process_id: int, statm: int, descendants: list[int]) -> int:
    def resident() -> int:
        return _resident(statm) + sum(map(_resident_of, descendants))

    before = resident()
    unmapped = unmapped_bytes([process_id, *descendants]) if before else 0
    # What left a mapping between the two looks, as all does when a process ends, stands in both.
    return min(before, resident()) + unmapped if unmapped else before


def _resident(statm: int) -> int:
    try:
        return int(os.pread(statm, 128, 0).split()[1]) * mmap.PAGESIZE
    except (OSError, IndexError):
        return 0


def _resident_of(process_id: int) -> int:
    try:
        statm = os.open(f"/proc/{process_id}/statm", os.O_RDONLY)
    except OSError:
        return 0
    try:
        return _resident(statm)
    finally:
        os.close(statm)


def _portable_memory(process_id: int) -> int:
    try:
        process = psutil.Process(process_id)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0
