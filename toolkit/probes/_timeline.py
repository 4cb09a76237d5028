"""Room for the readings of one trial, set aside before it starts so that recording moves no memory."""

from array import array

from toolkit.probes import Position

_CAPACITY = 1 << 14


class Timeline:
    """Readings with the step at which each was taken.

    The room is fixed: 16,384 readings of 8 bytes, twice. Once it is full, every second reading is left out and
    from then on only every second one is kept, as often as that is needed.

    Parameters
    ----------
    position : Position
        Where the workload is.
    """

    def __init__(self, position: Position) -> None:
        self._position = position
        self._readings = array("q", bytes(8 * _CAPACITY))
        self._steps = array("q", bytes(8 * _CAPACITY))
        self.clear()

    def clear(self) -> None:
        """Forget every reading."""
        self._kept = 0
        self._offered = 0
        self._stride = 1

    def add(self, reading: int) -> None:
        """Offer a reading, an integer of at most 64 bits."""
        if self._offered % self._stride == 0:
            if self._kept == _CAPACITY:
                self._halve()
            self._readings[self._kept] = reading
            self._steps[self._kept] = self._position.step
            self._kept += 1
        self._offered += 1

    def _halve(self) -> None:
        for kept, source in enumerate(range(0, _CAPACITY, 2)):
            self._readings[kept] = self._readings[source]
            self._steps[kept] = self._steps[source]
        self._kept = _CAPACITY // 2
        self._stride *= 2

    def readings(self) -> list[int]:
        """Return what was kept, in order."""
        return self._readings[: self._kept].tolist()

    def steps(self) -> list[int]:
        """Return the step of each reading that was kept."""
        return self._steps[: self._kept].tolist()
