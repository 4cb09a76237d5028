"""Adoption: processes whose parents have gone come to the trial that they are of, and after it to its supervisor.

Nothing that a process does to itself, be it a session, an environment or a second fork, changes who adopts it. A
trial adopts while it lives, so that what it has started stays below it, to be seen and weighed. What comes to the
supervisor is then of a trial that has ended. It works on Linux; elsewhere orphans are the system's.
"""

import ctypes
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

from toolkit.trials.descendants import Descendants

__all__ = ["adopt", "adopting", "end_orphans"]

_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37  # linux/prctl.h
#: What is killed takes a moment to go; one that the kernel holds back is left after this.
_PATIENCE_SECONDS = 5.0

_lock = Lock()
_supervising = 0
#: Whether this process adopted before it supervised, and the children that it had then.
_before: tuple[bool, frozenset[int]] = (False, frozenset())


def adopt(orphans: bool = True) -> bool:
    """Let the kernel give this process, from now on or no longer, the orphans among its descendants: prctl(2).

    Returns
    -------
    bool
        Whether it does as it is asked: a sandbox may refuse, and elsewhere than on Linux nobody adopts.
    """
    if sys.platform != "linux":
        return not orphans
    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(orphans), 0, 0, 0) == 0)


@contextmanager
def adopting() -> Iterator[None]:
    """Adopt for the block, which other threads may be in as well."""
    global _supervising, _before
    with _lock:
        if not _supervising:
            _before = _adopts(), frozenset(_children())
            adopt()
        _supervising += 1
    try:
        yield
    finally:
        with _lock:
            _supervising -= 1
            if not _supervising:
                adopt(_before[0])


def end_orphans(but: frozenset[int]) -> None:
    """Kill what has come to this process since it adopts, and wait until it has gone.

    Parameters
    ----------
    but : frozenset of int
        The children of its own making.

    Orphans come to the main thread. Whatever that starts itself meanwhile is to be among `but`; what other threads
    start is not touched.
    """
    _, known = _before
    until = time.monotonic() + _PATIENCE_SECONDS
    # What one leaves behind comes here in its turn.
    while orphans := [child for child in _children() if child not in known and child not in but]:
        seen = Descendants()
        for child in orphans:
            seen.add(child)
        seen.end()
        for child in orphans:
            with suppress(ChildProcessError):
                os.waitpid(child, os.WNOHANG)
        if time.monotonic() > until:
            return


def _adopts() -> bool:
    answer = ctypes.c_int(0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def _children() -> list[int]:
    """Return the children of the main thread, which bears the number of the process."""
    process_id = os.getpid()
    try:
        with open(f"/proc/{process_id}/task/{process_id}/children", encoding="ascii") as told:
            return list(map(int, told.read().split()))
    except OSError:
        return []
