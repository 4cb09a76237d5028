"""The simulator on workloads of the kind that people write: one recording of each, and a few modes measured."""

import gc
import itertools
import tracemalloc
from contextlib import suppress
from functools import cache

import numpy as np
import pytest

from tests.analysis.conftest import MODES, SAVED
from toolkit import (
    Function,
    Variable,
    checkpoint,
    checkpoint_every,
    concatenate,
    exp,
    matmul,
    no_grad,
    relu,
    split,
    square,
    tanh,
    using_config,
)
from toolkit.analysis.simulation.engine import simulate
from toolkit.nn import Layer
from toolkit.nn.adam import Adam
from toolkit.nn.linear import Linear
from toolkit.nn.momentum import Momentum
from toolkit.probes.traced import tracing_arrays
from toolkit.recording.recorder import record

# Beside each measurement everything is collected.
pytestmark = pytest.mark.usefixtures("quick_collections")

N = 4000
#: numpy makes an array of a Python constant for a moment, and a scalar is an array of its own.
CONSTANT_BYTES = 112


def leaf(*shape):
    return Variable(np.full(shape or (N,), 0.5))


def losses_kept():
    w, losses = leaf(), []
    for _ in range(4):
        loss = (tanh(w * leaf()) ** 2).mean()
        w.cleargrad()
        loss.backward()
        w.data -= 0.1 * w.grad
        losses.append(loss)
    return losses


def losses_kept_as_numbers():
    w, losses = leaf(), []
    for _ in range(4):
        loss = (tanh(w * leaf()) ** 2).mean()
        w.cleargrad()
        loss.backward()
        w.data -= 0.1 * w.grad
        losses.append(float(loss.data))
    return losses


def a_function_of_ones_own():
    class Bent(Function):
        def __init__(self, by):
            self.by = by

        def forward(self, x):
            self.bent = np.sin(x) * self.by
            return self.bent + x

        def backward(self, gy):
            return gy * (1 + self.by * np.cos(self.inputs[0].data))

    x = leaf()
    y = Bent(3.0)(Bent(2.0)(x))
    y.backward()
    return x, y


def closures():
    w = leaf()

    def layer(scale):
        held = np.full(N, scale)

        def apply(x):
            return tanh(x * w) * held

        return apply

    layers = [layer(scale) for scale in (1.0, 2.0, 3.0)]
    x = leaf()
    for apply in layers:
        x = apply(x)
    layers.pop()
    x.sum().backward()
    return w


def generators():
    def batches(count):
        for number in range(count):
            yield leaf() * float(number)

    total = leaf()
    for batch in batches(3):
        total = total + tanh(batch)
    rest = batches(2)
    next(rest)
    y = sum((square(one) for one in (total, next(rest))), start=total)
    y.backward()
    return total


def deleted_early():
    x = leaf()
    a = exp(x)
    b = square(a)
    del a
    c = tanh(b) + b
    data = c.data
    del b, x
    c.backward()
    del c
    return data


def exceptions_caught():
    x = leaf()
    for shape in ((N,), (N - 1,), (N,)):
        try:
            y = tanh(x) * leaf(*shape)
            y.backward()
        except ValueError:
            y = None
        x.cleargrad()
    try:
        square(x.data.tolist)
    except TypeError as problem:
        told = str(problem)
    return x, y, told


def views_and_in_place():
    x = leaf()
    y = square(x).reshape(40, 100)
    head = y.data[:4]
    z = (y.T * 2.0).reshape(N)
    z.data *= 0.5
    z.backward()
    x.data[:10] = 0.0
    x.grad *= 0.5
    kept = x.grad[::2]
    x.cleargrad()
    return head, kept


def two_losses_of_one_graph():
    x = leaf()
    h = tanh(x)
    first, second = square(h).sum(), exp(h).sum()
    first.backward()
    second.backward()
    gradient = x.grad
    x.cleargrad()
    second.backward()
    return gradient, x


def nested_blocks():
    x = leaf()
    with no_grad():
        a = square(x)
        with using_config(enable_backprop=True, retain_grad=True):
            b = exp(x)
            b.backward()
            c = square(a)
        d = tanh(a)
    y = b * c + d
    y.backward()
    return x, d


