"""Every formula against what numpy really allocates, to the byte but for scalars, which are arrays of 8 bytes."""

import gc
import mmap
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import Variable, square, using_config
from toolkit.analysis.counting import chain_nodes
from toolkit.analysis.gap_model import loop_under
from toolkit.analysis.predictions import (
    ELISION_BYTES,
    SYMBOLS,
    Prediction,
    backward,
    checkpoints_every,
    forward,
    loop_without_collector,
    loop_without_garbage,
    page_rounded,
    reused_buffers,
    square_temporaries,
)
from toolkit.probes import MOMENTS, Position
from toolkit.probes.traced import PROBE as Traced

CHAINS = range(1, 17)
#: Both sides of numpy's temporary elision, exactly at it, and both sizes of the experiments.
SIZES = (10_000, 32_767, 32_768, 100_000)


@pytest.fixture(autouse=True)
def no_collector():
    gc.disable()
    yield
    gc.enable()


def measured(work):
    """Return the peak of array data while `work` runs, and what is alive at its end."""
    probe = Traced(Position())
    probe.start()
    try:
        held = work()
    finally:
        probe.stop()
        for moment in MOMENTS:
            probe.read(moment)
    del held
    metrics = probe.metrics()
    return metrics["peak_traced_bytes"], metrics["end_traced_bytes"]


def assert_predicted(prediction, work):
    peak, end = measured(work)
    assert (peak, end) == (prediction.peak_bytes("traced"), prediction.end_bytes("traced"))
    assert prediction.exact


def chain(x, k):
    for _ in range(k):
        x = square(x)
    return x


def ones(n):
    # Not numpy's ones, which fill from an array of their own; not random numbers, whose squares overflow.
    array = np.empty(n)
    array.fill(1.0)
    return array


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("enable_backprop", [True, False])
def test_a_pass_forward(n, enable_backprop):
    for k in CHAINS:

        def work(k=k):
            x = Variable(ones(n))
            return x, chain(x, k)

        with using_config(enable_backprop=enable_backprop):
            assert_predicted(forward(k, 8 * n, enable_backprop=enable_backprop), work)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("retain_grad", [False, True])
def test_a_pass_backward(n, retain_grad):
    for k in CHAINS:

        def work(k=k):
            x = Variable(ones(n))
            y = chain(x, k)
            y.backward(retain_grad=retain_grad)
            return x, y

        assert_predicted(backward(k, 8 * n, retain_grad=retain_grad), work)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("enable_backprop", [True, False])
@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_a_loop_without_garbage(n, enable_backprop, held, iterations):
    def work(k):
        for _ in range(iterations):
            x = Variable(ones(n))
            y = chain(x, k)
        return (x, y) if held else None

    for k in CHAINS:
        prediction = loop_without_garbage(k, iterations, 8 * n, enable_backprop=enable_backprop, held=held)
        with using_config(enable_backprop=enable_backprop, references="weak"):
            assert_predicted(prediction, lambda k=k: work(k))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("iterations", [1, 2, 10])
def test_a_loop_that_nothing_collects(n, iterations):
    def work(k):
        for _ in range(iterations):
            x = Variable(ones(n))
            y = chain(x, k)  # noqa: F841

    for k in (1, 3, 16):
        with using_config(references="strong"):
            assert_predicted(loop_without_collector(k, iterations, 8 * n), lambda k=k: work(k))
    gc.collect()


@pytest.mark.parametrize("n", [30_000, 32_767, 32_768, 40_000])
def test_the_temporary_of_a_gradient_goes_where_numpy_elides_it(n):
    x, gy = ones(n), ones(n)
    # One array is the result; without elision there is the sum beside it.
    peak, _ = measured(lambda: (x + x) * gy)
    assert peak == 8 * n * (1 + square_temporaries(8 * n))
    assert square_temporaries(8 * n) == (n < 32_768)


def test_elision_begins_at_its_size():
    assert ELISION_BYTES == 32_768 * 8
    assert [square_temporaries(size) for size in (8, ELISION_BYTES - 1, ELISION_BYTES, 2**40)] == [1, 1, 0, 0]


