"""The computational graph of a variable: what its functions and variables hold, by generation."""

from typing import Any

from toolkit.core.function import Function
from toolkit.core.saving import Kept, StandIn
from toolkit.core.variable import Variable
from toolkit.retention import Diagram, Edge, Node
from toolkit.retention.nodes import label, slot, type_name, variable_role
from toolkit.retention.size import human

__all__ = ["draw_graph"]

#: More than these no drawing shows: the ones nearest to the variable are drawn.
_FUNCTIONS = 40


def draw_graph(variable: Variable) -> Diagram:
    """Draw the computational graph that leads to a variable, generation under generation, it at the bottom.

    Arrows are references, from the holder to what it holds: a function holds its inputs, and its outputs
    weakly or strongly; a variable holds its creator. Strong references are solid lines, weak ones dashed.

    Parameters
    ----------
    variable : Variable

    Returns
    -------
    Diagram
        ``.svg()`` draws it, and a notebook shows the drawing. It holds descriptions alone and keeps no
        variable alive.

    Raises
    ------
    TypeError
        When `variable` is no `Variable`.

    Notes
    -----
    Includes the variables and functions that lead to it and the bytes of their data and gradients, also those
    of other outputs of these functions that are still alive. Excludes whatever else holds or uses them, which
    `explain` tells. Of more than 40 functions the 40 of the highest generations are drawn, and a note counts
    the rest.
    """
    if not isinstance(variable, Variable):
        raise TypeError(f"draw_graph draws a Variable, not {type(variable).__name__}")
    functions, left_out = _functions(variable)
    numbers: dict[int, Node] = {}
    ranks: dict[Node, int] = {}

    def placed(one: Variable | Function, rank: int) -> Node:
        if id(one) not in numbers:
            number = len(numbers)
            numbers[id(one)] = (
                _of_variable(number, one) if isinstance(one, Variable) else _of_function(number, one)
            )
            ranks[numbers[id(one)]] = rank
        return numbers[id(one)]

    edges = []
    placed(variable, 2 * variable.generation)
    for function in functions:
        this = placed(function, 2 * function.generation + 1)
        for place, x in enumerate(_inputs(function)):
            held = placed(x, 2 * x.generation)
            edges.append(Edge(this, f".inputs[{place}]", held))
            if isinstance(x, StandIn) and x.creator in functions:
                # It is in the place of an output, which may be gone.
                edges.append(Edge(held, ".creator", placed(x.creator, 2 * x.creator.generation + 1)))
        for place, (reference, y) in enumerate(zip(function.outputs, function.live_outputs(), strict=True)):
            if y is None:
                continue
            output = placed(y, 2 * y.generation)
            edges.append(Edge(this, f".outputs[{place}]", output, strong=isinstance(reference, Variable)))
            edges.append(Edge(output, ".creator", this))
    rows: dict[int, list[Node]] = {}
    for node, rank in ranks.items():
        rows.setdefault(rank, []).append(node)
    return Diagram(
        rows=tuple(tuple(rows[rank]) for rank in sorted(rows)),
        edges=tuple(edges),
        title=f"Graph of {numbers[id(variable)].label}",
        notes=(f"{left_out} functions of lower generations are not drawn.",) if left_out else (),
    )


def _functions(variable: Variable) -> tuple[list[Function], int]:
    """Return the functions that lead to a variable, of the highest generations, lowest first."""
    found: dict[int, Function] = {}
    waiting = [variable]
    for y in waiting:
        function = y.creator
        if function is not None and id(function) not in found:
            found[id(function)] = function
            waiting += _inputs(function)
    ordered = sorted(found.values(), key=lambda function: function.generation)
    left_out = max(0, len(ordered) - _FUNCTIONS)
    return ordered[left_out:], left_out


def _inputs(function: Function) -> tuple[Variable, ...]:
    """Return what a function holds; one that was gone back through may have let go of it."""
    return getattr(function, "inputs", ())


def _of_variable(number: int, variable: Variable) -> Node:
    data_bytes, gradient_bytes = _data_bytes(variable), _bytes(slot(variable, "grad"))
    data = "no data" if data_bytes is None else f"data {human(data_bytes)}"
    gradient = "" if gradient_bytes is None else f", gradient {human(gradient_bytes)}"
    role = f"{variable_role(variable)}, {data}{gradient}"
    return Node(number, label(variable), type_name(variable), role, (data_bytes or 0) + (gradient_bytes or 0))


def _data_bytes(variable: Variable) -> int | None:
    return _bytes(variable.rounded.array if isinstance(variable, Kept) else slot(variable, "data"))


def _bytes(held: Any) -> int | None:
    """Return the bytes of an array, or of the data of a gradient that is a variable."""
    if isinstance(held, Variable):
        return _data_bytes(held)
    return None if held is None else int(held.nbytes)


def _of_function(number: int, function: Function) -> Node:
    return Node(
        number, type(function).__qualname__, type_name(function), f"generation {function.generation}", 0
    )