@no_grad()
def validated(w, x):
    return float((tanh(matmul(x, w)) ** 2).mean().data)


def validation_between_steps():
    w, best = leaf(40, 40), None
    for _ in range(3):
        x = leaf(20, 40)
        loss = square(matmul(x, w)).mean()
        w.cleargrad()
        loss.backward()
        w.data = w.data - 0.1 * w.grad
        score = validated(w, x)
        if best is None or score < best[0]:
            best = score, w.data.copy()
    return best


class Net(Layer):
    def __init__(self, optimised):
        rng = np.random.default_rng(0)
        self.layers = [Linear(40, 50, rng), Linear(50, 10, rng)]
        self.optimised = optimised

    def __call__(self, x):
        first, last = self.layers
        return last(relu(first(x)))


def trained(optimiser):
    net = Net(optimiser.__name__)
    rule = optimiser(net.parameters(), 0.01)
    for _ in range(3):
        loss = (net(leaf(30, 40)) ** 2).mean()
        rule.cleargrads()
        loss.backward()
        rule.step()
    return net


def momentum():
    return trained(Momentum)


def adam():
    return trained(Adam)


def checkpoints():
    w = leaf()
    y = checkpoint(lambda x: tanh(x * w) * w, leaf())
    y = checkpoint_every([square, tanh, exp, lambda x: x * w], y, 2)
    y.backward()
    return w


def parts():
    x = leaf()
    first, last = split(x * 2.0, 2)
    y = concatenate([tanh(first), last, last])
    del first
    y.sum().backward()
    return x, y


def carried_on():
    w, h = leaf(), leaf()
    for step in range(6):
        h = tanh(h * w + leaf())
        if step % 2:
            loss = square(h).sum()
            loss.backward()
            h.unchain()
    return w


def an_output_given_other_data():
    x = leaf()
    h = x * 2.0
    before = square(h)
    h.data = h.data * 3.0
    (before + square(h) + square(h)).sum().backward()
    return x


def accumulated_over_batches():
    w = leaf()
    for _ in range(2):
        for _ in range(3):
            (square(w * leaf()).sum() * (1 / 3)).backward()
        w.data -= 0.1 * w.grad
        w.cleargrad()
    return w


def history_of_gradients():
    x, seen = leaf(), {}
    for step in range(3):
        y = square(tanh(x))
        y.backward(retain_grad=True)
        seen[step] = y.grad, np.abs(x.grad)
        x.cleargrad()
    return seen


def held_by_an_object():
    class Model:
        def __init__(self):
            self.w = leaf()
            self.last = self.output = None

        def __call__(self, x):
            self.last, self.output = self.output, tanh(x * self.w)
            return self.output

    model = Model()
    for _ in range(3):
        square(model(leaf())).sum().backward()
    return model


def several_on_a_line():
    x = leaf(); a = exp(x); del x; b = square(a); a = None; c = tanh(b) + b; b = None  # fmt: skip  # noqa: E702
    c.backward()
    return [square(one).data.sum() for one in (c, tanh(c))], c


def bare_array_after_another():
    x = leaf()
    y = square(x)
    held = y.data
    del x, y
    del held
    return np.full(3 * N, 0.5)


