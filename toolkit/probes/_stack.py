"""Room for readings of several numbers at once, set aside before a trial starts."""

import struct

_CAPACITY = 1 << 14


class Stack:
    """Readings of `width` numbers each.

    The room is fixed: 16,384 readings. Once it is full, every second reading is left out and from then on only
    every second one is kept, as often as that is needed.

    Parameters
    ----------
    width : int
        How many numbers a reading has.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._row = struct.Struct(f"{width}q")
        self._room = bytearray(_CAPACITY * self._row.size)
        self.clear()

    def clear(self) -> None:
        """Forget every reading."""
        self._kept = 0
        self._offered = 0
        self._stride = 1

    def add(self, *reading: int) -> None:
        """Offer a reading, integers of at most 64 bits."""
        if self._offered % self._stride == 0:
            if self._kept == _CAPACITY:
                self._halve()
            self._row.pack_into(self._room, self._kept * self._row.size, *reading)
            self._kept += 1
        self._offered += 1

    def _halve(self) -> None:
        size = self._row.size
        for kept, source in enumerate(range(0, _CAPACITY, 2)):
            self._room[kept * size : (kept + 1) * size] = self._room[source * size : (source + 1) * size]
        self._kept = _CAPACITY // 2
        self._stride *= 2

    def columns(self) -> list[list[int]]:
        """Return what was kept, in order: a list for each number of a reading."""
        kept = memoryview(self._room)[: self._kept * self._row.size]
        rows = list(self._row.iter_unpack(kept))
        return [[row[column] for row in rows] for column in range(self._width)]
