"""One training step in every engine: batch, 784-256-128-10, tanh, cross-entropy, and the step of SGD."""

from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np

SIZES = (784, 256, 128, 10)
RATE = 0.01


def _start(batch: int) -> tuple[Any, Any, list[Any], list[Any]]:
    rng = np.random.default_rng(0)
    weights = [0.05 * rng.standard_normal(sizes) for sizes in pairwise(SIZES)]
    biases = [np.zeros(size) for size in SIZES[1:]]
    return rng.standard_normal((batch, SIZES[0])), rng.integers(0, SIZES[-1], batch), weights, biases


def core(batch: int) -> Callable[[], Any]:
    """Use the toolkit's core."""
    from toolkit import cross_entropy, tanh
    from toolkit.core.variable import Variable
    from toolkit.nn.sgd import SGD

    x, classes, *arrays = _start(batch)
    weights, biases = ([Variable(one) for one in some] for some in arrays)
    optimiser = SGD([*weights, *biases], RATE)

    def run() -> Any:
        h: Any = x
        for place, (w, b) in enumerate(zip(weights, biases, strict=True)):
            h = (h if place == 0 else tanh(h)) @ w + b
        loss = cross_entropy(h, classes)
        optimiser.cleargrads()
        loss.backward()
        optimiser.step()
        return loss.data

    return run


def dezero(batch: int) -> Callable[[], Any]:
    """Use the DeZero package."""
    vars(np).setdefault("int", int)
    import dezero.functions as functions
    from dezero import Variable

    x, classes, *arrays = _start(batch)
    weights, biases = ([Variable(one) for one in some] for some in arrays)

    def run() -> Any:
        h: Any = x
        for place, (w, b) in enumerate(zip(weights, biases, strict=True)):
            h = functions.linear(h if place == 0 else functions.tanh(h), w, b)
        loss = functions.softmax_cross_entropy_simple(h, classes)
        for one in (*weights, *biases):
            one.cleargrad()
        loss.backward()
        for one in (*weights, *biases):
            one.data -= RATE * one.grad.data
        return loss.data

    return run


def torch(batch: int) -> Callable[[], Any]:
    """Use PyTorch on the CPU, one thread."""
    import torch

    torch.set_num_threads(1)
    arrays = _start(batch)
    x, classes = torch.tensor(arrays[0]), torch.tensor(arrays[1])
    weights, biases = ([torch.tensor(one, requires_grad=True) for one in some] for some in arrays[2:])
    optimiser = torch.optim.SGD([*weights, *biases], RATE)

    def run() -> Any:
        h = x
        for place, (w, b) in enumerate(zip(weights, biases, strict=True)):
            h = torch.addmm(b, h if place == 0 else torch.tanh(h), w)
        loss = torch.nn.functional.cross_entropy(h, classes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.detach().numpy()

    return run


def mygrad(batch: int) -> Callable[[], Any]:
    """Use MyGrad."""
    import mygrad
    from mygrad.nnet.losses import softmax_crossentropy

    x, classes, *arrays = _start(batch)
    weights, biases = ([mygrad.tensor(one) for one in some] for some in arrays)

    def run() -> Any:
        h: Any = x
        for place, (w, b) in enumerate(zip(weights, biases, strict=True)):
            h = (mygrad.matmul(h, w) if place == 0 else mygrad.tanh(h) @ w) + b
        loss = softmax_crossentropy(h, classes)
        loss.backward()
        for one in (*weights, *biases):
            one.data -= RATE * one.grad
            one.null_grad()
        return loss.data

    return run


def autograd(batch: int) -> Callable[[], Any]:
    """Use HIPS autograd."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    x, classes, weights, biases = _start(batch)
    rows = np.arange(batch)

    def loss_of(parameters: Any) -> Any:
        weights, biases = parameters
        h = x
        for place, (w, b) in enumerate(zip(weights, biases, strict=True)):
            h = anp.dot(h if place == 0 else anp.tanh(h), w) + b
        h = h - anp.max(h, axis=1, keepdims=True)
        h = h - anp.log(anp.sum(anp.exp(h), axis=1, keepdims=True))
        return -anp.mean(h[rows, classes])

    gradient = value_and_grad(loss_of)

    def run() -> Any:
        loss, (weight_gradients, bias_gradients) = gradient((weights, biases))
        for one, change in zip((*weights, *biases), (*weight_gradients, *bias_gradients), strict=True):
            one -= RATE * change
        return loss

    return run


ENGINES = {"core": core, "DeZero": dezero, "PyTorch": torch, "MyGrad": mygrad, "autograd": autograd}
_PACKAGES = {"DeZero": "dezero", "PyTorch": "torch", "MyGrad": "mygrad", "autograd": "autograd"}


def installed() -> list[str]:
    """Return the peers that can be measured here."""
    return [name for name, package in _PACKAGES.items() if find_spec(package)]
