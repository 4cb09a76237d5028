"""The simulator: what it predicts from one recording is what numpy allocates under every mode, to the byte."""

import gc
import itertools
import tracemalloc
from dataclasses import fields
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import toolkit
from tests.analysis.conftest import SAVING_MODES
from toolkit import (
    Function,
    Variable,
    add,
    checkpoint_every,
    dropout,
    exp,
    matmul,
    no_grad,
    relu,
    sigmoid,
    softmax,
    square,
    tanh,
    using_config,
)
from toolkit.analysis.predictions import backward, forward, loop_without_collector, loop_without_garbage
from toolkit.analysis.simulation import Mode
from toolkit.analysis.simulation.engine import simulate
from toolkit.probes.traced import tracing_arrays
from toolkit.recording.recorder import UnpredictableError, record
from toolkit.trials.collecting import collecting

# Beside each measurement everything is collected.
pytestmark = pytest.mark.usefixtures("quick_collections")

N = 40_000
S = 8 * N
EVEN = np.arange(0, N, 2)
#: numpy makes an array of a Python constant for a moment, and of each end of a comparison.
CONSTANT_BYTES = 16
#: Held here, so that it is no part of any workload's memory.
RNG = np.random.default_rng(0)


def leaf(*shape):
    return Variable(np.full(shape or (N,), 0.5))


def squares(x, k):
    for _ in range(k):
        x = square(x)
    return x


def chain(k=16):
    x = leaf()
    y = squares(x, k)
    y.backward()
    return x, y


def forward_only(k=16):
    x = leaf()
    return x, squares(x, k)


def loop(iterations=10):
    for _ in range(iterations):
        x = leaf()
        y = squares(x, 3)
    del x, y


def diamonds():
    x = h = leaf()
    for _ in range(5):
        a = square(h)
        h = add(square(a), square(a))
    h.backward()
    return x, h


def fan_out():
    x = leaf()
    total = exp(x)
    for _ in range(7):
        total = total + exp(x)
    total.backward()
    return x


class Halves(Function):
    def forward(self, x):
        return x[: N // 2].copy(), x[N // 2 :].copy()

    def backward(self, gy0, gy1):
        return np.concatenate([gy0, gy1])


def one_output_dropped():
    x = leaf()
    kept, dropped = Halves()(square(x))
    del dropped
    y = square(kept)
    y.backward()
    return x


def shared_leaf():
    w = leaf()
    for _ in range(3):
        x = leaf()
        loss = (tanh(w * x) + w).sum()
        loss.backward()
    return w


def broadcasting():
    x, b = leaf(200, 200), leaf(200)
    y = tanh(x * 2.0 + b).mean()
    y.backward()
    return x, b, y


def views():
    x = leaf()
    y = (x.reshape(200, 200).T * 3.0).reshape(N)
    y.backward()
    return x, y


def mlp_steps():
    weights, bias, last = leaf(100, 300), leaf(300), leaf(300, 10)
    for _ in range(4):
        x = leaf(64, 100)
        hidden = tanh(matmul(x, weights) + bias)
        output = matmul(hidden, last)
        loss = (output * output).mean()
        for parameter in (weights, bias, last):
            parameter.cleargrad()
        loss.backward()
        for parameter in (weights, bias, last):
            parameter.data -= 0.1 * parameter.grad
    return weights, bias, last


def replaced_data():
    w = leaf()
    for _ in range(3):
        y = square(w)
        y.backward()
        w.data = w.data - 0.1 * w.grad
        w.cleargrad()
    return w


def activations():
    x = leaf()
    h = relu(x * 2.0)
    y = (sigmoid(h) * exp(-h) + softmax(h.reshape(200, 200)).reshape(N)).sum()
    y.backward()
    return x


def masks():
    x = leaf()
    y = square(dropout(tanh(x), 0.5, RNG))[EVEN]
    y.backward()
    return x, y


def no_names_held():
    x = leaf()
    exp(square(tanh(x)) + x).sum().backward()
    return x


def two_passes():
    x = leaf()
    y = tanh(square(x))
    y.backward()
    y.backward()
    return x


def truncated():
    w, h = leaf(), leaf()
    total = None
    for step in range(9):
        h = tanh(w * h)
        total = h.sum() if total is None else total + h.sum()
        if step % 3 == 2:
            total.backward()
            total = None
            h.unchain()
    return w, h


def evaluated():
    w = leaf()
    for _ in range(2):
        y = square(tanh(w)).sum()
        y.backward()
        with no_grad():
            unseen = square(exp(w) + w)
    return w, y, unseen


WORKLOADS = (
    truncated,
    evaluated,
    activations,
    masks,
    no_names_held,
    two_passes,
    chain,
    forward_only,
    loop,
    diamonds,
    fan_out,
    one_output_dropped,
    shared_leaf,
    broadcasting,
    views,
    mlp_steps,
    replaced_data,
)
MODES = [
    Mode(references=references, retain_grad=retain_grad, enable_backprop=enable_backprop)
    for references, retain_grad, enable_backprop in itertools.product(
        ("weak", "strong"), (False, True), (True, False)
    )
]
PLAIN_SAVING_MODES = [mode for mode in SAVING_MODES if mode.references == "weak" and not mode.retain_grad]
SAVED = [
    {"saves": "inputs", "storage": "exact"},
    {"saves": "needed", "storage": "exact"},
    {"saves": "inputs", "storage": "float32"},
    {"saves": "needed", "storage": "float16"},
]


def named(mode):
    return "-".join(str(getattr(mode, field.name)) for field in fields(mode))


def measured(workload, mode, **saved):
    """Return the traced peak and end of `workload` under `mode`; None where it needs a graph."""
    gc.collect()
    toggles = {
        field.name: getattr(mode, field.name)
        for field in fields(mode)
        if field.name not in ("thresholds", "every", "at_epoch_end", "counted")
    }
    with (
        using_config(**toggles, **saved),
        collecting("off"),
        tracing_arrays(),
    ):
        try:
            result = workload()
        except RuntimeError:
            return None
        end, peak = tracemalloc.get_traced_memory()
        del result
        gc.collect()
    return peak, end


@cache
def recorded(workload, saves, storage):
    workload()
    return record(workload, saves=saves, storage=storage)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.__name__)
