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


def staying(heap: Heap, garbage: dict[int, int]) -> set[int]:
    """Return which of the objects that lead to garbage the collector never frees, however often it runs.

    Parameters
    ----------
    heap : Heap
    garbage : dict
        The object and whatever leads to it, as `ancestors` returns them.
    """
    holders = {position: set(heap.holders(position)) for position in garbage}
    held: dict[int, set[int]] = {position: set() for position in garbage}
    for position, ones in holders.items():
        for holder in ones:
            held[holder].add(position)
    staying = set(garbage)
    while freed := _freed_by_a_run(staying, holders, held, heap.visible_count):
        # What only freed objects held goes with them, at once and whatever it is.
        for position in freed:
            staying.discard(position)
            freed += [
                one
                for one in held[position]
                if one in staying and one not in freed and not holders[one] & staying
            ]
    return staying


def _freed_by_a_run(
    garbage: set[int], holders: dict[int, set[int]], held: dict[int, set[int]], visible_count: int
) -> list[int]:
    """Return what the collector finds unreachable: it takes whatever it cannot see the holders of for reachable."""
    seen = {position for position in garbage if position < visible_count}
    waiting = [position for position in seen if (holders[position] & garbage) - seen]
    reachable = set(waiting)
    for position in waiting:
        more = (held[position] & seen) - reachable
        reachable |= more
        waiting += more
    return [*(seen - reachable)]


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
        # Two lists and no pairs: freed pairs would leave the collector's count of new objects too high.
        calls, rests = [start], [iter(edges[start])]
        while calls:
            position = calls[-1]
            for following in rests[-1]:
                if following not in order:
                    order[following] = low[following] = len(order)
                    component.append(following)
                    calls.append(following)
                    rests.append(iter(edges[following]))
                    break
                if following not in done:
                    low[position] = min(low[position], order[following])
            else:
                calls.pop()
                rests.pop()
                if calls:
                    caller = calls[-1]
                    low[caller] = min(low[caller], low[position])
                if low[position] == order[position]:
                    members = [component.pop()]
                    while members[-1] != position:
                        members.append(component.pop())
                    done.update(members)
                    if len(members) > 1 or position in edges[position]:
                        on_cycles.update(dict.fromkeys(members, position))
    return on_cycles