def arithmetic_beside():
    x, target = leaf(), np.full(N, 0.25)
    y = square(tanh(x))
    error = float(np.mean((y.data - target) ** 2 + np.abs(y.data[::-1] - target * 2)))
    y.backward()
    norm = np.sqrt(sum(float((one.grad**2).sum()) for one in (x,)))
    x.grad = x.grad * min(1.0, 1.0 / norm)
    x.data = (x.data - 0.1 * x.grad)[: N // 2].copy()
    return error, x


class Aliased(Function):
    def forward(self, x):
        self.x, self.y = x, np.exp(x)
        return self.y

    def backward(self, gy):
        return gy * self.y + 0 * self.x


class Broken(Function):
    def forward(self, x):
        return x * 2.0

    def backward(self, gy):
        return gy[:-1] * 2.0


class Raising(Function):
    def forward(self, x):
        made = x * 2.0
        raise ArithmeticError(made.shape)


def arrays_of_inputs_and_outputs():
    x = leaf()
    y = Aliased()(square(x))
    z = tanh(y)
    del y
    z.backward()
    return x


def gradients_refused():
    x = leaf()
    h = tanh(x)
    for kind in (Broken, Raising):
        with suppress(ValueError, ArithmeticError):
            (square(kind()(square(h))) + exp(h)).backward()
    square(h).backward()
    return x, h


def recursion():
    def tree(depth):
        return leaf() if depth == 0 else tanh(tree(depth - 1) + square(tree(depth - 1)))

    y = tree(3)
    y.backward()
    return y


def passes_of_leaves():
    x = leaf()
    x.backward()
    x.backward()
    y = square(x)
    y.grad = np.full(N, 2.0)
    y.backward()
    return x, y


def left_early():
    w, seen = leaf(), []
    for step in range(9):
        y = tanh(w * leaf())
        seen.append(y)
        if step < 2:
            continue
        y.sum().backward()
        if len(seen) > 3:
            break
    while seen:
        seen.pop(0)
    return w


def of_several_dtypes():
    x = Variable(np.full(N, 0.5, np.float32))
    y = tanh(x).astype(np.float64) * leaf()
    z = square(y)[np.arange(0, N, 3)]
    z.backward()
    return x


def a_parameter_used_twice():
    from toolkit.nn import Parameter

    w = Parameter(np.full((40, 40), 0.1))
    x = leaf(40, 40)
    for _ in range(2):
        y = matmul(matmul(x, w), w)
        y.backward(retain_graph=False)
        w.data -= 0.1 * w.grad
        w.cleargrad()
    return w, y


WORKLOADS = (
    several_on_a_line,
    bare_array_after_another,
    arithmetic_beside,
    arrays_of_inputs_and_outputs,
    gradients_refused,
    recursion,
    passes_of_leaves,
    left_early,
    of_several_dtypes,
    a_parameter_used_twice,
    losses_kept,
    losses_kept_as_numbers,
    a_function_of_ones_own,
    closures,
    generators,
    deleted_early,
    exceptions_caught,
    views_and_in_place,
    two_losses_of_one_graph,
    nested_blocks,
    validation_between_steps,
    momentum,
    adam,
    checkpoints,
    parts,
    carried_on,
    an_output_given_other_data,
    accumulated_over_batches,
    history_of_gradients,
    held_by_an_object,
)


@cache
def recording_of(workload, **settings):
    workload()
    return record(workload, **settings)


def recorded(workload, mode, saved):
    recording = recording_of(workload, **saved)
    if recording.reads_kept_gradients:
        recording = recording_of(workload, **saved, retain_grad=mode.retain_grad)
    if recording.computes_again:
        recording = recording_of(
            workload, **saved, references=mode.references, accumulation=mode.accumulation
        )
    return recording


def measured(workload, mode, saved):
    """Return the traced peak and end of a workload; None where it needs a graph."""
    toggles = {
        name: getattr(mode, name)
        for name in ("references", "retain_grad", "enable_backprop", "retain_graph", "accumulation")
    }
    gc.collect()
    gc.disable()
    try:
        with using_config(**toggles, **saved), tracing_arrays():
            result = workload()
            end, peak = tracemalloc.get_traced_memory()
            del result
    except RuntimeError:
        return None
    finally:
        gc.enable()
        gc.collect()
    return peak, end


def assert_as_simulated(workload, mode, saved):
    simulated = simulate(recorded(workload, mode, saved), mode)
    truth = measured(workload, mode, saved)
    told = f"{mode}, {saved}: {simulated}, {truth}"
    assert (simulated is None) == (truth is None), told
    if truth is not None:
        assert abs(simulated.peak_bytes - truth[0]) <= CONSTANT_BYTES, told
        assert abs(simulated.end_bytes - truth[1]) <= CONSTANT_BYTES, told


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.__name__)
def test_a_workload_needs_what_is_simulated(workload):
    for saved, mode in itertools.product(SAVED, MODES):
        assert_as_simulated(workload, mode, saved)
