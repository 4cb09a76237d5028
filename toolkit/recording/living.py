"""The living parts of a recorded graph, and what the engine is known to hold of each.

Whatever holds one beside them is the workload: a count of references tells.
"""

import sys
import weakref
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from toolkit.core.function import Function
from toolkit.core.saving import Kept, Rounded, StandIn
from toolkit.core.variable import Array, Variable
from toolkit.recording import ArrayLetGo, ArrayTaken, FunctionLetGo, Gradient, LetGo, Recording
from toolkit.recording.holding import OWN_REFERENCES, Arrays, Numbers, attributes_of, kept_by, saved_by

__all__ = ["Living", "Saved"]


class Saved:
    """What a function holds of arrays once it was called: saved beside its inputs, kept, and in attributes."""

    def __init__(self, function: Function) -> None:
        self.saved, self.keeps = [*saved_by(function)], [*kept_by(function)]
        self.attributes = [*attributes_of(function)]


class _Made:
    """A living function: what it was called with, and what of it the engine is known to hold."""

    __slots__ = ("creators", "inputs", "reference", "saved", "slots")

    def __init__(
        self,
        reference: "weakref.ref[Function]",
        inputs: list[int],
        creators: list[int],
        saved: list[int],
        slots: list[int],
    ) -> None:
        self.reference = reference
        self.inputs = inputs
        self.creators = creators
        self.saved = saved
        self.slots = slots


