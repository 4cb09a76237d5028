"""Random graphs of objects: what `explain` says is what the collector then does."""

import gc
import weakref

import numpy as np
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from toolkit import explain
from toolkit.retention.search import _on_cycles


class Thing:
    def __init__(self):
        self.links = []


@st.composite
def graphs(draw):
    size = draw(st.integers(1, 8))
    place = st.integers(0, size - 1)
    kinds = st.sampled_from(["list", "dict", "closure", "array"])
    edges = draw(st.lists(st.tuples(place, place, kinds), max_size=16))
    return size, edges, draw(st.sets(place)), draw(place)


def _link(holder, held, kind):
    if kind == "list":
        holder.links.append([held])
    elif kind == "dict":
        holder.links.append({"k": held})
    elif kind == "closure":
        holder.links.append(lambda: held)
    else:
        holder.links.append(np.array([held, None], object))


def _reachable(starts, edges):
    found, waiting = set(starts), list(starts)
    while waiting:
        one = waiting.pop()
        for holder, held, _ in edges:
            if holder == one and held not in found:
                found.add(held)
                waiting.append(held)
    return found


# Every example looks through the whole program, and to shrink one takes hundreds.
@settings(max_examples=40, phases=[Phase.explicit, Phase.generate])
@example((2, [(1, 0, "array"), (1, 1, "list")], set(), 0))
@example((3, [(0, 0, "list"), (0, 1, "array"), (1, 1, "dict")], set(), 1))
@given(graphs())
def test_the_verdict_is_what_a_collection_does(graph):
    size, edges, rooted, asked = graph
    things = [Thing() for _ in range(size)]
    references = [weakref.ref(thing) for thing in things]
    for holder, held, kind in edges:
        _link(things[holder], things[held], kind)
    kept = [things[place] for place in sorted(rooted)]
    del things
    alive = references[asked]() is not None
    told = explain(references[asked]()) if alive else None
    if told is not None:
        assert (told.kind in ("root-path", "both")) == (asked in _reachable(rooted, edges))
        assert told.kind != "unseen"
    if told is not None and told.kind == "both":
        # Without its roots a cycle still keeps it: it does not go by itself.
        kept.clear()
        assert references[asked]() is not None
    # What dies with one cycle may leave another one that only the next run can see.
    for _ in range(size):
        gc.collect()
    if told is not None and told.kind == "cycle":
        assert (references[asked]() is None) == told.collectable
    elif told is not None and told.kind == "root-path":
        assert references[asked]() is not None
        kept.clear()
        # Nothing else held it.
        assert references[asked]() is None
    # What the collector cannot free must not stay for the next example.
    kept.clear()
    for reference in references:
        thing = reference()
        if thing is not None:
            thing.links.clear()
    del thing


@given(st.integers(1, 9), st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=25))
def test_positions_on_cycles_are_those_that_reach_themselves(size, pairs):
    edges = {place: sorted({b for a, b in pairs if a == place and b < size}) for place in range(size)}

    def reached(start):
        found, waiting = set(), [start]
        while waiting:
            for following in edges[waiting.pop()]:
                if following not in found:
                    found.add(following)
                    waiting.append(following)
        return found

    reach = {place: reached(place) for place in edges}
    components = _on_cycles(edges)
    assert components.keys() == {place for place in edges if place in reach[place]}
    for a in components:
        for b in components:
            together = a in reach[b] and b in reach[a]
            assert (components[a] == components[b]) == together


def test_a_chain_longer_than_python_can_nest(forgotten):
    first = Thing()
    last = first
    for _ in range(20_000):
        following = Thing()
        following.links.append(last)
        last = following
    first.links.append(last)
    reference = weakref.ref(first)
    del first, last, following
    told = forgotten(reference)
    assert (told.kind, len(told.cycle)) == ("cycle", 2 * 20_001)
