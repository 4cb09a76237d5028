"""Moments of a recording: what is alive beside the arrays that it follows, and how high memory rose in between."""

import tracemalloc

from toolkit.recording import Moment, Recording, Worked
from toolkit.recording.holding import Arrays

__all__ = ["Moments"]


class Moments:
    """Reads the traced bytes of arrays each time the core is entered or left.

    Parameters
    ----------
    recording : Recording
        To write into what the workload did by itself.
    arrays : Arrays
        That it follows.
    """

    def __init__(self, recording: Recording, arrays: Arrays) -> None:
        self._events, self._arrays = recording.events, arrays
        self._left_at = self._left_bytes = self._left_other_bytes = 0

    def now(self) -> Moment:
        """Return what else is alive now, and how far the peak since the core was left lay above."""
        current, peak = tracemalloc.get_traced_memory()
        # A peak no higher than where the core was left says nothing of what came since.
        above = peak - current if peak > self._left_bytes else 0
        self.leave()
        return Moment(self._left_other_bytes, above)

    def other_bytes(self) -> int:
        """Return what is alive now beside the arrays that are followed."""
        return tracemalloc.get_traced_memory()[0] - self._arrays.alive_bytes

    def leave(self) -> None:
        """Begin anew to look for a peak: what comes from here on is not the core's."""
        tracemalloc.reset_peak()
        self._left_at = len(self._events)
        self._left_bytes = tracemalloc.get_traced_memory()[0]
        self._left_other_bytes = self._left_bytes - self._arrays.alive_bytes

    def return_from_work(self) -> None:
        """Write down how high memory rose while the workload was by itself."""
        peak = tracemalloc.get_traced_memory()[1]
        if peak > self._left_bytes:
            # Whether the peak came before or after what the workload has let go of is not known: it is
            # counted from what was alive when the core was left.
            worked = Worked(Moment(self._left_other_bytes, peak - self._left_bytes))
            self._events.insert(self._left_at, worked)
        self.leave()
