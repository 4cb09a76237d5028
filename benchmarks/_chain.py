"""One workload in every engine: k operations, square and add in turn, forward and backward."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np


def start(n: int) -> Any:
    """Return numbers that neither grow nor vanish: h**2 + x has a fixed point near 0.113."""
    return np.full(n, 0.1)


def floor(k: int, n: int) -> Callable[[], Any]:
    """Compute the same arrays by bare numpy calls, with no graph at all."""
    x = start(n)

    def run() -> Any:
        h, kept = x, []
        for place in range(k):
            kept.append(h)
            h = h + x if place % 2 else np.square(h)
        g, gx = np.ones_like(h), None
        for place in reversed(range(k)):
            h = kept.pop()
            if place % 2:
                gx = g if gx is None else gx + g
            else:
                g = 2 * h * g
        return g if gx is None else gx + g

    return run


def step18(k: int, n: int) -> Callable[[], Any]:
    """Use the listing of the book's step 18."""
    from benchmarks._step18 import Variable, add, square

    return _variables(Variable, square, add, k, n)


def core(k: int, n: int) -> Callable[[], Any]:
    """Use the toolkit's core."""
    from toolkit import Variable, add, square

    return _variables(Variable, square, add, k, n)


def core_reused(k: int, n: int) -> Callable[[], Any]:
    """Use the toolkit's core with memory used again."""
    from toolkit import using_config

    run = core(k, n)

    def reused() -> Any:
        with using_config(buffers="reused"):
            return run()

    return reused


def dezero(k: int, n: int) -> Callable[[], Any]:
    """Use the DeZero package, whose import asks numpy for a name that numpy has dropped."""
    vars(np).setdefault("int", int)
    from dezero import Variable
    from dezero.core import add

    run = _variables(Variable, lambda h: h**2, add, k, n)
    return lambda: run().data


def _variables(make: Any, square: Any, add: Any, k: int, n: int) -> Callable[[], Any]:
    x = make(start(n))

    def run() -> Any:
        x.cleargrad()
        h = x
        for place in range(k):
            h = add(h, x) if place % 2 else square(h)
        h.backward()
        return x.grad

    return run


def torch(k: int, n: int) -> Callable[[], Any]:
    """Use PyTorch on the CPU, one thread."""
    import torch

    torch.set_num_threads(1)
    x = torch.tensor(start(n), requires_grad=True)
    seed = torch.ones(n, dtype=torch.float64)

    def run() -> Any:
        x.grad = None
        h = x
        for place in range(k):
            h = h + x if place % 2 else torch.square(h)
        h.backward(seed)
        return x.grad.numpy()

    return run


def mygrad(k: int, n: int) -> Callable[[], Any]:
    """Use MyGrad."""
    import mygrad

    x = mygrad.tensor(start(n))

    def run() -> Any:
        h = x
        for place in range(k):
            h = h + x if place % 2 else mygrad.square(h)
        h.backward(np.ones(n))
        gradient = x.grad
        x.null_grad()
        return gradient

    return run


def autograd(k: int, n: int) -> Callable[[], Any]:
    """Use HIPS autograd."""
    import autograd.numpy as anp
    from autograd import make_vjp

    x = start(n)

    def compute(x: Any) -> Any:
        h = x
        for place in range(k):
            h = h + x if place % 2 else anp.square(h)
        return h

    def run() -> Any:
        back, _ = make_vjp(compute)(x)
        return back(np.ones(n))

    return run


def floor_forward(k: int, n: int) -> Callable[[], Any]:
    """Compute forward alone by bare numpy calls."""
    x = start(n)

    def run() -> Any:
        h = x
        for place in range(k):
            h = h + x if place % 2 else np.square(h)
        return h

    return run


def core_no_grad(k: int, n: int) -> Callable[[], Any]:
    """Use the toolkit's core forward alone, without a graph."""
    from toolkit import Variable, add, no_grad, square

    x = Variable(start(n))

    def run() -> Any:
        h = x
        with no_grad():
            for place in range(k):
                h = add(h, x) if place % 2 else square(h)
        return h.data

    return run


ENGINES = {
    "numpy": floor,
    "numpy, forward": floor_forward,
    "core": core,
    "core, memory used again": core_reused,
    "core, no_grad": core_no_grad,
    "step 18": step18,
    "DeZero": dezero,
    "PyTorch": torch,
    "MyGrad": mygrad,
    "autograd": autograd,
}
_PACKAGES = {"DeZero": "dezero", "PyTorch": "torch", "MyGrad": "mygrad", "autograd": "autograd"}


def installed() -> list[str]:
    """Return the peers that can be measured here: the listing of step 18 always."""
    return ["step 18", *[name for name, package in _PACKAGES.items() if find_spec(package)]]