@pytest.mark.parametrize(
    ("saved", "mode"),
    [(SAVED[0], mode) for mode in MODES]
    + [
        # Strong references and kept gradients together with the rest: the same rules once more.
        pytest.param(saved, mode, marks=[] if mode in PLAIN_SAVING_MODES else pytest.mark.slow)
        for saved in SAVED
        for mode in SAVING_MODES
    ],
    ids=lambda one: named(one) if isinstance(one, Mode) else "-".join(one.values()),
)
def test_one_recording_predicts_every_mode(workload, saved, mode):
    simulated = simulate(recorded(workload, **saved), mode)
    truth = measured(workload, mode, **saved)
    if truth is None:
        assert simulated is None
        return
    peak, end = truth
    assert abs(simulated.peak_bytes - peak) <= CONSTANT_BYTES
    assert simulated.end_bytes == end


@pytest.mark.parametrize("k", [1, 2, 5, 16])
def test_the_closed_formulas_are_special_cases(k):
    recorded = record(lambda: forward_only(k))
    for enable_backprop in (True, False):
        formula = forward(k, S, enable_backprop=enable_backprop)
        simulated = simulate(recorded, Mode(enable_backprop=enable_backprop))
        assert (simulated.peak_bytes, simulated.end_bytes) == (
            formula.peak_arrays * S,
            formula.end_arrays * S,
        )
    recorded = record(lambda: chain(k))
    for retain_grad in (True, False):
        formula = backward(k, S, retain_grad=retain_grad)
        simulated = simulate(recorded, Mode(retain_grad=retain_grad))
        assert abs(simulated.peak_bytes - formula.peak_arrays * S) <= CONSTANT_BYTES
        assert simulated.end_bytes == formula.end_arrays * S


@pytest.mark.parametrize("iterations", [1, 2, 7])
def test_loops_agree_with_their_formulas(iterations):
    recorded = record(lambda: loop(iterations))
    for enable_backprop in (True, False):
        formula = loop_without_garbage(3, iterations, S, enable_backprop=enable_backprop)
        simulated = simulate(recorded, Mode(enable_backprop=enable_backprop))
        assert abs(simulated.peak_bytes - formula.peak_arrays * S) <= CONSTANT_BYTES
        assert simulated.end_bytes == 0
    formula = loop_without_collector(3, iterations, S)
    simulated = simulate(recorded, Mode(references="strong"))
    assert abs(simulated.peak_bytes - formula.peak_arrays * S) <= CONSTANT_BYTES
    assert simulated.end_bytes == formula.end_arrays * S


