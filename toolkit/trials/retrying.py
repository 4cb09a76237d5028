"""Which failures say nothing of the trial, so that it is tried again without being asked to."""

__all__ = ["MOST_ATTEMPTS", "may_try_again"]

#: In all. What was ended so often most likely asks for it.
MOST_ATTEMPTS = 3
# Not "worker-lost": the scheduler of a cluster has tried that again by itself.
_NOT_OF_THE_TRIAL = ("killed", "oom-kill")


def may_try_again(status: str, attempts: int) -> bool:
    """Return whether a trial that ended so, after so many attempts at it in all, is tried again by itself."""
    return status in _NOT_OF_THE_TRIAL and attempts < MOST_ATTEMPTS
