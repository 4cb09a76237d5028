"""Why is this object alive? The one question of this folder, asked of the running program."""

import gc
import weakref
from collections.abc import Iterable
from types import CellType, FunctionType, ModuleType
from typing import Any

from toolkit.retention import Edge, Kind, Retention
from toolkit.retention.chains import Chains, Root
from toolkit.retention.heap import Heap, collector_paused, referents, scan
from toolkit.retention.names import mro
from toolkit.retention.nodes import role_at
from toolkit.retention.roots import Roots, roots
from toolkit.retention.search import ancestors, chain_to, nearest_cycle, staying

__all__ = ["explain"]

#: Of each object on the way. Classes and modules have weak references from all over Python.
_WEAK_HOLDERS = 8
#: Python 3.12 and later give immortal objects a reference count that no program reaches.
_IMMORTAL = 1 << 29


def explain(obj: Any) -> Retention:
    """Say why an object is alive: which references lead to it from a root, or which cycle holds it.

    Printed, the answer is text; ``.svg()`` draws it, and a notebook shows the drawing.

    Parameters
    ----------
    obj : object
        Anything. A variable of the caller that holds it is a root like any other: to leave it out, hand the
        object over without one, as in ``explain(reference())`` with a weak reference.

    Returns
    -------
    Retention
        Descriptions and numbers only; it keeps nothing of the program alive.

    Notes
    -----
    Includes: every object that the collector knows, and those that they lead to: arrays and what arrays of
    objects hold, containers that the collector has given up tracking, objects hidden by ``gc.freeze`` as far as
    something visible leads to them. Roots are imported modules, variables of running functions in every
    thread, and, by reference counts, whatever else holds an object from outside.

    Excludes: what C code refers to without telling, and values that a running function is just using and has in
    no variable: both are "unseen". Hidden objects that nothing visible leads to are not found.

    Keeps alive: nothing. The collector is never called and is kept from running meanwhile, in all threads;
    ``__dict__`` and attributes stay as they are, and no code of the object's type runs. Frames of running
    functions become objects that last until the function ends, with no references of their own; they and what
    Python keeps of freed containers move the collector's count of new objects by some hundred.

    Costs some 0.5 s and 40 MB, passing, for 200,000 objects, and grows with their number. Other threads run on:
    what they change meanwhile may be told as it was before or after. For CPython with its interpreter lock.
    """
    boxed = [obj]
    del obj
    with collector_paused():
        found = roots()
        heap = scan(boxed, found.values)
        try:
            return _Answer(heap, found).retention()
        finally:
            # An exception would keep this frame, and with it everything.
            heap.objects.clear()
            found.values.clear()
            boxed.clear()


