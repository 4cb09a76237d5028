"""What training needs beside functions: a file for each layer and each optimiser, and here what they share."""

from collections.abc import Iterator, Sequence
from typing import Any

from toolkit.core.variable import Array, Variable

__all__ = ["Layer", "Optimiser", "Parameter"]


class Parameter(Variable):
    """A leaf that training changes."""

    __slots__ = ()


class Layer:
    """Something that is called and has parameters: its attributes, those of its layers, and lists of either."""

    def __call__(self, x: Variable) -> Variable:
        """Compute what the layer makes of `x`."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it computes: define __call__")

    def parameters(self) -> Iterator[Parameter]:
        """Yield every parameter once, in the order in which the attributes were set."""
        seen: set[int] = set()
        for parameter in _parameters_in(vars(self)):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield parameter


def _parameters_in(value: Any) -> Iterator[Parameter]:
    if isinstance(value, Parameter):
        yield value
    elif isinstance(value, Layer):
        yield from value.parameters()
    elif isinstance(value, dict):
        for one in value.values():
            yield from _parameters_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _parameters_in(one)


class Optimiser:
    """Changes parameters by their gradients, in place: an array that anybody else holds stays the parameter's.

    Parameters
    ----------
    parameters : sequence of Variable
        What to train. One without a gradient is left as it is.
    rate : float
        How far each step goes, above 0.

    Raises
    ------
    ValueError
        The rate is not above 0, or there is nothing to train.
    """

    def __init__(self, parameters: Sequence[Variable] | Iterator[Variable], rate: float) -> None:
        self.parameters = list(parameters)
        self.rate = rate
        if not self.parameters:
            raise ValueError("there are no parameters to train")
        if not rate > 0:
            raise ValueError(f"the rate must be above 0, not {rate}")

    def step(self) -> None:
        """Change every parameter that has a gradient."""
        for place, parameter in enumerate(self.parameters):
            if parameter.grad is not None:
                gradient = parameter.grad
                self.update(
                    place, parameter.data, gradient.data if isinstance(gradient, Variable) else gradient
                )

    def update(self, place: int, data: Array, gradient: Array) -> None:
        """Change the `data` of the parameter at `place` in place."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it changes: define update")

    def cleargrads(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.cleargrad()
