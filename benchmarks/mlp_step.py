"""A training step of a perceptron, 784-256-128-10 on batches of 64, without the update: loss and gradients."""

from itertools import pairwise

import numpy as np

from benchmarks._racing.training import Training

WIDTHS = (784, 256, 128, 10)
BATCH = 64
ROUNDS = 15
TARGETS = {"best Python peer": 1.0, "pytorch": 1.2}

_rng = np.random.default_rng(0)
PIXELS = _rng.uniform(size=(BATCH, WIDTHS[0]))
CLASSES = _rng.integers(WIDTHS[-1], size=BATCH)


def parameters():
    """Return weights and bias of each layer in turn."""
    rng = np.random.default_rng(1)
    arrays = []
    for before, after in pairwise(WIDTHS):
        arrays += [
            rng.standard_normal((before, after)) * np.sqrt(2 / before),
            rng.standard_normal(after) / 10,
        ]
    return arrays


def loss(engine, *weights_and_biases):
    """Return the mean cross-entropy."""
    x = engine.constant(PIXELS)
    *hidden, last = zip(weights_and_biases[::2], weights_and_biases[1::2], strict=True)
    for weights, bias in hidden:
        x = engine.relu(engine.add_row(engine.matmul(x, weights), bias))
    scores = engine.add_row(engine.matmul(x, last[0]), last[1])
    return engine.cross_entropy(scores, engine.constant(CLASSES))


def floor(*weights_and_biases):
    """Do the same by bare numpy calls."""
    layers = list(zip(weights_and_biases[::2], weights_and_biases[1::2], strict=True))
    xs = [PIXELS]
    for weights, bias in layers:
        xs.append(np.maximum(xs[-1] @ weights + bias, 0))
    scores = xs[-2] @ layers[-1][0] + layers[-1][1]
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    gy = exponentials / exponentials.sum(axis=1, keepdims=True)
    -np.log(gy[np.arange(BATCH), CLASSES]).mean()
    gy[np.arange(BATCH), CLASSES] -= 1
    gy /= BATCH
    gradients = []
    for position in range(len(layers) - 1, -1, -1):
        gradients = [xs[position].T @ gy, gy.sum(axis=0), *gradients]
        if position:
            gy = gy @ layers[position][0].T * (xs[position] > 0)
    return gradients


def measure():
    """Race."""
    yield from Training(loss, floor, parameters()).race("MLP step", ROUNDS, TARGETS)
