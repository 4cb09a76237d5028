"""Who holds which array: counts of holders, and the gradients of variables."""

from collections import Counter
from collections.abc import Mapping

from toolkit.recording import Gradient

__all__ = ["Arrays", "Gradients"]


class Arrays:
    """How many holders each array has, and how many bytes are held.

    Parameters
    ----------
    array_bytes : mapping of int to int
        The bytes of each array that the recording has.

    Attributes
    ----------
    alive_bytes : int
        Of the arrays that are held.
    """

    def __init__(self, array_bytes: Mapping[int, int]) -> None:
        self._bytes = dict(array_bytes)
        self._holders: Counter[int] = Counter()
        #: Of a sum that the recording has and that goes into the first array here: that array.
        self._same: dict[int, int] = {}
        self.alive_bytes = 0

    def _of(self, array: int) -> int:
        while array in self._same:
            array = self._same[array]
        return array

    def hold(self, array: int) -> None:
        """Give an array one holder more."""
        array = self._of(array)
        if not self._holders[array]:
            self.alive_bytes += self._bytes[array]
        self._holders[array] += 1

    def drop(self, array: int) -> None:
        """Take one holder from an array."""
        array = self._of(array)
        self._holders[array] -= 1
        if not self._holders[array]:
            self.alive_bytes -= self._bytes[array]

    def is_held(self, array: int) -> bool:
        """Return whether anybody holds an array."""
        return self._holders[self._of(array)] > 0

    def is_held_once(self, array: int) -> bool:
        """Return whether an array has a single holder."""
        return self._holders[self._of(array)] == 1

    def is_same(self, array: int, earlier: int) -> None:
        """Take two numbers of the recording for one array."""
        array, earlier = self._of(array), self._of(earlier)
        if array != earlier:
            self._same[array] = earlier

    def new(self, size_bytes: int) -> int:
        """Return the number of an array that the recording does not have."""
        number = -len(self._bytes) - 1
        self._bytes[number] = size_bytes
        return number


class Gradients:
    """Which variable has which gradient."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._of: dict[int, Gradient] = {}

    def set(self, variable: int, gradient: Gradient | None) -> None:
        """Give a variable a gradient in place of the one it has, if any."""
        if gradient is not None:
            self._arrays.hold(gradient.array)
        before = self._of.pop(variable, None)
        if before is not None:
            self._arrays.drop(before.array)
        if gradient is not None:
            self._of[variable] = gradient

    def add(self, variable: int, gradient: Gradient, total: Gradient | None, *, in_place: bool) -> int:
        """Give a variable a gradient; a second one makes a sum. Return the bytes alive while it is made."""
        before = self._of.get(variable)
        if before is None:
            self.set(variable, gradient)
            return self._arrays.alive_bytes
        if in_place and before.owning and self._arrays.is_held_once(before.array):
            if total is not None:
                self._arrays.is_same(total.array, before.array)
            return self._arrays.alive_bytes
        total = total or Gradient(self._arrays.new(gradient.size_bytes), True, gradient.size_bytes)
        self._arrays.hold(total.array)
        alive_bytes = self._arrays.alive_bytes
        self._arrays.drop(before.array)
        self._of[variable] = total
        return alive_bytes

    def take(self, variable: int) -> Gradient | None:
        """Return what a variable has, and hand on the hold of it."""
        return self._of.pop(variable, None)

    def clear(self) -> None:
        """Take from every variable what it has."""
        for variable in [*self._of]:
            self.set(variable, None)
