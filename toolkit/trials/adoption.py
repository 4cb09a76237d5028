"""Adoption: what a trial has started stays below it while it lives, to be seen and weighed.

Nothing that a process does to itself, be it a session, an environment or a second fork, changes who adopts it. Only
a trial's own process adopts: to whoever runs trials come orphans of others as well, of a shell that became the
command or of a user's own processes, which cannot be told from those of a trial.
"""

import ctypes
import sys

__all__ = ["adopt"]

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def adopt() -> bool:
    """Let the kernel give this process the orphans among its descendants: prctl(2).

    Returns
    -------
    bool
        Whether it does: a system other than Linux does not, and a sandbox may refuse.
    """
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
