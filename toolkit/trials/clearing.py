"""Emptying the caches that say that they are caches, so that what they hold can be told from a leak."""

import functools
import gc

__all__ = ["clear_caches"]

_CACHE = functools._lru_cache_wrapper


def clear_caches() -> None:
    """Empty every `functools.lru_cache` and `functools.cache` of this process, and collect what is left of it.

    Other caches cannot be told from a collection that grows. That of numpy for small blocks needs no emptying:
    what lies in it is no longer traced.
    """
    for one in gc.get_objects():
        # Not isinstance: some objects run code of their own when they are asked for their class.
        if type(one) is _CACHE:
            one.cache_clear()
    gc.collect()