class _Answer:
    def __init__(self, heap: Heap, found: Roots) -> None:
        self._heap = heap
        self._roots = found
        self._chains = Chains(heap.objects)

    def retention(self) -> Retention:
        heap = self._heap
        towards = ancestors(heap, self._is_namespace)
        target = self._chains.node(heap.objects[heap.target], self._role_of_target())
        named = next((one for one in towards if self._root(one)), None)
        outside = next((one for one in towards if heap.outside[one] > 0), None)
        end = outside if named is None else named
        path: tuple[Edge, ...] = ()
        shown: list[int] = []
        if end is not None:
            root = self._root(end) or self._chains.root(_unseen(" or "), "unseen", "", "")
            shown = chain_to(end, towards)
            path = self._chains.edges(self._objects(shown), root)
        cycle: tuple[Edge, ...] = ()
        around = nearest_cycle(heap, towards, self._is_namespace)
        if around:
            cycle = self._chains.edges(self._chains.closed(self._objects(around)))
        kind: Kind
        if end is None:
            kind = "cycle" if around else "nothing"
        elif named is None:
            kind = "unseen"
        else:
            kind = "both" if around else "root-path"
        hindrance = self._hindrance(towards) if kind == "cycle" else ""
        return Retention(
            target=target,
            kind=kind,
            path=path,
            cycle=cycle,
            weak=tuple(self._weak(self._objects(dict.fromkeys(shown + around)))),
            collectable=not hindrance if kind == "cycle" else None,
            notes=tuple(filter(None, [hindrance, self._more_from_outside()])),
        )

    def _objects(self, positions: Iterable[int]) -> list[Any]:
        return [self._heap.objects[position] for position in positions]

    def _is_namespace(self, position: int) -> bool:
        at = id(self._heap.objects[position])
        return at in self._roots.namespaces or at in self._roots.modules

    def _root(self, position: int) -> Root | None:
        """Return the root with a name that holds the object at a position, if one does."""
        one = self._heap.objects[position]
        if id(one) in self._roots.namespaces:
            return self._chains.root(self._roots.namespaces[id(one)], "root", "module", None)
        if id(one) in self._roots.modules:
            name = self._roots.modules[id(one)]
            return self._chains.root("sys.modules", "root", "dict", f"[{name!r}]")
        if self._heap.outside[position] <= 0:
            return None
        # A variable that inner functions share: its function holds the cell, and shows what is in it.
        shown = gc.get_referents(one) if type(one) is CellType else [one]
        held = next((id(inner) for inner in shown if id(inner) in self._roots.variables), None)
        if held is None:
            return None
        name, function = self._roots.variables[held], self._roots.functions[held]
        return self._chains.root(function, "root", "frame", f" local {name!r}")

    def _role_of_target(self) -> str:
        target = self._heap.objects[self._heap.target]
        holders = self._objects(self._heap.holders(self._heap.target))
        return next(filter(None, (role_at(holder, target) for holder in holders)), "")

    def _hindrance(self, garbage: dict[int, int]) -> str:
        """Return why the collector will not free the target, "" if it will."""
        heap = self._heap
        stays = staying(heap, garbage)
        if heap.target not in stays:
            return ""
        if any(one >= heap.visible_count and gc.is_tracked(heap.objects[one]) for one in stays):
            return "The collector will not free it before gc.unfreeze: gc.freeze hides what holds it."
        return (
            "The collector will never free it: an array of objects does not tell the collector what it holds."
        )

    def _more_from_outside(self) -> str:
        target = self._heap.target
        known = self._roots.counts.get(id(self._heap.objects[target]), 0)
        more = int(self._heap.outside[target]) - known
        if more >= _IMMORTAL:
            return "Python never frees it, whoever refers to it: it is immortal."
        references = "1 reference" if more == 1 else f"{more} references"
        return f"{references} to it from {_unseen(', or from ')}." if more > 0 else ""

    def _weak(self, held_strongly: list[Any]) -> Iterable[Edge]:
        """Yield the weak references to objects, and how one of them refers to who has a weak reference."""
        references = {
            id(reference): one
            for one in held_strongly
            if not {type, ModuleType, FunctionType}.intersection(mro(one))
            for reference in weakref.getweakrefs(one)[:_WEAK_HOLDERS]
        }
        if not references:
            return
        positions = [place for place, one in enumerate(self._heap.objects) if id(one) in references]
        for position in positions:
            chain = [self._heap.objects[position]]
            held = references[id(chain[0])]
            holders = self._heap.holders(position)
            root = None
            while holders:
                # Of several holders the namespace of a module, whose name says most.
                named = (one for one in holders if id(self._heap.objects[one]) in self._roots.namespaces)
                nearest = next(named, holders[0])
                holder = self._heap.objects[nearest]
                root = self._root(nearest) if id(holder) in self._roots.namespaces else None
                if root is not None:
                    break
                further = self._heap.holders(nearest)
                beyond = self._heap.objects[further[0]] if further else None
                if beyond is None or not self._chains.is_between(holder, beyond):
                    break
                chain.append(holder)
                holders = further
            else:
                continue
            edge = self._chains.edges([*chain, holder], root)[-1]
            yield Edge(edge.holder, edge.label, self._chains.node(held), strong=False)
            for one in held_strongly if root is None else ():
                if any(referent is holder for referent in referents(one)):
                    yield Edge(self._chains.node(one), self._chains.way(one, holder), edge.holder)


def _unseen(joined_by: str) -> str:
    """Return who may refer to an object without showing it: also what is frozen, where anything is."""
    frozen = ["an object that gc.freeze hides"] if gc.get_freeze_count() else []
    return joined_by.join(["C code", "a value in use", *frozen])
