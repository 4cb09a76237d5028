"""The mark: every process of a trial carries what tells the trial's folder, so that none is left behind.

A process group can be left, and the number of a process that has ended comes to mean another one. What stands in
the environment of a process is handed on to whatever it starts, and nobody else has it. So are its limits, which
another environment, another session and a second fork leave as they are. One of them limits nothing:
``RLIMIT_LOCKS``, which Linux has kept without a use since 2.4.25 (getrlimit(2)). A number of the trial's own stands
there.
"""

import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

__all__ = ["bear", "end_marked", "mark", "number_of"]

_NAME = "TOOLKIT_TRIAL"
_RLIMIT_LOCKS = 10  # asm-generic/resource.h
#: Above what anybody sets by hand.
_LEAST = 1 << 62
#: What is killed takes a moment to go; one that the kernel holds back is left after this.
_PATIENCE_SECONDS = 5.0

#: What stands in the environment, and what among the limits.
_Marks: TypeAlias = tuple[bytes, bytes]


def mark(folder: Path) -> dict[str, str]:
    """Return the variable that marks the processes of the trial with this folder."""
    return {_NAME: folder.name}


def number_of(folder: Path) -> int:
    """Return the number that marks the processes of the trial with this folder."""
    # Here, because the child of a trial loads this file as well, and has no need of it.
    from hashlib import blake2b

    return _LEAST + int.from_bytes(blake2b(folder.name.encode(), digest_size=7).digest(), "big")


def bear(number: int) -> bool:
    """Mark this process, and whatever it starts from now on, with a number.

    Returns
    -------
    bool
        Whether it is marked: another system has no such limit, and one that was set lower stays.
    """
    if sys.platform != "linux":
        return False
    try:
        resource.setrlimit(_RLIMIT_LOCKS, (number, number))
    except (OSError, ValueError):
        return False
    return True


def end_marked(folder: Path) -> None:
    """Kill every process that carries a mark of this folder, and wait until they have gone.

    One that was given another environment is found by its limits. What has changed both is not found. It works on
    Linux from 5.3 on; elsewhere it does nothing.
    """
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return
    wanted = _wanted(folder)
    until = time.monotonic() + _PATIENCE_SECONDS
    while marked := list(_carrying(wanted)):
        for process_id in marked:
            _kill(process_id, wanted)
        if time.monotonic() > until:
            return
        time.sleep(0.001)


def _wanted(folder: Path) -> _Marks:
    return f"{_NAME}={folder.name}".encode(), f" {number_of(folder)} ".encode()


def _carrying(wanted: _Marks) -> Iterator[int]:
    own = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != own and _carries(int(name), wanted):
            yield int(name)


def _carries(process_id: int, wanted: _Marks) -> bool:
    variable, limit = wanted
    if variable in _read(process_id, "environ").split(b"\0"):
        return True
    # What has ended keeps its limits, unlike its environment, until its parent asks for it.
    return limit in _read(process_id, "limits") and not _has_ended(process_id)


def _has_ended(process_id: int) -> bool:
    # A name may hold anything, also what looks like its end.
    return _read(process_id, "stat").rpartition(b")")[2].split()[:1] in ([], [b"Z"], [b"X"])


def _read(process_id: int, name: str) -> bytes:
    try:
        with open(f"/proc/{process_id}/{name}", "rb") as told:
            return told.read()
    except OSError:
        # It has gone, or belongs to somebody else.
        return b""


def _kill(process_id: int, wanted: _Marks) -> None:
    try:
        descriptor = os.pidfd_open(process_id)
    except OSError:
        return
    try:
        # Looked at again while it is held: meanwhile the number may have come to mean another process.
        if _carries(process_id, wanted):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # It has ended, or become another user's.
        return
    finally:
        os.close(descriptor)
