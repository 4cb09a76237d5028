"""16 operations, square and add in turn, on large arrays in a steady loop: what fresh pages cost, and no pages.

Memory that an engine frees and asks for again costs more than the arithmetic, unless its allocator keeps it. So
each engine has a process of its own, and beside the numpy floor stands one that makes no array in its loop at all:
what no engine that calls numpy once for each operation can be faster than.
"""

from contextlib import nullcontext
from importlib import import_module

import numpy as np

from benchmarks import _engines
from benchmarks._racing.alone import race_alone
from benchmarks._racing.training import FLOOR
from benchmarks.chain import chain_of, floor_of

OPERATIONS = 16
SIZES = (100_000, 1_000_000)
ROUNDS = 7
TARGET = 0.5
REUSED = "core, memory used again"
REUSED_FLOOR = f"{FLOOR}, memory used again"


def action(name, n):
    """Return what an engine, a mode of it or a floor does in a turn; it returns the gradient."""
    x = np.random.default_rng(0).uniform(0.2, 0.25, n)
    if name == FLOOR:
        floor = floor_of(OPERATIONS)
        return lambda: floor(x)[0]
    if name == REUSED_FLOOR:
        return _floor_without_arrays(x)
    # This one alone: a process of its own loads no other engine.
    engine = import_module(f"{_engines.__name__}.{name.partition(',')[0]}")
    chain = chain_of(OPERATIONS)
    mode = getattr(engine, "MODES", {}).get(name, nullcontext)()
    mode.__enter__()
    # Who drops a context leaves it; this one is left when the process ends.
    return lambda mode=mode: engine.gradients(lambda *xs: chain(engine, *xs), x)[0]


def _floor_without_arrays(x):
    half = OPERATIONS // 2
    ys, squares = [x, *np.empty((half, x.size))], np.empty((half, x.size))
    gy, gx, doubled = np.empty((3, x.size))

    def run():
        for place in range(half):
            np.square(ys[place], out=squares[place])
            np.add(squares[place], x, out=ys[place + 1])
        gy.fill(1)
        for place in reversed(range(half)):
            if place == half - 1:
                gx[:] = gy
            else:
                np.add(gx, gy, out=gx)
            np.add(ys[place], ys[place], out=doubled)
            np.multiply(doubled, gy, out=gy)
        return np.add(gx, gy, out=gx)

    return run


def measure():
    """Race, for arrays of each size."""
    peers = [name for name in _engines.found() if name != "core"]
    names = [FLOOR, REUSED_FLOOR, "core", REUSED, *peers]
    for n in SIZES:
        times = race_alone("benchmarks.large_chain", names, n, ROUNDS)
        row = f"{OPERATIONS} ops, n={n:,}"
        for name in names[1:]:
            yield times.ratio(name, FLOOR, f"{row}: {name} / {FLOOR}")
        yield times.ratio(REUSED, REUSED_FLOOR, f"{row}: {REUSED} / {REUSED_FLOOR}")
        best = min(peers, key=lambda peer: times.ratio(peer, FLOOR).value)
        yield times.ratio(REUSED, best, f"{row}: {REUSED} / {best}", TARGET)
        yield times.ratio(REUSED_FLOOR, best, f"{row}: {REUSED_FLOOR} / {best}")
