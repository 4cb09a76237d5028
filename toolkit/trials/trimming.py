"""Which allocator serves this process, and its own call to hand free pages back to the kernel."""

import ctypes
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["AllocatorAtWork", "allocator_at_work", "refuse_another_allocator", "trim"]

_PROCESS = ctypes.CDLL(None) if sys.platform != "win32" else None


_MIMALLOC_WAIT_SECONDS = 0.06


@dataclass(frozen=True)
class AllocatorAtWork:
    """What serves `malloc` in this process.

    Attributes
    ----------
    library : str
        The name of the file that it is in; empty where the platform does not tell.
    name : str
        For people, with its version.
    trims_by : str
        The calls that `trim` makes; empty where it has none.
    trim : callable
        Hands free pages back to the kernel.
    """

    library: str
    name: str
    trims_by: str
    trim: Callable[[], None]


def trim() -> None:
    """Let the allocator of this process hand free pages back to the kernel, where it has a call for that."""
    allocator_at_work().trim()


def refuse_another_allocator(library: str) -> None:
    """Raise unless `library`, as the linker names it, serves `malloc`.

    Raises
    ------
    RuntimeError
        When another one does: the linker only warns when it cannot preload a library.
    """
    at_work = allocator_at_work()
    if not at_work.library.startswith(f"lib{library}."):
        raise RuntimeError(f"malloc is not served by lib{library}, but by {at_work.library or 'the system'}")


@cache
def allocator_at_work() -> AllocatorAtWork:
    """Find the allocator by the library in whose mapping `malloc` lies."""
    library = _library_with_malloc()
    for prefix, look in _LOOKS.items():
        # musl's library has the name of glibc's, and no such call.
        if library.startswith(prefix) and (look is not _glibc or hasattr(_PROCESS, "gnu_get_libc_version")):
            return look(library)
    return AllocatorAtWork(library, "the platform's", "", lambda: None)


def _library_with_malloc() -> str:
    if _PROCESS is None or sys.platform != "linux":
        return ""
    address = ctypes.cast(_PROCESS.malloc, ctypes.c_void_p).value or 0
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        first, _, last = line.split(maxsplit=1)[0].partition("-")
        if int(first, 16) <= address < int(last, 16):
            return line.rpartition("/")[2]
    return ""


def _glibc(library: str) -> AllocatorAtWork:
    assert _PROCESS is not None
    _PROCESS.gnu_get_libc_version.restype = ctypes.c_char_p
    name = f"glibc {_PROCESS.gnu_get_libc_version().decode()}"
    malloc_trim = _PROCESS.malloc_trim
    return AllocatorAtWork(library, name, "malloc_trim(0)", lambda: malloc_trim(0))


def _jemalloc(library: str) -> AllocatorAtWork:
    assert _PROCESS is not None
    mallctl = _PROCESS.mallctl
    version = ctypes.c_char_p()
    size = ctypes.c_size_t(ctypes.sizeof(version))
    mallctl(b"version", ctypes.byref(version), ctypes.byref(size), None, ctypes.c_size_t(0))
    number = (version.value or b"").decode().partition("-")[0]

    def purge() -> None:
        # 4096 is MALLCTL_ARENAS_ALL of jemalloc.h.
        for command in (b"thread.tcache.flush", b"arena.4096.purge"):
            mallctl(command, None, None, None, ctypes.c_size_t(0))

    return AllocatorAtWork(
        library, f"jemalloc {number}", "mallctl: thread.tcache.flush, arena.4096.purge", purge
    )


def _mimalloc(library: str) -> AllocatorAtWork:
    assert _PROCESS is not None
    mi_collect = _PROCESS.mi_collect

    def collect() -> None:
        # What is free waits for a while before it may go (MIMALLOC_DECOMMIT_DELAY, 25 ms), also when forced.
        mi_collect(ctypes.c_bool(True))
        time.sleep(_MIMALLOC_WAIT_SECONDS)
        mi_collect(ctypes.c_bool(True))

    # Of three digits: MI_MALLOC_VERSION of mimalloc.h.
    version = ".".join(str(_PROCESS.mi_version()))
    return AllocatorAtWork(library, f"mimalloc {version}", "mi_collect(true), twice", collect)


def _tcmalloc(library: str) -> AllocatorAtWork:
    assert _PROCESS is not None
    _PROCESS.tc_version.restype = ctypes.c_char_p
    version = (_PROCESS.tc_version(None, None, None) or b"").decode()
    give_up_cache = _PROCESS.MallocExtension_MarkThreadIdle
    release = _PROCESS.MallocExtension_ReleaseFreeMemory

    def purge() -> None:
        # What the thread keeps for itself is not free before it is given up.
        give_up_cache()
        release()

    return AllocatorAtWork(
        library, f"tcmalloc of {version}", "MallocExtension: MarkThreadIdle, ReleaseFreeMemory", purge
    )


_LOOKS = {
    "libc.": _glibc,
    "libjemalloc.": _jemalloc,
    "libmimalloc.": _mimalloc,
    "libtcmalloc_minimal.": _tcmalloc,
}