@given(st.integers(0, 2**50))
def test_pages_hold_the_array_and_its_header_and_no_page_more(array_bytes):
    rounded = page_rounded(array_bytes)
    assert rounded % mmap.PAGESIZE == 0
    assert 0 <= rounded - (array_bytes + 16) < mmap.PAGESIZE


def test_bytes_are_array_data_or_the_pages_that_hold_it():
    prediction = Prediction(basis="3 S", peak_arrays=3, end_arrays=2, array_bytes=8000)
    assert prediction.peak_bytes("traced") == 24_000
    assert prediction.end_bytes("traced") == 16_000
    assert prediction.peak_bytes("resident") == 3 * page_rounded(8000)
    assert prediction.end_bytes("resident") == 2 * page_rounded(8000)


def test_where_the_end_is_not_known_nothing_is_said_of_it():
    prediction = Prediction(basis="a model", peak_arrays=3, array_bytes=8000)
    assert prediction.end_bytes("traced") is None
    assert prediction.end_bytes("resident") is None


def test_the_figures_of_the_book():
    size = 800_000
    assert loop_without_garbage(3, 10, size).peak_arrays == 8
    assert loop_without_collector(3, 10, size).peak_arrays == 40
    assert backward(16, size, retain_grad=False).peak_arrays == 19
    assert backward(16, size, retain_grad=True).peak_arrays == 34
    assert forward(16, size, enable_backprop=False).peak_arrays == 3
    assert forward(16, size, enable_backprop=True).peak_arrays == 17


def worth(basis):
    """Return what a formula comes to, in arrays or in counts, from nothing but what it says."""
    told, *values = re.split(r", (?=\w+=)", basis)
    product = re.sub(r"(?<=[\w)]) (?=[\w(])", "*", re.sub(r"(\d)(?=[a-zτ])", r"\1*", told.removesuffix(" S")))
    letters = {letter: int(value) for letter, value in (one.split("=") for one in values)}
    assert letters.keys() <= SYMBOLS.keys()
    return eval(product, {"min": min, "__builtins__": {}}, letters)


@pytest.mark.parametrize("array_bytes", [8 * ELISION_BYTES // 16, ELISION_BYTES])
@pytest.mark.parametrize("k", [1, 2, 16])
def test_every_formula_that_is_shown_gives_the_number_beside_it(k, array_bytes):
    thresholds = {f"gc_threshold{generation}": 700 for generation in range(3)}
    predictions = [
        *(forward(k, array_bytes, enable_backprop=graph) for graph in (False, True)),
        *(backward(k, array_bytes, retain_grad=retained) for retained in (False, True)),
        *(
            loop_without_garbage(k, iterations, array_bytes, enable_backprop=graph, held=held)
            for iterations in (1, 10)
            for graph in (False, True)
            for held in (False, True)
        ),
        *(checkpoints_every(k, 4, array_bytes, retain_graph=graph) for graph in (False, True)),
        *(
            loop_under(level, chain_nodes(k), 30, array_bytes, thresholds, held=held)
            for level in ("off", "every=10", "every=100", "manual")
            for held in (False, True)
        ),
        reused_buffers(k, array_bytes),
    ]
    for one in predictions:
        assert worth(one.basis) == one.peak_arrays
        assert worth(one.other_bases.get("end", one.basis)) == one.end_arrays
        for name, value in one.metrics.items():
            basis = one.other_bases[name]
            assert (value == 0 and basis.startswith("0, ")) or worth(basis) == value


@pytest.mark.parametrize(
    "predicted",
    [
        lambda: forward(0, 8, enable_backprop=True),
        lambda: backward(0, 8, retain_grad=False),
        lambda: loop_without_garbage(3, 0, 8),
        lambda: loop_without_collector(3, 0, 8),
    ],
)
def test_what_has_no_length_has_no_prediction(predicted):
    with pytest.raises(ValueError, match="a chain has one function or more and a loop one iteration or more"):
        predicted()


def test_an_array_of_fewer_bytes_than_none_is_refused_in_words():
    with pytest.raises(ValueError, match="an array has 0 bytes or more, not -40"):
        forward(3, -40, enable_backprop=True)
