"""From a chain of objects to what people read: Python's own go-betweens become part of the way.

A closure is a tuple of cells, an attribute an entry of a dictionary, the outputs of a function a tuple: such
objects are left out, and `.outputs[0]` or `closure cell y` says the whole way.
"""

from collections.abc import Sequence
from itertools import count
from types import CellType, FunctionType
from typing import Any, Literal, NamedTuple

from toolkit.retention import Edge, Node
from toolkit.retention.names import is_namespace_of, key_of, reference
from toolkit.retention.nodes import node


class Root(NamedTuple):
    """Where a path ends. It is no object of the heap.

    Attributes
    ----------
    node : Node
    way : str or None
        How it refers to the last object of the chain; None if that is its namespace.
    """

    node: Node
    way: str | None


class Chains:
    """Turns chains into edges; the same object gets the same node in all of them.

    Parameters
    ----------
    everything : list
        The objects of the heap.
    """

    def __init__(self, everything: list[Any]) -> None:
        self._everything = everything
        self._nodes: dict[int, Node] = {}
        self._roots: dict[str, Node] = {}
        self._numbers = count()

    def node(self, one: Any, role: str = "") -> Node:
        """Return the node of an object; `role` is what only its holder can tell, and counts the first time."""
        if id(one) not in self._nodes:
            self._nodes[id(one)] = node(next(self._numbers), one, role)
        return self._nodes[id(one)]

    def root(self, label: str, role: Literal["root", "unseen"], type_name: str, way: str | None) -> Root:
        """Return a root, as a node of its own, the same for all that it holds."""
        if label not in self._roots:
            self._roots[label] = Node(next(self._numbers), label, type_name, role, 0)
        return Root(self._roots[label], way)

    def way(self, holder: Any, held: Any) -> str:
        """Return how one object refers to the next, "" where that has no name."""
        return reference(holder, held, self._everything)

    def edges(self, chain: Sequence[Any], root: Root | None = None) -> tuple[Edge, ...]:
        """Return the edges from the first object of a chain, holder by holder, to the last one or to a root."""
        edges: list[Edge] = []
        held = inner = below = chain[0]
        # From `inner`, the last object that was passed over, and from `below`, the one before, to `held`.
        tail = tail_below = ""
        for place, holder in enumerate(chain[1:], 1):
            way = self._passing(holder, inner, below, tail, tail_below)
            beyond = chain[place + 1] if place + 1 < len(chain) else None
            if self._is_between(holder, beyond, root):
                inner, below, tail, tail_below = holder, inner, way, tail
            else:
                edges.append(Edge(self.node(holder), way, self.node(held)))
                held = inner = below = holder
                tail = tail_below = ""
        if root is not None:
            if root.way is not None:
                way = root.way + tail
            elif inner is held:
                way = ".__dict__"
            else:
                way = f" global {key_of(inner, below)!r}{tail_below}"
            edges.append(Edge(root.node, way, self.node(held)))
        return tuple(edges)

    def closed(self, chain: list[Any]) -> list[Any]:
        """Return a chain that ends where it has passed before, prolonged until it ends at an object that shows."""
        start = next(place for place, one in enumerate(chain) if one is chain[-1])
        around = chain[start + 1 :]
        for beyond in around:
            if start > 0 or chain[-1] is not chain[0]:
                if not self._is_between(chain[-1], beyond, None):
                    break
                chain = [*chain, beyond]
        return chain

    def is_between(self, one: Any, beyond: Any) -> bool:
        """Whether an object is left out of a chain in which `beyond` holds it."""
        return self._is_between(one, beyond, None)

    def _is_between(self, one: Any, beyond: Any, root: Root | None) -> bool:
        if beyond is None:
            return root is not None and (type(one) in (tuple, CellType) or root.way is None)
        return type(one) in (tuple, CellType) or is_namespace_of(one, beyond)

    def _passing(self, holder: Any, inner: Any, below: Any, tail: str, tail_below: str) -> str:
        """Return the way from a holder to what is held, past `inner` if that is left out."""
        if inner is below:
            return "" if type(holder) is CellType else self.way(holder, inner)
        if is_namespace_of(inner, holder):
            return f".{key_of(inner, below)}{tail_below}"
        if type(holder) is FunctionType and holder.__closure__ is not None and inner is holder.__closure__:
            place = next(place for place, cell in enumerate(inner) if cell is below)
            return f" closure cell {holder.__code__.co_freevars[place]}{tail_below}"
        if type(holder) is CellType:
            return tail
        return self.way(holder, inner) + tail
