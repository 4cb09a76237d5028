"""1000 operations of one element without a graph, against the same calls of numpy on bare arrays."""

import numpy as np

from benchmarks import _engines
from benchmarks._racing.rounds import race
from benchmarks._racing.training import FLOOR
from benchmarks.chain import OPERATIONS, chain_of

ROUNDS = 25
TARGET = 2.5


def floor(x):
    """Do the same by bare numpy calls."""
    y = x
    for _ in range(OPERATIONS // 2):
        y = np.square(y) + x
    return y


def measure():
    """Check that every engine computes the same, and race."""
    x = np.random.default_rng(0).uniform(0.2, 0.25, 1)
    chain = chain_of(OPERATIONS)
    actions = {FLOOR: lambda: floor(x)}
    for name, engine in _engines.found().items():
        actions[name] = lambda engine=engine: engine.forward(lambda x: chain(engine, x), x)
        np.testing.assert_array_equal(actions[name](), floor(x), err_msg=name)
    times = race(actions, ROUNDS)
    for name in _engines.found():
        at_most = TARGET if name == "core" else None
        yield times.ratio(name, FLOOR, f"no_grad, n=1: {name} / {FLOOR}", at_most)
