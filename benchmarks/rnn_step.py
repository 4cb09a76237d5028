"""A small recurrent network, unrolled: many small products, and weights whose gradients add up over time."""

import numpy as np

from benchmarks._racing.training import Training

STEPS, BATCH, INPUTS, HIDDEN = 20, 16, 8, 32
ROUNDS = 21
TARGETS = {"best Python peer": 1.0}

SEQUENCE = np.random.default_rng(0).standard_normal((STEPS, BATCH, INPUTS))
START = np.zeros((BATCH, HIDDEN))


def parameters():
    """Return the weights of input and state, and the bias."""
    rng = np.random.default_rng(1)
    return [
        rng.standard_normal((INPUTS, HIDDEN)) / np.sqrt(INPUTS),
        rng.standard_normal((HIDDEN, HIDDEN)) / np.sqrt(HIDDEN),
        rng.standard_normal(HIDDEN) / 10,
    ]


def loss(engine, input_weights, state_weights, bias):
    """Return the squares of the last state; the gradient is that of their sum."""
    h = engine.constant(START)
    for x in SEQUENCE:
        from_input = engine.matmul(engine.constant(x), input_weights)
        h = engine.tanh(engine.add_row(engine.add(from_input, engine.matmul(h, state_weights)), bias))
    return engine.square(h)


def floor(input_weights, state_weights, bias):
    """Do the same by bare numpy calls."""
    states = [START]
    for x in SEQUENCE:
        states.append(np.tanh(x @ input_weights + states[-1] @ state_weights + bias))
    np.square(states[-1])
    gh = states[-1] + states[-1]
    totals = None
    for position in range(STEPS - 1, -1, -1):
        gy = (1 - states[position + 1] ** 2) * gh
        found = [SEQUENCE[position].T @ gy, states[position].T @ gy, gy.sum(axis=0)]
        totals = found if totals is None else [a + b for a, b in zip(totals, found, strict=True)]
        if position:
            gh = gy @ state_weights.T
    return totals


def measure():
    """Race."""
    yield from Training(loss, floor, parameters()).race("RNN step", ROUNDS, TARGETS)
