"""The backstop: how much address space a trial may have at all, for what outruns the watch from outside."""

import mmap
import resource
import sys
from pathlib import Path

__all__ = ["limit_address_space"]


def limit_address_space(more_bytes: int) -> None:
    """Let this process and what it starts map so many bytes more than it has mapped, and no more.

    Beyond that an allocation fails, which Python tells as a MemoryError. It is called after the imports: a library
    that cannot be mapped ends a process in ways that say nothing of memory.
    """
    if sys.platform != "linux":
        return
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
    _, highest = resource.getrlimit(resource.RLIMIT_AS)
    limit = mapped + more_bytes
    if highest != resource.RLIM_INFINITY:
        limit = min(limit, highest)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
