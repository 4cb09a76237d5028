"""Predicted peaks of the modes of steps 17 and 18, counted in arrays.

The formulas count arrays of one size that are alive at once. k is the length of a chain, T the number of loop
iterations, tau the temporaries of a gradient beyond its result.
"""

import mmap
from dataclasses import dataclass
from typing import Literal

#: glibc keeps the size of a block in this many bytes in front of it (malloc/malloc.c, "chunk").
CHUNK_HEADER_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What theory says that a trial's arrays occupy.

    Attributes
    ----------
    peak_arrays, end_arrays : float
        How many arrays are alive at the peak, and when the workload has ended and its result is still held.
    array_bytes : int
        The data of one array, in bytes.
    basis : str
        The formula, for people.
    exact : bool
        False for a model that is right within some percent, such as that of the collector.
    """

    peak_arrays: float
    end_arrays: float
    array_bytes: int
    basis: str
    exact: bool = True

    def peak_bytes(self, measure: Literal["resident", "traced"]) -> int:
        """Return the peak in bytes: of array data, or of the pages that hold it."""
        return round(self.peak_arrays * self._bytes_each(measure))

    def end_bytes(self, measure: Literal["resident", "traced"]) -> int:
        """Return what is alive at the end in bytes: of array data, or of the pages that hold it."""
        return round(self.end_arrays * self._bytes_each(measure))

    def _bytes_each(self, measure: Literal["resident", "traced"]) -> int:
        return page_rounded(self.array_bytes) if measure == "resident" else self.array_bytes


def page_rounded(array_bytes: int) -> int:
    """Return the bytes of the pages that an array of `array_bytes` occupies when malloc maps it by itself.

    Source: malloc/malloc.c of glibc, `sysmalloc_mmap`: the request and its header, rounded up to whole pages.
    """
    return -(-(array_bytes + CHUNK_HEADER_BYTES) // mmap.PAGESIZE) * mmap.PAGESIZE
