"""Function: a computation, its gradient, and the node it leaves in the graph (book steps 11 to 18)."""

import weakref
from typing import Any

import numpy as np

from toolkit.core import events
from toolkit.core.config import current_config
from toolkit.core.variable import Array, Operand, Variable, as_array

__all__ = ["Function"]


class Function:
    """One computation. Subclasses say what it computes (`forward`) and how gradients go back (`backward`).

    An instance stands for one call: it is the node of the graph that the call leaves behind.

    Attributes
    ----------
    inputs : tuple of Variable
        What the call was given. Held strongly: the gradient needs their data (step 18.2). Set only while the
        graph is switched on.
    outputs : tuple of Variable or of weak references to Variable
        What the call made, held as the toggle `references` says (step 17.4).
    generation : int
        The highest generation among the inputs (step 16.1).
    """

    __slots__ = ("__weakref__", "generation", "inputs", "output_layouts", "outputs")

    inputs: tuple[Variable, ...]
    outputs: "tuple[Variable, ...] | tuple[weakref.ref[Variable], ...]"
    output_layouts: tuple[tuple[tuple[int, ...], np.dtype[Any]], ...]
    generation: int

    def forward(self, *xs: Any) -> Any:
        """Compute the outputs, one array or a tuple of arrays, from the arrays of the inputs."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it computes: define forward")

    def backward(self, *gys: Any) -> Any:
        """Compute the gradients of the inputs, one or a tuple, from those of the outputs.

        Each has the shape and dtype of its input's data. None stands for an input that has no gradient.
        """
        raise NotImplementedError(f"{type(self).__name__} has no gradient: define backward")

    def __call__(self, *inputs: Operand) -> Any:
        """Compute, and record the call in the graph if the graph is switched on.

        Parameters
        ----------
        *inputs : Variable, numpy.ndarray or scalar
            A Python scalar takes the dtype that numpy's promotion gives it beside the other inputs.

        Returns
        -------
        Variable or tuple of Variable
            One output comes unwrapped (step 12.1).

        Raises
        ------
        TypeError
            An input is no variable, array or scalar, or `forward` returned something else than arrays.
        RuntimeError
            This instance has already recorded a call.
        """
        variables = _as_inputs(inputs)
        ys = self.forward(*[x.data for x in variables])
        if type(ys) is not tuple:
            ys = (ys,)
        outputs = tuple([Variable(as_array(y)) for y in ys])
        config = current_config()
        if config.enable_backprop:
            self._record(variables, outputs, weakly=config.references == "weak")
        else:
            for output in outputs:
                output.untracked = True
        if events.listeners:
            events.announce_call(self, variables, outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def _record(self, inputs: tuple[Variable, ...], outputs: tuple[Variable, ...], *, weakly: bool) -> None:
        if hasattr(self, "inputs"):
            raise RuntimeError(f"this {type(self).__name__} has recorded a call; make one for each call")
        self.inputs = inputs
        self.generation = max([x.generation for x in inputs], default=0)
        for output in outputs:
            output.set_creator(self)
        if len(outputs) > 1:
            # A single output outlives its function's turn in the backward pass; one of several may be dead by
            # then, and the zeros that stand for its gradient need a layout.
            self.output_layouts = tuple([(output.shape, output.dtype) for output in outputs])
        self.outputs = tuple([weakref.ref(output) for output in outputs]) if weakly else outputs

    def live_outputs(self) -> tuple[Variable | None, ...]:
        """Return the recorded outputs, with None for each one that has died since."""
        return tuple([y() if isinstance(y, weakref.ref) else y for y in self.outputs])

    def zero_gradient(self, position: int) -> Array:
        """Return zeros in the layout of the output at `position`, also when that output is dead."""
        shape, dtype = self.output_layouts[position]
        return np.zeros(shape, dtype)


def _as_inputs(inputs: tuple[Operand, ...]) -> tuple[Variable, ...]:
    for x in inputs:
        if not isinstance(x, Variable):
            break
    else:
        return inputs  # type: ignore[return-value]  # every one was seen to be a Variable
    dtypes = [x.dtype for x in inputs if isinstance(x, Variable | np.ndarray)]
    return tuple([_as_input(x, dtypes) for x in inputs])


def _as_input(value: Operand, beside: list[np.dtype[Any]]) -> Variable:
    if isinstance(value, Variable):
        return value
    if isinstance(value, bool | int | float) and beside:
        # A 0-d float64 array would turn its float32 neighbours into float64; a Python scalar does not
        # (NEP 50).
        return Variable(np.array(value, dtype=np.result_type(*beside, value)))
    return Variable(as_array(value))
