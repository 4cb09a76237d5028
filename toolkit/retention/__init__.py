"""Why an object is alive: the references from a root, or the cycle, that hold it; and how either is drawn."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["root-path", "cycle", "both", "unseen", "nothing"]


@dataclass(frozen=True)
class Node:
    """An object, described; it holds no reference to the object itself.

    Attributes
    ----------
    number : int
        Tells it from every other node of the same retention or diagram.
    label : str
        What to call it: ``Variable 'x'``, ``float64 (1000,)``, ``module a.b``.
    type : str
        Its type, with the module.
    role : str
        What it is there for: input, activation, gradient, view, function, container, root, ...
    size_bytes : int
        What its own memory takes: of an array the data, none for a view of another array's data; of
        anything else what ``sys.getsizeof`` tells, without what it refers to.
    """

    number: int
    label: str
    type: str
    role: str
    size_bytes: int


@dataclass(frozen=True)
class Edge:
    """A reference.

    Attributes
    ----------
    holder, held : Node
    label : str
        The way from the holder: ``.outputs[0]``, ``['x']``, ``closure cell y``. Empty where it has no name.
    strong : bool
        Whether it keeps `held` alive.
    """

    holder: Node
    label: str
    held: Node
    strong: bool = True


@dataclass(frozen=True)
class Diagram:
    """Nodes in rows, with the references among them, ready to be drawn.

    Attributes
    ----------
    rows : tuple of tuple of Node
        From top to bottom, each from left to right.
    edges : tuple of Edge
    title : str
    notes : tuple of str
        What stands below.
    """

    rows: tuple[tuple[Node, ...], ...]
    edges: tuple[Edge, ...]
    title: str = ""
    notes: tuple[str, ...] = ()

    def svg(self) -> str:
        """Return it as an SVG element that refers to nothing outside: the same bytes for the same diagram."""
        from toolkit.retention.svg import svg

        return svg(self)

    def _repr_svg_(self) -> str:
        return self.svg()


@dataclass(frozen=True)
class Retention:
    """Why an object was alive when it was asked. It holds descriptions alone and keeps nothing alive.

    Attributes
    ----------
    target : Node
    kind : {"root-path", "cycle", "both", "unseen", "nothing"}
        "root-path": a root leads to it. "cycle": no root does, and only a cycle holds it: garbage.
        "both": a root leads to it, and if that were gone, a cycle would still hold it. "unseen": what holds it
        is neither a root with a name nor an object that the collector knows. "nothing": nothing holds it but
        whoever asked.
    path : tuple of Edge
        From the target, holder by holder, to the root, the shortest there is.
    cycle : tuple of Edge
        From the target, holder by holder, until a holder comes again.
    weak : tuple of Edge
        Weak references to the target and to what holds it, and the strong ones on the way to them.
    collectable : bool or None
        Whether a run of the collector would free the target; None where it is not garbage.
    notes : tuple of str
        What else is to be known, such as why the collector cannot see a cycle.
    """

    target: Node
    kind: Kind
    path: tuple[Edge, ...] = ()
    cycle: tuple[Edge, ...] = ()
    weak: tuple[Edge, ...] = ()
    collectable: bool | None = None
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        from toolkit.retention.text import text

        return text(self)

    def diagram(self) -> Diagram:
        """Return the path, the cycle and the weak references as one diagram, root first."""
        from toolkit.retention.arrange import arranged

        return arranged(self)

    def svg(self) -> str:
        """Return the drawing of `diagram`."""
        return self.diagram().svg()

    def _repr_svg_(self) -> str:
        return self.svg()
