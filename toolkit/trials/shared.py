"""Shared memory that a trial holds without mapping it: part of no resident set, and yet memory."""

import os
from collections.abc import Iterable

__all__ = ["unmapped_bytes"]

#: What the links in /proc/PID/fd begin with: memfd_create(2), and the file system of shm_overview(7).
_PLACES = ("/memfd:", "/dev/shm/")
_BLOCK_BYTES = 512  # of st_blocks, whatever the file system: inode(7)


def unmapped_bytes(process_ids: Iterable[int]) -> int:
    """Return what processes hold open in shared memory, less what of shared memory is in their resident sets.

    A file counts once, with the pages that it has. Of a process that also maps memory without a file, the mapped
    part hides as much of a file: what is returned is never too much, and with the resident sets it is at least half
    of what all of it takes. Files that nobody holds open, segments of System V and pages that a process took out of
    its own mapping (``MADV_DONTNEED``) are the system's, and count nowhere. It works on Linux.
    """
    process_ids = list(process_ids)
    files = dict(file for process_id in process_ids for file in _held(process_id))
    if not files:
        return 0
    return max(0, sum(files.values()) - sum(map(_mapped, process_ids)))


def _held(process_id: int) -> Iterable[tuple[tuple[int, int], int]]:
    folder = f"/proc/{process_id}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        # It has ended, or belongs to somebody else.
        return
    for name in names:
        try:
            # The link first: to ask some other file for its size may take for ever.
            if os.readlink(f"{folder}/{name}").startswith(_PLACES):
                told = os.stat(f"{folder}/{name}")
                yield (told.st_dev, told.st_ino), told.st_blocks * _BLOCK_BYTES
        except OSError:
            continue


def _mapped(process_id: int) -> int:
    """Return the shared memory in the resident set of a process: RssShmem of proc_pid_status(5)."""
    try:
        with open(f"/proc/{process_id}/status", encoding="ascii", errors="replace") as status:
            return next((int(line.split()[1]) << 10 for line in status if line.startswith("RssShmem:")), 0)
    except OSError:
        return 0
