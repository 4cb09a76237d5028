"""From the answer to "why is it alive?" to a diagram: roots on top, the object below what holds it."""

from collections.abc import Sequence

from toolkit.retention import Diagram, Edge, Node, Retention
from toolkit.retention.text import verdict


def arranged(retention: Retention) -> Diagram:
    """Return the path, the cycle and the weak references as one diagram."""
    edges = tuple(dict.fromkeys((*retention.path, *retention.cycle, *retention.weak)))
    first = (retention.path or retention.cycle)[-1:]
    top = [edge.holder for edge in first] or [retention.target]
    return Diagram(
        rows=_rows(top, retention.target, edges),
        edges=edges,
        title=f"{retention.target.label}: {verdict(retention)}",
        notes=retention.notes,
    )


def _rows(top: Sequence[Node], target: Node, edges: Sequence[Edge]) -> tuple[tuple[Node, ...], ...]:
    """Put each node one row below the first that holds it; who holds others weakly alone stands beside them."""
    depths = dict.fromkeys(top, 0)
    waiting = list(top)
    for holder in waiting:
        for edge in edges:
            if edge.holder == holder and edge.strong and edge.held not in depths:
                depths[edge.held] = depths[holder] + 1
                waiting.append(edge.held)
    depths.setdefault(target, 0)
    for edge in edges:
        depths.setdefault(edge.holder, depths.get(edge.held, 0))
        depths.setdefault(edge.held, depths[edge.holder] + 1)
    rows: list[list[Node]] = [[] for _ in range(max(depths.values()) + 1)]
    for node, depth in depths.items():
        rows[depth].append(node)
    # What is asked about stands first, where the straight way from the root ends.
    return tuple(tuple(sorted(row, key=lambda node: node != target)) for row in rows)
