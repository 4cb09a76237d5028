"""Function: a computation, its gradient, and the node it leaves in the graph (book steps 11 to 18)."""

from typing import Any, Final
from weakref import ref

import numpy as np

from toolkit.core import events
from toolkit.core.buffers import reusing
from toolkit.core.config import Config, current_config
from toolkit.core.saving import Guarded, Restored, Rounded, kept, kept_data, with_data, without_data
from toolkit.core.variable import Array, Constant, Operand, Variable, as_array, no_array_error

__all__ = ["Function", "compute"]

_new: Final = object.__new__


class Function:
    """One computation. Subclasses say what it computes (`forward`) and how gradients go back (`backward`).

    An instance stands for one call: it is the node of the graph that the call leaves behind.

    Attributes
    ----------
    inputs : tuple of Variable
        What the call was given. Held strongly: the gradient needs their data (step 18.2). Set only while the
        graph is switched on. The toggles `saves` and `storage` put a stand-in (see `saving`) in the place of a
        variable whose data the gradient does not need, or whose data is kept rounded.
    outputs : tuple of Variable or of weak references to Variable
        What the call made, held as the toggle `references` says (step 17.4).
    generation : int
        The highest generation among the inputs (step 16.1).
    needs_inputs : bool or tuple of int
        Whether the gradient needs the data of the inputs, or the positions of those that it needs.
    needs_output : bool
        Whether it needs the data of the output, which is kept where not every input is.
    keeps : tuple of str
        The attributes that hold arrays of its own for the gradient, such as a mask.
    keeps_shapes : bool
        Whether gradients have the shapes of their inputs by the making of `backward`, so that the pass need not
        compare them, which takes a twentieth of its time over small arrays. That holds of a `forward` and a
        `backward` together: a subclass that has either from elsewhere does not inherit it. It does not hold of a
        variable that is given data of another shape between the two, which then goes unnoticed.
    """

    __slots__ = ("__weakref__", "generation", "inputs", "output_data", "output_layouts", "outputs")

    inputs: tuple[Variable, ...]
    outputs: "tuple[Variable, ...] | tuple[ref[Variable], ...]"
    output_data: Array | Rounded
    output_layouts: tuple[tuple[tuple[int, ...], np.dtype[Any]], ...]
    generation: int

    needs_inputs: bool | tuple[int, ...] = True
    needs_output: bool = False
    keeps: tuple[str, ...] = ()
    keeps_shapes: bool = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        said_by: Any = next(base for base in cls.__mro__ if "keeps_shapes" in base.__dict__)
        # Defined anew here, or by another base that comes before the class that says so.
        if (cls.forward, cls.backward) != (said_by.forward, said_by.backward):
            cls.keeps_shapes = False

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
        if hasattr(self, "generation"):
            raise RuntimeError(f"this {type(self).__name__} has recorded a call; make one for each call")
        return self.apply(*inputs)

    def apply(self, *inputs: Any) -> Any:
        """Do what a call does, for an instance just made, as in ``Square().apply(x)``.

        A second one on the same instance is not refused: its inputs and outputs take the place of those of the
        first, whose outputs then lead back to the wrong inputs. A call refuses it.

        The functions of the core go this way: to find out that an instance is new takes as long as the square of a
        number, because a slot that was never set raises.
        """
        config = current_config()
        # Most functions have one input or two: nothing goes over those in a loop.
        if len(inputs) == 1 and config.buffers == "fresh":
            (x,) = inputs
            if not isinstance(x, Variable):
                inputs = (x,) = _as_variables(inputs)
            generation = x.generation
            ys = self.forward(x.data)
        elif len(inputs) == 2 and config.buffers == "fresh":
            a, b = inputs
            if not (isinstance(a, Variable) and isinstance(b, Variable)):
                inputs = a, b = _as_variables(inputs)
            generation = a.generation if a.generation > b.generation else b.generation
            ys = self.forward(a.data, b.data)
        else:
            for x in inputs:
                if not isinstance(x, Variable):
                    inputs = _as_variables(inputs)
                    break
            generation = max([x.generation for x in inputs], default=0)
            if config.buffers == "reused":
                ys = self.forward(*[reusing(x.data) for x in inputs])
            else:
                ys = self.forward(*[x.data for x in inputs])
        if type(ys) is tuple:
            if len(ys) != 1:
                outputs = tuple([Variable(as_array(y)) for y in ys])
                del ys
                return self._record_several(inputs, outputs, generation, config)
            (ys,) = ys
        if type(ys) is not np.ndarray:
            ys = as_array(ys)
            if not isinstance(ys, np.ndarray):
                raise no_array_error(ys)
        # From here on there is one output, the common case, made without a call of its `__init__`.
        y = _new(Variable)
        y.data = ys
        # Held no longer than the call needs it.
        del ys
        y.name = y.grad = None
        if config.enable_backprop:
            self.inputs = inputs
            self.generation = generation
            # As `Variable.set_creator` does, whose call takes a thirtieth of a pass forward over small arrays.
            y.creator = self
            y.position = 0
            y.generation = generation + 1
            y.untracked = False
            self.outputs = (ref(y),) if config.references == "weak" else (y,)
            if config.saves != "inputs" or config.storage != "exact":
                self._save((y,), config)
        else:
            y.creator = None
            y.generation = 0
            y.untracked = True
        if events.listeners:
            events.announce_call(self, inputs, (y,))
        return y

    def _record_several(
        self, inputs: tuple[Variable, ...], outputs: tuple[Variable, ...], generation: int, config: Config
    ) -> tuple[Variable, ...]:
        if config.enable_backprop:
            self.inputs = inputs
            self.generation = generation
            for position, output in enumerate(outputs):
                output.set_creator(self, position)
            # The gradient of a single output has arrived when its function's turn comes. Of several one may have
            # none, and be dead by then: the zeros that stand for its gradient need a layout.
            self.output_layouts = tuple([(output.shape, output.dtype) for output in outputs])
            self.outputs = tuple(map(ref, outputs)) if config.references == "weak" else outputs
            if config.saves != "inputs" or config.storage != "exact":
                self._save(outputs, config)
        else:
            for output in outputs:
                output.untracked = True
        if events.listeners:
            events.announce_call(self, inputs, outputs)
        return outputs

    def _save(self, outputs: tuple[Variable, ...], config: Config) -> None:
        """Save what the gradient needs, in the dtype it is to be kept in, in place of all inputs as they are."""
        needed = self.needs_inputs if config.saves == "needed" else True
        if self.needs_output and needed is not True:
            self.output_data = kept_data(outputs[0], config.storage)
        self.inputs = tuple(
            [
                kept(x, config.storage) if needed is True or (needed and place in needed) else without_data(x)
                for place, x in enumerate(self.inputs)
            ]
        )

    def input_like(self, gy: Any, position: int = 0) -> Any:
        """Return an input as `backward` needs it: its array where `gy` is one, else the variable itself.

        A gradient that is a variable is one that is itself recorded (``create_graph=True``), and a `backward`
        that takes its inputs by this method serves both.
        """
        x = self.inputs[position]
        if type(gy) is np.ndarray:
            return x.data
        if not isinstance(gy, Variable):
            return reusing(x.data)
        return with_data(x.variable if isinstance(x, Guarded) else x)

    def variables(self) -> tuple[Variable, ...]:
        """Return the inputs as variables with data, whatever stands in for them."""
        return tuple([with_data(x.variable if isinstance(x, Guarded) else x) for x in self.inputs])

    def is_constant(self, position: int) -> bool:
        """Return whether an input came as an array or a number: a costly gradient of it may be left out."""
        return isinstance(self.inputs[position], Constant)

    def constant(self, position: int = 0) -> Array:
        """Return the array of an input that the gradient hangs on in steps only, such as by its sign."""
        x = self.inputs[position]
        return x.variable.data if isinstance(x, Guarded) else x.data

    def recorded_backward(self, *gys: Any) -> Any:
        """Compute the gradients as variables, from gradients that are variables."""
        inputs = self.inputs
        self.inputs = tuple([Guarded(x) if x.dtype.kind == "f" else x for x in inputs])
        try:
            return self.backward(*gys)
        finally:
            self.inputs = inputs

    def output_like(self, gy: Any) -> Any:
        """Return the output, as `input_like` an input: as it was kept, or computed again.

        A function that holds its inputs anyway computes its output again: to keep the output's array would be
        to hold it beyond the output's own life.
        """
        if isinstance(gy, Variable):
            (y,) = self.live_outputs()
            # One that was unchained since is a leaf, and leads no gradient back here.
            return self._output_again() if y is None or y.creator is not self else y
        if hasattr(self, "output_data"):
            return self.kept_output()
        return self.forward(*[self.constant(position) for position in range(len(self.inputs))])

    def kept_output(self) -> Array:
        """Return the output that was kept."""
        y = self.output_data
        return y.data if isinstance(y, Rounded) else y

    def _output_again(self) -> Variable:
        kept = getattr(self, "output_data", None)
        y = Restored(kept) if isinstance(kept, Rounded) else Variable(as_array(self.output_like(None)))
        y.set_creator(self)
        return y

    def let_go(self) -> None:
        """Forget what was saved for the gradient; there is none any more."""
        del self.inputs
        if self.needs_output and hasattr(self, "output_data"):
            del self.output_data
        for name in self.keeps:
            delattr(self, name)

    def live_outputs(self) -> tuple[Variable | None, ...]:
        """Return the recorded outputs, with None for each one that has died since."""
        return tuple([y() if isinstance(y, ref) else y for y in self.outputs])

    def zero_gradient(self, position: int) -> Array:
        """Return zeros in the layout of the output at `position`, also when that output is dead."""
        shape, dtype = self.output_layouts[position]
        return np.zeros(shape, dtype)


def compute(function: Function, *xs: Any) -> Any:
    """Compute on arrays as they are and on variables with a record of it, for a `backward` that serves both."""
    return function(*xs) if any(isinstance(x, Variable) for x in xs) else function.forward(*xs)


def _as_variables(inputs: tuple[Operand, ...]) -> tuple[Variable, ...]:
    dtypes = [x.dtype for x in inputs if isinstance(x, Variable | np.ndarray)]
    return tuple([_as_input(x, dtypes) for x in inputs])


def _as_input(value: Operand, beside: list[np.dtype[Any]]) -> Variable:
    if isinstance(value, Variable):
        return value
    if isinstance(value, bool | int | float) and beside:
        # A 0-d float64 array would turn its float32 neighbours into float64; a Python scalar does not
        # (NEP 50).
        return Constant(np.array(value, dtype=np.result_type(*beside, value)))
    return Constant(as_array(value))
