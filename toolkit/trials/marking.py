"""The mark: every process of a trial carries the name of the trial's folder, so that none is left behind.

A process group can be left, and the number of a process that has ended comes to mean another one. What stands in
the environment of a process is handed on to whatever it starts, and nobody else has it.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["end_marked", "mark"]

_NAME = "TOOLKIT_TRIAL"
#: What is killed takes a moment to go; one that the kernel holds back is left after this.
_PATIENCE_SECONDS = 5.0


def mark(folder: Path) -> dict[str, str]:
    """Return the variable that marks the processes of the trial with this folder."""
    return {_NAME: folder.name}


def end_marked(folder: Path) -> None:
    """Kill every process that carries the mark of this folder, and wait until they have gone.

    A process that was given another environment is not found. It works on Linux from 5.3 on; elsewhere it does
    nothing.
    """
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return
    wanted = f"{_NAME}={folder.name}".encode()
    until = time.monotonic() + _PATIENCE_SECONDS
    while marked := list(_carrying(wanted)):
        for process_id in marked:
            _kill(process_id, wanted)
        if time.monotonic() > until:
            return
        time.sleep(0.001)


def _carrying(wanted: bytes) -> Iterator[int]:
    own = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != own and _carries(int(name), wanted):
            yield int(name)


def _carries(process_id: int, wanted: bytes) -> bool:
    try:
        with open(f"/proc/{process_id}/environ", "rb") as environment:
            return wanted in environment.read().split(b"\0")
    except OSError:
        # It has ended, or belongs to somebody else.
        return False


def _kill(process_id: int, wanted: bytes) -> None:
    try:
        descriptor = os.pidfd_open(process_id)
    except OSError:
        return
    try:
        # Looked at again while it is held: meanwhile the number may have come to mean another process.
        if _carries(process_id, wanted):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)
