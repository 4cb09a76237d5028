"""The peak of array bytes that an action needs: a pass of its own, because tracing takes time."""

import gc
import tracemalloc
from collections.abc import Callable

from toolkit.probes.traced import tracing_arrays


def peak_bytes(action: Callable[[], object]) -> int:
    """Return the peak of what numpy allocates for arrays while `action` runs, to the byte.

    It runs twice: an engine that keeps memory for the next time holds it from the first.
    """
    gc.collect()
    with tracing_arrays():
        action()
        action()
        return tracemalloc.get_traced_memory()[1]