def test_the_collector_is_simulated_as_the_model_of_loops_has_it():
    from toolkit.analysis.counting import chain_nodes
    from toolkit.analysis.gap_model import loop_with_collector

    thresholds = (700, 10, 10)
    recorded = record(lambda: loop(400))
    simulated = simulate(recorded, Mode(references="strong", thresholds=thresholds))
    model = loop_with_collector(chain_nodes(3), 400, S, thresholds, held=True)
    assert abs(simulated.peak_bytes / S - model.peak_arrays) <= 8


def checkpointed():
    x = leaf()
    checkpoint_every([square] * 4, x, 2).backward()
    return x


def test_what_gradients_compute_again_is_simulated_where_no_mode_reaches_into_it():
    once = recorded(checkpointed, **SAVED[0])
    for mode in SAVING_MODES:
        simulated = simulate(once, mode)
        if mode.references == "strong" or mode.accumulation == "in_place":
            assert simulated is None
            continue
        peak, end = measured(checkpointed, mode)
        assert abs(simulated.peak_bytes - peak) <= CONSTANT_BYTES
        assert simulated.end_bytes == end


def recorded_pass():
    square(leaf()).backward(create_graph=True)


def test_what_is_not_simulated_is_refused():
    with pytest.raises(UnpredictableError, match="records a backward pass"):
        record(recorded_pass)
    gc.collect()


def forward_of_its_own():
    x = leaf()
    with no_grad():
        for _ in range(3):
            x = tanh(x * 2.0)
    y = square(x)
    y.backward()
    return x, y


def test_calls_without_a_graph_of_the_workloads_own_are_recorded_by_no_mode():
    for mode in PLAIN_SAVING_MODES:
        peak, end = measured(forward_of_its_own, mode)
        simulated = simulate(recorded(forward_of_its_own, **SAVED[0]), mode)
        assert abs(simulated.peak_bytes - peak) <= CONSTANT_BYTES
        assert simulated.end_bytes == end


def passed_on_twice():
    x = leaf()
    y = square(tanh(x)) + tanh(x)
    y.backward()
    y.backward()
    return x, y


@pytest.mark.parametrize("mode", SAVING_MODES, ids=named)
def test_a_gradient_that_a_pass_starts_from_is_the_one_that_a_sum_hands_on(mode):
    simulated = simulate(recorded(passed_on_twice, **SAVED[0]), mode)
    truth = measured(passed_on_twice, mode)
    assert (simulated is None) == (truth is None)
    if truth is not None:
        assert abs(simulated.peak_bytes - truth[0]) <= CONSTANT_BYTES
        assert simulated.end_bytes == truth[1]


@pytest.mark.parametrize("mode", SAVING_MODES, ids=named)
def test_a_pass_that_ends_where_it_began_is_counted_at_its_end(mode):
    def workload():
        x, y = leaf(), leaf()
        x.backward()
        y.backward()
        del y
        return x

    simulated = simulate(record(workload), mode)
    peak, end = measured(workload, mode)
    assert abs(simulated.peak_bytes - peak) <= CONSTANT_BYTES
    assert simulated.end_bytes == end


def test_a_workload_in_a_folder_whose_name_begins_as_that_of_the_package_is_heard_line_by_line():
    source = """
def workload():
    y = square(leaf())
    del y
    more = np.full(3 * N, 0.5)
    del more
"""
    names = {"np": np, "N": N, "leaf": leaf, "square": square}
    exec(compile(source, f"{Path(toolkit.__file__).parent}_of_mine/script.py", "exec"), names)
    mode = Mode(references="strong")
    peak, end = measured(names["workload"], mode)
    simulated = simulate(record(names["workload"]), mode)
    assert abs(simulated.peak_bytes - peak) <= CONSTANT_BYTES
    assert simulated.end_bytes == end


def test_recording_leaves_the_core_as_it_was():
    plain = Variable.__init__, Function.apply, Variable.backward, Halves.__dict__["backward"]
    record(one_output_dropped)
    with pytest.raises(ZeroDivisionError):
        record(lambda: square(leaf()) and 1 / 0)
    assert plain == (Variable.__init__, Function.apply, Variable.backward, Halves.__dict__["backward"])
    assert not tracemalloc.is_tracing()
