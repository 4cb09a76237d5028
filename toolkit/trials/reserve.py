"""Room for the interpreter's small objects, resident before the baseline.

A node of a graph is a few hundred bytes of Python objects beside its arrays. On pages that were not resident
before, those objects move the resident set by an amount that depends on how the allocators happen to pack them.
In a process that has been at work for a while they find room on pages that are resident already. The reserve
brings a fresh process into that state, so that the resident set moves by arrays alone; what the objects take is
told by the traced measure, to the byte.
"""

import ctypes
import gc
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import repeat

from toolkit.trials.libraries import populate_libraries
from toolkit.trials.trimming import trim

__all__ = ["Reserve", "settle"]

#: Python's own allocator (Objects/obmalloc.c): room in arenas of 1 MiB, taken as the largest blocks it serves.
_PYTHON_BYTES = 16 << 20
_PYTHON_BLOCK_BYTES = 512
_PYTHON_ALIGNMENT_BYTES = 16
_POOL_BYTES = 16 << 10
_POOL_HEADER_BYTES = 48
_ARENA_BYTES = 1 << 20
#: What takes blocks that are too small for bytes, without a list of free ones of its own.
_MAKES: dict[int, Callable[[], object]] = {16: object, 32: complex}
#: The C library's allocator, from which numpy takes the shape and strides of each array.
#: A block is too small to ever serve an array that is measured by its pages (the mmap threshold is 64 KiB).
_C_BYTES = 4 << 20
_C_BLOCK_BYTES = 16 << 10


class Reserve:
    """Takes room and gives it back: the pages stay resident, and whoever asks next gets them.

    It is exact with CPython's allocator and glibc's malloc; with others it is merely a warm-up. Where Python
    passes every request on to the C library, all of the room is taken there, in blocks as small as ever: runs of
    freed Python blocks would be room for an array.
    """

    def __init__(self) -> None:
        by_python = sys.getallocatedblocks() > 0
        self._blocks: list[bytes | None] = [None] * (by_python * _PYTHON_BYTES // _PYTHON_BLOCK_BYTES)
        # Python fills the arena with the fewest free pools first. Blocks that are never given back make that one
        # of ours, and not the last one, part of which was never touched; they also keep ours from being unmapped.
        arena = _ARENA_BYTES // _PYTHON_BLOCK_BYTES
        pinned = range(0, len(self._blocks) - arena, arena // 8)
        # What lies between them, and the last arena.
        self._loose = [range(one + 1, one + pinned.step) for one in pinned]
        self._loose.append(range(max(0, pinned.stop), len(self._blocks)))
        by_c = _C_BYTES if by_python else _C_BYTES + _PYTHON_BYTES
        self._pointers = (ctypes.c_void_p * (by_c // _C_BLOCK_BYTES))()
        self._libc = ctypes.CDLL(None)
        self._libc.malloc.restype = ctypes.c_void_p
        self._libc.malloc.argtypes = [ctypes.c_size_t]
        self._libc.free.argtypes = [ctypes.c_void_p]

    def fill_started_pools(self) -> None:
        """Touch what is left of the pools that Python has begun, where it has pools."""
        if not self._blocks:
            return
        # All are held until the end, or the pools that one size gives back would be begun anew for another.
        held: list[list[list[object]]] = []
        # A pool serves blocks of one size and is touched block by block. A new one is begun when all that are
        # begun are full, and not before. Nobody else has a block of it: so it tells that the others are used up.
        for size in range(_PYTHON_ALIGNMENT_BYTES, _PYTHON_BLOCK_BYTES + 1, _PYTHON_ALIGNMENT_BYTES):
            capacity = (_POOL_BYTES - _POOL_HEADER_BYTES) // size
            make = _MAKES.get(size) or partial(bytes, size - sys.getsizeof(b""))
            # Lists of a pool's blocks each: longer ones would be too long for the room in the C library.
            taken: list[list[object]] = []
            held.append(taken)
            # Bounded, for other builds of Python may lay out their pools in another way.
            most = _PYTHON_BYTES // _POOL_BYTES
            # The blocks of a new pool come one after the other, and so within the last two lists.
            while capacity not in _blocks_by_pool(taken[-2:]).values() and len(taken) < most:
                # Nothing else may take blocks meanwhile, not even the numbers of a range.
                taken.append([make() for _ in repeat(None, capacity)])

    def take(self) -> None:
        """Take the room: as much as the workload has left free of it, and as much more as it has not."""
        header = sys.getsizeof(b"")
        for position, block in enumerate(self._blocks):
            if block is None:
                self._blocks[position] = bytes(_PYTHON_BLOCK_BYTES - header)
        for position, pointer in enumerate(self._pointers):
            if not pointer and (taken := self._libc.malloc(_C_BLOCK_BYTES)):
                self._pointers[position] = ctypes.memset(taken, 0, _C_BLOCK_BYTES)

    def give(self) -> None:
        """Give the room back to the allocators, for small objects to be put in."""
        # Nothing may take room meanwhile: a list of as many would nibble at that of the C library.
        for positions in self._loose:
            for position in positions:
                self._blocks[position] = None
        # Every second block stays, so that the free ones never grow together into room for an array.
        for position in range(0, len(self._pointers) - 1, 2):
            self._libc.free(self._pointers[position])
            self._pointers[position] = None


def settle(reserve: Reserve | None) -> None:
    """Bring the process into the state of the baseline: nothing is left to free, and what is to come has room."""
    # The first round is short, as it leaves out what is frozen: a trial's imports. The second goes through all.
    gc.collect()
    gc.unfreeze()
    gc.collect()
    gc.enable()
    trim()
    if reserve:
        populate_libraries()
        # What the first round makes may take room from the reserve, which the second round tops up.
        for _ in range(2):
            reserve.fill_started_pools()
            reserve.take()
            reserve.give()
        gc.collect(0)


def _blocks_by_pool(taken: list[list[object]]) -> Counter[int]:
    counted = Counter(id(block) // _POOL_BYTES for blocks in taken for block in blocks)
    # A list is itself a block, of 64 bytes.
    counted.update(id(blocks) // _POOL_BYTES for blocks in taken)
    return counted
