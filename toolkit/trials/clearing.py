"""Letting go of what is not needed, by one cause after the other, so that each can be told from a leak."""

import functools
import gc

from toolkit.core.buffers import release_buffers

__all__ = ["clear_caches", "collect", "unfreeze"]

_CACHE = functools._lru_cache_wrapper
#: Finalizers may leave garbage to the next round, and those of that one again; but not for ever.
_MOST_ROUNDS = 32
#: A finalizer that brings its object back leaves no garbage to count, and may have let go of other objects.
_QUIET_ROUNDS = 2


def collect() -> int:
    """Collect garbage until none is found any more, also what finalizers of other garbage let go of.

    Returns
    -------
    int
        How many objects were garbage.
    """
    found = quiet = 0
    for _ in range(_MOST_ROUNDS):
        garbage = gc.collect()
        found += garbage
        quiet = 0 if garbage else quiet + 1
        if quiet == _QUIET_ROUNDS:
            break
    return found


def unfreeze() -> None:
    """Show the collector again what `gc.freeze` hid from it, and collect what of that is garbage."""
    gc.unfreeze()
    collect()


def clear_caches() -> None:
    """Empty every `functools.lru_cache` and `functools.cache` of this process, and collect what is left of it.

    So is the memory that the core keeps for results to come (``buffers="reused"``). Other caches cannot be told
    from a collection that grows. That of numpy for small blocks needs no emptying: what lies in it is no longer
    traced.
    """
    for one in gc.get_objects():
        # Not isinstance: some objects run code of their own when they are asked for their class.
        if type(one) is _CACHE:
            one.cache_clear()
    collect()
    # Last: what was cached may have given its memory back to these.
    release_buffers()
