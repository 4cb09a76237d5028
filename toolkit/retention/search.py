"""The two things that can hold an object, as chains of positions in a heap: a path from a root, and a cycle."""

from collections.abc import Callable

from toolkit.retention.heap import Heap

#: From the target, holder by holder.
Chain = list[int]


def ancestors(heap: Heap, is_end: Callable[[int], bool]) -> dict[int, int]:
    """Return what leads to the target, nearest first: for each position that of what it refers to on the way.

    Parameters
    ----------
    heap : Heap
    is_end : callable
        Whether to look no further than a position.
    """
    towards = {heap.target: heap.target}
    waiting = [heap.target]
    for position in waiting:
        if is_end(position):
            continue
        for holder in heap.holders(position):
            if holder not in towards:
                towards[holder] = position
                waiting.append(holder)
    return towards


def chain_to(position: int, towards: dict[int, int]) -> Chain:
    """Return the chain from the target to one of its `ancestors`."""
    chain = [position]
    while towards[chain[-1]] != chain[-1]:
        chain.append(towards[chain[-1]])
    return chain[::-1]


def nearest_cycle(heap: Heap, towards: dict[int, int], is_end: Callable[[int], bool]) -> Chain:
    """Return the chain from the target into the nearest cycle and once around it, empty where there is none.

    Its last position is one that it has passed before.
    """
    inside = {
        position: [] if is_end(position) else [one for one in heap.holders(position) if one in towards]
        for position in towards
    }
    on_cycles = _on_cycles(inside)
    entry = next((position for position in towards if position in on_cycles), None)
    if entry is None:
        return []
    return chain_to(entry, towards) + _around(entry, inside, on_cycles)


def _around(entry: int, holders: dict[int, list[int]], on_cycles: dict[int, int]) -> Chain:
    """Return the shortest way from a position, holder by holder, back to it, without it at the beginning."""
    component = on_cycles[entry]
    came_from: dict[int, int] = {}
    waiting = [entry]
    for position in waiting:
        for holder in holders[position]:
            if on_cycles.get(holder) == component and holder not in came_from:
                came_from[holder] = position
                waiting.append(holder)
    around = [entry]
    while came_from[around[-1]] != entry:
        around.append(came_from[around[-1]])
    return around[::-1]


def _on_cycles(edges: dict[int, list[int]]) -> dict[int, int]:
    """Return every position that lies on a cycle, with a number for all that are on cycles with it.

    R. Tarjan, Depth-first search and linear graph algorithms, SIAM Journal on Computing 1 (1972), with a stack
    of our own, for chains are longer than Python lets functions call each other.
    """
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    done: set[int] = set()
    component: list[int] = []
    on_cycles: dict[int, int] = {}
    for start in edges:
        if start in order:
            continue
        order[start] = low[start] = len(order)
        component.append(start)
        calls = [(start, iter(edges[start]))]
        while calls:
            position, rest = calls[-1]
            for following in rest:
                if following not in order:
                    order[following] = low[following] = len(order)
                    component.append(following)
                    calls.append((following, iter(edges[following])))
                    break
                if following not in done:
                    low[position] = min(low[position], order[following])
            else:
                calls.pop()
                if calls:
                    caller = calls[-1][0]
                    low[caller] = min(low[caller], low[position])
                if low[position] == order[position]:
                    members = [component.pop()]
                    while members[-1] != position:
                        members.append(component.pop())
                    done.update(members)
                    if len(members) > 1 or position in edges[position]:
                        on_cycles.update(dict.fromkeys(members, position))
    return on_cycles
