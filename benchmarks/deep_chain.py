"""A chain ten times as deep: going back through it, and freeing it, take ten times as long and never recurse."""

import gc
from itertools import pairwise

import numpy as np

from benchmarks._racing.rounds import Times, processor_seconds
from toolkit import Variable, neg, using_config

DEPTHS = (10_000, 100_000, 1_000_000)
ROUNDS = 5
#: Ten times, and some more for what caches miss. Freeing is held to it from 100,000 on: a chain of 10,000 fits in a
#: cache, and to outgrow that takes the collector, which frees a cycle object by object, twice as long again.
TARGET = 12.0

MODES = {
    "core": {},
    "core, strong references": {"references": "strong"},
    "core, graph let go": {"retain_graph": False},
}


def build(depth):
    """Return the end of a chain and its start."""
    x = y = Variable(np.ones(1))
    for _ in range(depth):
        y = neg(y)
    return y, x


def parts(depth):
    """Return the seconds of going back through a chain and of freeing it; the collector waits meanwhile."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        ends = [*build(depth)]
        back = processor_seconds(ends[0].backward)
        assert ends[1].grad is not None
        free = processor_seconds(lambda: (ends.clear(), gc.collect()))
    finally:
        gc.enable()
        gc.unfreeze()
    return {"backward": back, "free": free}


def measure():
    """Time all depths in turn."""
    for mode, toggles in MODES.items():
        seconds = {}
        with using_config(**toggles):
            for _ in range(ROUNDS):
                for depth in DEPTHS:
                    for part, taken in parts(depth).items():
                        seconds.setdefault((part, depth), []).append(taken)
        times = Times(seconds)
        for part in ("backward", "free"):
            for shallow, deep in pairwise(DEPTHS):
                name = f"{mode}: {part}, {deep:,} deep / {shallow:,} deep"
                at_most = None if part == "free" and deep < DEPTHS[-1] else TARGET
                yield times.ratio((part, deep), (part, shallow), name, at_most)
