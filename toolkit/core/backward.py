"""The traversal: how gradients travel from a variable to the leaves (book steps 13 to 16 and 18.1)."""

import sys
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any, TypeAlias
from weakref import ref

import numpy as np

from toolkit.core import events
from toolkit.core.buffers import SOLE_REFERENCES, Reused, ones_like
from toolkit.core.config import current_config, using_config
from toolkit.core.function import Function
from toolkit.core.variable import Array, Constant, Variable

__all__ = ["backward", "gradients", "place_of"]

#: An array, or a variable where the pass is itself recorded.
Gradient: TypeAlias = Any


def backward(
    self: Variable,
    retain_grad: bool | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Compute the gradient of this variable with respect to every leaf it was made from.

    Leaves add it to `grad`. The pass starts from this variable's own `grad`, or from ones where it has none.

    Parameters
    ----------
    retain_grad : bool, optional
        Whether intermediate variables, this one included, keep their gradients (step 18.1). Without it the
        toggle of the same name decides.
    retain_graph : bool, optional
        Whether the graph serves a second pass, or each function lets go of what it saved as soon as it was gone
        back through. Without it the toggle of the same name decides, and a recorded pass needs it.
    create_graph : bool
        Whether the pass is itself recorded, so that gradients are variables that can be differentiated again.
        A leaf's `grad` then leads to a graph that leads back to the leaf: a cycle, which lasts until `cleargrad`
        or the garbage collector comes. `gradients` closes none.

    Raises
    ------
    TypeError
        The data, or that of an input which is given a gradient, is not real floating data.
    ValueError
        A function returned a gradient of the wrong number, shape or dtype.
    RuntimeError
        This variable was made while the graph was switched off, or a function has let go of what it saved.
    """
    config = current_config()
    seed = _seed(_differentiable(self), self.grad, create_graph)
    if self.creator is None:
        self.grad = seed
        return
    self.grad = None
    one_pass = _Pass(
        retain_grad=config.retain_grad if retain_grad is None else retain_grad,
        retain_graph=(create_graph or config.retain_graph) if retain_graph is None else retain_graph,
        create_graph=create_graph,
    )
    one_pass.arrive(self, seed)
    del seed
    one_pass.run()


Variable.backward = backward  # type: ignore[method-assign]


def gradients(
    ys: Variable | Sequence[Variable],
    xs: Sequence[Variable],
    gys: Sequence[Gradient] | None = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> tuple[Gradient, ...]:
    """Return the gradients of `ys` with respect to `xs`, and leave every `grad` alone.

    Because nothing is kept in a `grad`, recording the pass (`create_graph`) closes no cycle of references.

    Parameters
    ----------
    ys : Variable or sequence of Variable
        Where the pass starts.
    xs : sequence of Variable
        Where it ends: what lies behind them is not visited, so that of two where one leads to the other the
        later one's gradient is not passed on.
    gys : sequence of numpy.ndarray or Variable, optional
        The gradients of `ys`; ones where there is none.
    retain_graph : bool, optional
        As `Variable.backward` has it.
    create_graph : bool
        Whether the gradients are variables, with a graph of their own.

    Returns
    -------
    tuple of numpy.ndarray, of Variable with `create_graph`, or of None
        One for each of `xs`, None for one that `ys` do not depend on. Of a variable that comes twice each is the
        whole gradient.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `Variable.backward`.
    """
    roots = [_differentiable(y) for y in (ys if isinstance(ys, Sequence) else (ys,))]
    given = [None] * len(roots) if gys is None else gys
    if len(given) != len(roots):
        raise ValueError(f"{len(given)} gradients were given to start from, for {len(roots)} variables")
    seeds = [_seed(y, gy, create_graph) for y, gy in zip(roots, given, strict=True)]
    wanted: dict[_Place, Gradient | None] = dict.fromkeys([place_of(x) for x in xs])
    one_pass = _Pass(
        retain_grad=False,
        retain_graph=(create_graph or current_config().retain_graph)
        if retain_graph is None
        else retain_graph,
        create_graph=create_graph,
        wanted=wanted,
    )
    del ys, gys, given
    while roots:
        # From here on the pass alone holds a seed.
        one_pass.arrive(roots.pop(0), seeds.pop(0))
    one_pass.run()
    return tuple([wanted[place_of(x)] for x in xs])


#: A leaf, or the creator of a variable and which of its outputs the variable is.
_Place: TypeAlias = Variable | tuple[Function, int]


def place_of(x: Variable) -> _Place:
    """Return where a variable, or what stands in for it, is in the graph."""
    return x if x.creator is None else (x.creator, x.position)


class _Pass:
    """One pass back through a graph.

    Functions wait in a heap, so that nothing is ever sorted: the youngest generation goes first, and within one
    the function that came last, as in the book's sorted list (steps 15.3 and 16.2). Without generations that is the
    last-in-first-out order of step 15.2, which revisits a function for every path to it. One that waits alone, as
    in a chain, waits beside the heap: that takes a twentieth off a pass over small arrays.

    What has arrived at a variable and not yet been passed on is kept apart from its `grad`, so that a second
    pass does not send on what the first one left there: by the function that made the variable, which outlives
    it where only what is needed is saved. It is the gradient itself for the one output of most functions, a list of
    them for several.
    """

    def __init__(
        self,
        *,
        retain_grad: bool,
        retain_graph: bool,
        create_graph: bool,
        wanted: dict[_Place, Gradient | None] | None = None,
    ) -> None:
        self._retain_grad = retain_grad
        self._retain_graph = retain_graph
        self._create_graph = create_graph
        self._wanted = wanted
        config = current_config()
        self._by_generation = config.traversal == "generation"
        self._in_place = config.accumulation == "in_place"
        self._arrived: dict[Function, Gradient | list[Gradient | None]] = {}
        self._waiting: list[tuple[int, int, Function]] = []
        self._alone: list[Function] = []
        self._pushed = 0

    def run(self) -> None:
        """Visit function after function until none waits."""
        if self._create_graph:
            with using_config(enable_backprop=True):
                self._visit_all()
        else:
            self._visit_all()
        if self._retain_grad and not self._by_generation:
            for function, arrived in self._arrived.items():
                gys = arrived if type(arrived) is list else (arrived,)
                for output, gy in zip(function.live_outputs(), gys, strict=True):
                    if output is not None and gy is not None:
                        output.grad = gy if output.grad is None else self._sum(output.grad, gy, (), ())

    def _visit_all(self) -> None:
        alone, waiting = self._alone, self._waiting
        while alone or waiting:
            # No name here refers to the function, so that it dies with its step if nothing else does.
            self._step(alone.pop() if alone else heappop(waiting)[2])

    def gradient(self, value: Any) -> Gradient:
        """Return a value as the gradients of this pass are: an array, or a variable where it is recorded."""
        if self._create_graph:
            return value if isinstance(value, Variable) else Variable(np.asarray(value))
        return value if type(value) is np.ndarray or type(value) is Reused else np.asarray(value)

    def arrive(
        self,
        x: Variable,
        gx: Gradient,
        gys: tuple[Gradient, ...] = (),
        gxs: tuple[Gradient | None, ...] = (),
    ) -> None:
        """Add `gx`, which a step made of `gys` among `gxs`, to the gradient of `x`."""
        creator, wanted = x.creator, self._wanted
        if wanted is not None:
            place = place_of(x)
            if place in wanted:
                wanted[place] = gx if wanted[place] is None else self._sum(wanted[place], gx, gys, gxs)
                return
            if creator is None:
                return
        if creator is None:
            x.grad = gx if x.grad is None else self._sum(x.grad, gx, gys, gxs)
            return
        arrived = self._arrived
        known = arrived.get(creator)
        if known is None:
            arrived[creator] = gx if len(creator.outputs) == 1 else self._first_of_several(x, gx)
        elif type(known) is list:
            known[x.position] = (
                gx if known[x.position] is None else self._sum(known[x.position], gx, gys, gxs)
            )
        else:
            # Out of the table, so that nobody else refers to it.
            del arrived[creator]
            arrived[creator] = self._sum(known, gx, gys, gxs)
        if known is None or not self._by_generation:
            if not self._alone and not self._waiting:
                self._alone.append(creator)
                return
            while self._alone:
                self._push(self._alone.pop())
            self._push(creator)

    def _push(self, function: Function) -> None:
        self._pushed -= 1
        rank = -function.generation if self._by_generation else 0
        heappush(self._waiting, (rank, self._pushed, function))

    @staticmethod
    def _first_of_several(x: Variable, gx: Gradient) -> list[Gradient | None]:
        assert x.creator is not None
        gys: list[Gradient | None] = [None] * len(x.creator.outputs)
        gys[x.position] = gx
        return gys

    def _step(self, function: Function) -> None:
        # One step is one call, so that its arrays die with it: the predicted peaks allow for no leftovers. There is
        # no comprehension in it: for one, CPython before 3.12 makes cells at every call, a thirtieth of a pass over
        # small arrays.
        gys: Any = self._arrived.pop(function) if self._by_generation else self._arrived[function]
        gys = self._with_zeros(gys, function) if type(gys) is list else (gys,)
        try:
            inputs = function.inputs
        except AttributeError:
            raise _let_go_error(function) from None
        if self._create_graph:
            gxs = function.recorded_backward(*gys)
        elif len(gys) == 1:
            # A call that unpacks takes a twentieth longer over small arrays.
            gxs = function.backward(gys[0])
        else:
            gxs = function.backward(*gys)
        if type(gxs) is not tuple:
            gxs = (gxs,)
        if len(gxs) != len(inputs):
            raise ValueError(
                f"{type(function).__name__}.backward returned {len(gxs)} gradients for {len(inputs)} inputs"
            )
        # All gradients are checked before the first is passed on, so that a refused one leaves no half of a step
        # behind. What is seen at once to be right needs no call, and the one input of many functions no loop: each
        # takes a thirtieth off a pass over small arrays.
        if len(inputs) == 1:
            x, gx = inputs[0], gxs[0]
            # The same test stands in the loop below: keep both the same.
            if not (
                type(gx) is np.ndarray
                and type(x) is Variable
                and gx.dtype is (data := x.data).dtype is _FLOAT64
                and (function.keeps_shapes or gx.shape == data.shape)
            ):
                gx = self._checked(gx, function, 0)
                gxs = (gx,)
            if gx is not None:
                self.arrive(x, gx, gys, gxs)
        else:
            for place, x in enumerate(inputs):
                gx = gxs[place]
                # As above for one input.
                if not (
                    type(gx) is np.ndarray
                    and type(x) is Variable
                    and gx.dtype is (data := x.data).dtype is _FLOAT64
                    and (function.keeps_shapes or gx.shape == data.shape)
                ):
                    gxs = self._all_checked(gxs, function)
                    break
            for place, x in enumerate(inputs):
                gx = gxs[place]
                if gx is not None:
                    self.arrive(x, gx, gys, gxs)
        if events.listeners:
            events.announce_backward_step(function, _arrays(gys), _arrays(gxs))
        if not self._by_generation:
            return
        if not self._retain_graph:
            function.let_go()
        if self._retain_grad:
            self._keep(function, gys, gxs)
        elif self._wanted is None:
            for y in function.outputs:
                output = y() if type(y) is ref else y
                if output is not None:
                    # An earlier pass may have left one there.
                    output.grad = None  # type: ignore[union-attr]  # a reference was followed

    def _sum(
        self,
        gradient: Gradient,
        more: Gradient,
        gys: tuple[Gradient, ...] = (),
        gxs: tuple[Gradient | None, ...] = (),
    ) -> Gradient:
        if (
            self._in_place
            and sys.getrefcount(gradient) == SOLE_REFERENCES
            and type(gradient) is np.ndarray
            and gradient.base is None
            and gradient.flags.writeable
        ):
            # Nobody else refers to this array, nor does a view of it, which would.
            total = np.add(gradient, more, out=gradient)
        else:
            # Out of place (step 14.2): functions such as Add hand the same array to several variables.
            total = gradient + more
        if type(total) is not np.ndarray and not isinstance(total, np.ndarray | Variable):
            # A 0-d sum comes back as a scalar. An array is seen first: to make the union takes a fiftieth of a pass
            # over small arrays.
            total = np.asarray(total)
        if events.listeners:
            events.announce_accumulation(_array(gradient), _array(total), _arrays(gys), _arrays(gxs))
        return total

    def _with_zeros(self, gys: list[Gradient | None], function: Function) -> tuple[Gradient, ...]:
        return tuple(
            [
                self.gradient(function.zero_gradient(place)) if gy is None else gy
                for place, gy in enumerate(gys)
            ]
        )

    def _keep(self, function: Function, gys: tuple[Gradient, ...], gxs: tuple[Gradient | None, ...]) -> None:
        for output, gy in zip(function.live_outputs(), gys, strict=True):
            if output is not None:
                output.grad = gy if output.grad is None else self._sum(output.grad, gy, gys, gxs)

    def _all_checked(self, gxs: tuple[Any, ...], function: Function) -> tuple[Gradient | None, ...]:
        return tuple([self._checked(gx, function, place) for place, gx in enumerate(gxs)])

    def _checked(self, gradient: Any, function: Function, position: int) -> Gradient | None:
        x = function.inputs[position]
        if gradient is None or type(x) is Constant:
            return None
        gradient = self.gradient(gradient)
        if x.dtype.kind != "f":
            raise TypeError(
                f"input {position} of {type(function).__name__} holds {x.dtype}, which has no gradient: "
                "make it floating data, or let backward return None for it"
            )
        if gradient.shape != x.shape or gradient.dtype != x.dtype:
            raise ValueError(
                f"{type(function).__name__}.backward returned a gradient of {_layout(gradient)} "
                f"for input {position}, whose data is {_layout(x)}"
            )
        return gradient


def _let_go_error(function: Function) -> RuntimeError:
    return RuntimeError(
        f"this {type(function).__name__} has let go of what it saved in an earlier backward pass; keep it for "
        "a second one with retain_graph=True"
    )


_FLOAT64 = np.dtype(np.float64)


def _seed(root: Variable, seed: Gradient, create_graph: bool) -> Gradient:
    """Return what a pass starts from, in the form of its gradients: ones without a `seed`."""
    if seed is None:
        seed = ones_like(root.data)
    elif isinstance(seed, Variable):
        seed = seed if create_graph else seed.data
    elif type(seed) is not Reused:
        seed = np.asarray(seed)
    if seed.shape != root.shape or seed.dtype != root.dtype:
        raise ValueError(
            f"a pass starts from a gradient laid out as the data, of {_layout(root)}, and this one is of "
            f"{_layout(seed)}"
        )
    return Variable(seed) if create_graph and isinstance(seed, np.ndarray) else seed


def _differentiable(root: Variable) -> Variable:
    if root.untracked:
        raise RuntimeError(
            "this variable was made while enable_backprop was False (no_grad), so no graph leads back from "
            "it; compute it with the graph switched on"
        )
    if root.data.dtype.kind != "f":
        raise TypeError(f"backward needs real floating data, and this variable holds {root.data.dtype}")
    return root


def _arrays(gradients: tuple[Gradient | None, ...]) -> Any:
    return tuple([gradient if gradient is None else _array(gradient) for gradient in gradients])


def _array(gradient: Gradient) -> Array:
    array: Array = gradient.data if isinstance(gradient, Variable) else gradient
    return array


def _layout(array: Array | Variable) -> str:
    return f"shape {array.shape} and dtype {array.dtype}"