class Living:
    """Who is alive, by number, and who holds whom; what the workload lets go of is written down.

    Parameters
    ----------
    recording : Recording
        To write into.

    Attributes
    ----------
    numbers : Numbers
        Of variables and functions.
    arrays : Arrays
    data : dict of int to int
        The array that each variable holds.
    creator : dict of int to int
        The function that made each variable which is not a leaf.
    """

    def __init__(self, recording: Recording) -> None:
        self.numbers = Numbers()
        self.arrays = Arrays(recording.array_bytes)
        self.data: dict[int, int] = {}
        self.creator: dict[int, int] = {}
        self._events = recording.events
        self._variables: dict[int, weakref.ref[Variable]] = {}
        self._functions: dict[int, _Made] = {}
        #: How many living functions refer to a variable as an input, and how many variables to a function.
        self._uses: Counter[int] = Counter()
        self._children: Counter[int] = Counter()
        self._held: set[int] = set()
        self._held_functions: set[int] = set()
        self._held_arrays: Counter[int] = Counter()
        #: The `id` of the arrays in the slots of a variable.
        self._slots: dict[int, dict[str, int]] = {}
        self._outputs: dict[int, tuple[int, ...]] = {}

    # What comes.

    def add(self, variable: Variable) -> int:
        """Follow a variable from here on, and return its number."""
        number = self.numbers.of(variable)
        self._variables[number] = weakref.ref(variable, lambda _: self._died(number))
        self._held.add(number)
        data = variable.data
        self.data[number] = self.arrays.number_of(data)
        self._slots[number] = {}
        self.fill(number, "data", data)
        return number

    def follows(self, number: int) -> bool:
        """Return whether that is the number of a variable that is followed."""
        return number in self._slots

    def is_filled(self, number: int, slot: str) -> bool:
        """Return whether that slot of a variable, `data` or `grad`, is known to hold an array."""
        return slot in self._slots[number]

    def fill(self, number: int, slot: str, array: Array) -> None:
        """Know that a slot of a variable holds an array now."""
        self.arrays.hold(array)
        self._slots[number][slot] = id(array)

    def empty(self, number: int, slot: str) -> None:
        """Know that a slot of a variable holds no array any more."""
        slots = self._slots[number]
        if slot in slots:
            self.arrays.drop(slots.pop(slot))

    def add_function(
        self, function: Function, inputs: list[int], outputs: tuple[int, ...], saved: Saved, *, strong: bool
    ) -> int:
        """Follow a function from here on, and return its number.

        Parameters
        ----------
        function : Function
        inputs : list of int
            The variables that it holds.
        outputs : tuple of int
        saved : Saved
        strong : bool
            Whether it refers to its outputs itself.
        """
        number = self.numbers.of(function)
        kept_inputs = getattr(function, "inputs", None)
        creators: list[int] = []
        if kept_inputs is not None:
            creators = [
                self.numbers.of(x.creator)
                for x in kept_inputs
                if isinstance(x, StandIn) and x.creator is not None
            ]
            self.creator.update(dict.fromkeys(outputs, number))
            self._outputs[number] = outputs
            self._children[number] += len(outputs)
            if strong:
                # Nothing but that tells them from the workload's own.
                inputs = [*inputs, *outputs]
        self._uses.update(inputs)
        self._children.update(creators)
        self._functions[number] = _Made(
            weakref.ref(function, lambda _: self._function_died(number)),
            inputs,
            creators,
            self._hold([*saved.saved, *saved.keeps]),
            self._hold(saved.attributes),
        )
        self._held_functions.add(number)
        return number

    def _hold(self, held: list[Array | Rounded]) -> list[int]:
        keys = []
        for one in held:
            if isinstance(one, np.ndarray):
                self.arrays.hold(one)
                keys.append(id(one))
        return keys

    # What is asked.

    def numbers_of(self, held: Iterable[Array | Rounded]) -> tuple[int, ...]:
        """Return the numbers of arrays; nobody but the engine can get at those that it has rounded."""
        return tuple([self._number_of(one) for one in held])

    def _number_of(self, one: Array | Rounded) -> int:
        return (
            self.arrays.number_of(one.array, private=True)
            if isinstance(one, Rounded)
            else self.arrays.number_of(one)
        )

    def rounded(
        self, function: Function, used: tuple[int, ...], made: tuple[int, ...]
    ) -> tuple[tuple[int, int], ...]:
        """Return the rounded arrays that a function saved, each with the variable whose data it stands for."""
        sources = [
            (x.rounded, variable)
            for x, variable in zip(getattr(function, "inputs", ()), used, strict=False)
            if isinstance(x, Kept)
        ]
        output = getattr(function, "output_data", None)
        if isinstance(output, Rounded):
            sources.append((output, made[0]))
        return tuple([(self._number_of(rounded), variable) for rounded, variable in sources])

    def gradient(self, array: Array) -> Gradient:
        """Return what a recording tells of a gradient."""
        return Gradient(self.arrays.number_of(array), array.base is None, array.nbytes)

    def output_of(self, stand_in: StandIn) -> int:
        """Return the number of the variable that a stand-in, which names it by its creator, stands for."""
        assert stand_in.creator is not None
        return self._outputs[self.numbers.of(stand_in.creator)][stand_in.position]

    # What goes.

    def look(self) -> None:
        """Write down what the workload has taken and let go of since the last look."""
        taken = self.arrays.held_by_others()
        self._events.extend([ArrayTaken(array) for array in taken if array not in self._held_arrays])
        for number in [*self._held]:
            if _references(self._variables[number]) <= self._uses[number]:
                self._let_go(number)
        for number in [*self._held_functions]:
            if _references(self._functions[number].reference) <= self._children[number]:
                self._let_go_function(number)
        self._events.extend([ArrayLetGo(array) for array in self._held_arrays if array not in taken])
        self._held_arrays = taken

    def unchain(self, number: int) -> bool:
        """Cut a variable off from the function that made it; return whether there was one."""
        creator = self.creator.pop(number, None)
        if creator is not None:
            self._children[creator] -= 1
        return creator is not None

    def gone_back_through(self, number: int) -> None:
        """Know that a step is over, in which a function may have let go of what it held."""
        made = self._functions.get(number)
        function = made and made.reference()
        if made is not None and function is not None and not hasattr(function, "inputs"):
            self._emptied(made)

    def _died(self, number: int) -> None:
        del self._variables[number]
        for key in self._slots.pop(number).values():
            self.arrays.drop(key)
        self.unchain(number)
        if number in self._held:
            self._let_go(number)

    def _let_go(self, number: int) -> None:
        self._held.discard(number)
        self._events.append(LetGo(number))

    def _let_go_function(self, number: int) -> None:
        self._held_functions.discard(number)
        self._events.append(FunctionLetGo(number))

    def _function_died(self, number: int) -> None:
        made = self._functions.pop(number)
        self._outputs.pop(number, None)
        self._emptied(made)
        for key in made.slots:
            self.arrays.drop(key)
        if number in self._held_functions:
            self._let_go_function(number)

    def _emptied(self, made: _Made) -> None:
        self._uses.subtract(made.inputs)
        self._children.subtract(made.creators)
        for key in made.saved:
            self.arrays.drop(key)
        made.inputs, made.creators, made.saved = [], [], []


def _references(reference: "weakref.ref[Any]") -> int:
    one = reference()
    return sys.getrefcount(one) - OWN_REFERENCES
