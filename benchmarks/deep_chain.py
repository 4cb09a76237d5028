"""A chain ten times as deep: going back through it, and freeing it, take ten times as long and never recurse."""

import gc

import numpy as np

from benchmarks._racing.rounds import Times, processor_seconds
from toolkit import Variable, neg, using_config

DEPTHS = (10_000, 100_000)
ROUNDS = 9
#: Ten times, and as much again as larger caches miss.
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
    """Time both depths in turn."""
    shallow, deep = DEPTHS
    for mode, toggles in MODES.items():
        seconds = {}
        with using_config(**toggles):
            for _ in range(ROUNDS):
                for depth in DEPTHS:
                    for part, taken in parts(depth).items():
                        seconds.setdefault((part, depth), []).append(taken)
        times = Times(seconds)
        for part in ("backward", "free"):
            name = f"{mode}: {part}, {deep:,} deep / {shallow:,} deep"
            yield times.ratio((part, deep), (part, shallow), name, TARGET)
