"""Killing processes that are known by more than their numbers, which come to mean others once they have ended."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

__all__ = ["Stat", "kill_all", "stat_of"]

#: What is killed takes a moment to go; one that the kernel holds back is left after this.
_PATIENCE_SECONDS = 5.0


def kill_all(found: Callable[[], Iterator[tuple[int, Callable[[], bool]]]]) -> None:
    """Kill processes until no more are found, for some seconds at most.

    It works on Linux from 5.3 on; elsewhere it does nothing.

    Parameters
    ----------
    found : callable
        Yields the number of each that is there now, and what tells whether the number still means that process.
    """
    if not hasattr(os, "pidfd_open"):
        return
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        any_left = False
        for process_id, is_still in found():
            any_left = True
            _kill(process_id, is_still)
        if not any_left or time.monotonic() > until:
            return
        time.sleep(0.001)


def _kill(process_id: int, is_still: Callable[[], bool]) -> None:
    try:
        descriptor = os.pidfd_open(process_id)
    except OSError:
        return
    try:
        # Looked at again while it is held: meanwhile the number may have come to mean another process.
        if is_still():
            # It may have ended, or become another user's.
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    finally:
        os.close(descriptor)


class Stat(NamedTuple):
    """What the kernel tells of a process in /proc/PID/stat: proc_pid_stat(5), fields 3, 4 and 22."""

    state: str
    parent: int
    started: str

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing left of it but what its parent has not yet asked for."""
        return self.state in ("Z", "X")


def stat_of(process_id: int) -> Stat | None:
    """Return what the kernel tells of a process; None when it has gone."""
    try:
        with open(f"/proc/{process_id}/stat", encoding="ascii", errors="replace") as told:
            # A name may hold anything, also what looks like its end.
            state, parent, *others = told.read().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return Stat(state, int(parent), others[17])
