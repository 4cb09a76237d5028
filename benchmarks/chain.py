"""1000 operations, square and add in turn, forward and backward: what an engine costs beside its arithmetic."""

import numpy as np

from benchmarks._racing.training import Training

OPERATIONS = 1000
ROUNDS = 25
TARGETS = {
    1: {"numpy floor": 3.3, "pytorch": 0.6, "step18": 0.7},
    1000: {"numpy floor": 2.0, "best peer": 1.0},
}


def chain_of(operations):
    """Return the workload ``y = y**2 + x``, over and over.

    From 0.2 to 0.25 neither values nor gradients leave the range of normal numbers, with which arithmetic is fast.
    """

    def chain(engine, x):
        y = x
        for _ in range(operations // 2):
            y = engine.add(engine.square(y), x)
        return y

    return chain


def floor_of(operations):
    """Return the same by bare numpy calls: every array that the gradient takes, and no graph."""

    def floor(x):
        ys, squares = [x], []
        for _ in range(operations // 2):
            squares.append(np.square(ys[-1]))
            ys.append(squares[-1] + x)
        gy, gx = np.ones_like(x), None
        for y in reversed(ys[:-1]):
            gx = gy if gx is None else gx + gy
            # As the core: y + y has the bits of 2 * y, for which numpy makes an array of the 2 at every call.
            gy = (y + y) * gy
        return [gx + gy]

    return floor


def measure():
    """Race, for arrays of each size."""
    for n, targets in TARGETS.items():
        x = np.random.default_rng(0).uniform(0.2, 0.25, n)
        training = Training(chain_of(OPERATIONS), floor_of(OPERATIONS), [x])
        yield from training.race(f"{OPERATIONS} ops, n={n}", ROUNDS, targets)
