"""The factor `gc`: how the collector works during a trial."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: The levels of the factor, with what each means.
GC_LEVELS = {
    "default": "as Python sets it",
    "off": "switched off during the workload",
}


@contextmanager
def collecting(level: str) -> Iterator[None]:
    """Set the collector for the block as `level` says; what was set before comes back, also on errors."""
    enabled, thresholds = gc.isenabled(), gc.get_threshold()
    (gc.disable if level == "off" else gc.enable)()
    try:
        yield
    finally:
        (gc.enable if enabled else gc.disable)()
        gc.set_threshold(*thresholds)
