"""The answer to "why is it alive?" as text."""

from collections.abc import Iterator

from toolkit.retention import Edge, Kind, Node, Retention
from toolkit.retention.size import human

_SENTENCES: dict[Kind, str] = {
    "root-path": "alive because a root leads to it",
    "cycle": "garbage: no root leads to it, a cycle holds it",
    "both": "alive because a root leads to it; without the root, a cycle would hold it",
    "unseen": "alive, held from outside of what Python's objects tell",
    "nothing": "held by nothing but the question",
}


def text(retention: Retention) -> str:
    """Return what a retention says: a line for the whole path, then every holder with role and bytes."""
    return "\n".join(_lines(retention))


def verdict(retention: Retention) -> str:
    """Return the kind of a retention in words."""
    sentence = _SENTENCES[retention.kind]
    if retention.kind == "cycle":
        sentence += " until the collector runs" if retention.collectable else ", and the collector cannot"
    return sentence


def described(node: Node) -> str:
    """Return a node's type, role and bytes."""
    size = [human(node.size_bytes)] if node.role not in ("root", "unseen") else []
    return ", ".join([*filter(None, [node.type]), node.role, *size])


def _lines(retention: Retention) -> Iterator[str]:
    yield f"{retention.target.label} ({described(retention.target)}): {verdict(retention)}"
    for name, edges, end in (("path", retention.path, ""), ("cycle", retention.cycle, ", and around")):
        if edges:
            yield f"{name}: {retention.target.label}{''.join(map(_step, edges))}{end}"
            holders = dict.fromkeys(edge.holder for edge in edges)
            yield from (f"    {holder.label}: {described(holder)}" for holder in holders)
    for edge in retention.weak:
        if not edge.strong:
            yield f"weak: {edge.held.label} <~ {edge.holder.label}{edge.label}"
    yield from (f"note: {note}" for note in retention.notes)


def _step(edge: Edge) -> str:
    return f" <- {edge.holder.label}{edge.label}"
