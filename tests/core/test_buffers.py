"""Memory used again: the same numbers, no array written to that anybody holds, and bytes as predicted."""

import gc
import tracemalloc
from threading import Thread

import numpy as np
import pytest

from toolkit import Variable, exp, matmul, release_buffers, square, tanh, using_config
from toolkit.analysis.predictions import reused_buffers
from toolkit.core.buffers import LEAST_BYTES, Reused, kept_bytes, ones_like
from toolkit.probes.traced import tracing_arrays

N = 40_000
S = 8 * N


@pytest.fixture(autouse=True)
def nothing_kept():
    release_buffers()
    yield
    gc.collect()
    release_buffers()
    assert kept_bytes() == 0


def _network():
    x, w = Variable(np.linspace(-1, 1, N).reshape(200, 200)), Variable(np.full((200, 200), 0.01))
    y = (exp(-tanh(matmul(x, w) * 2.0)) / (square(x) + 1.0)).sum()
    y.backward()
    return [y.data, x.grad, w.grad]


def test_the_numbers_are_the_same_to_the_bit():
    expected = _network()
    with using_config(buffers="reused"):
        for _ in range(3):
            for one, other in zip(_network(), expected, strict=True):
                np.testing.assert_array_equal(one, other)


def test_nothing_that_is_held_is_written_to():
    x = Variable(np.ones(N))
    with using_config(buffers="reused"):
        held = [square(x).data]
        views = [(x * 3.0).data[: N // 2], (x * 4.0).data.reshape(2, -1)[1], np.asarray((x * 5.0).data)]
        addresses = {one.ctypes.data for one in [*held, *views]}
        for _ in range(5):
            made = (x + 1.0).data
            assert made.ctypes.data not in addresses
            del made
    for one, number in zip([*held, *views], (1.0, 3.0, 4.0, 5.0), strict=True):
        assert (one == number).all()


def test_memory_of_what_is_gone_is_used_again():
    x = Variable(np.ones(N))
    with using_config(buffers="reused"):
        first = square(x)
        address = first.data.ctypes.data
        del first
        assert kept_bytes() == S
        assert square(x).data.ctypes.data == address


def test_each_thread_has_memory_of_its_own():
    x = Variable(np.ones(N))
    held, kept = [], []

    def elsewhere():
        with using_config(buffers="reused"):
            kept.append(kept_bytes())
            held.append(square(x))
            square(x)
            kept.append(kept_bytes())
            release_buffers()
            kept.append(kept_bytes())

    with using_config(buffers="reused"):
        square(x)
        thread = Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert kept == [0, S, 0]
        # What that thread made goes back to where it came from, which ended with it.
        held.clear()
        assert kept_bytes() == S


def test_small_results_are_left_to_numpy():
    x = Variable(np.ones(LEAST_BYTES // 8 - 1))
    with using_config(buffers="reused"):
        assert type(square(x).data) is np.ndarray


def test_what_is_no_array_of_numbers_is_left_to_numpy():
    x = np.ones((2, N)).view(Reused)
    for result, expected in (
        (np.add(x, [[1.0], [2.0]]), [[2.0], [3.0]]),
        (x * True, [[1.0], [1.0]]),
        (x.astype(object) + 1, [[2], [2]]),
        (x + np.float32(1.0), [[2.0], [2.0]]),
    ):
        np.testing.assert_array_equal(result, np.broadcast_to(expected, (2, N)))
    assert (x > 0).dtype == bool
    assert (x + 1).sum() == 4 * N
    with pytest.raises(ValueError, match="broadcast"):
        x + np.ones(3)


def test_a_mask_may_be_such_an_array():
    x = np.ones(N).view(Reused)
    result = np.add(x, 1.0, out=np.zeros(N), where=x > 0)
    assert (result == 2.0).all()
    assert np.add.reduce(x, where=x > 0) == N


def test_a_masked_array_keeps_its_mask():
    x = np.ones(N).view(Reused)
    masked = np.ma.masked_array(np.ones(N), np.arange(N) % 2 == 0)
    assert np.multiply(x, masked).count() == N // 2


@pytest.mark.parametrize("ufunc", [np.add, np.matmul])
@pytest.mark.parametrize("turn", [lambda x: x, np.transpose, lambda x: x[::-1], lambda x: x[:, ::2].T])
def test_results_are_laid_out_as_elsewhere(ufunc, turn):
    rng = np.random.default_rng(0)
    x, y = turn(rng.random((200, 200))), turn(rng.random((200, 200)))
    if ufunc is np.matmul:
        y = y.T
    result, expected = ufunc(x.view(Reused), y.view(Reused)), ufunc(x, y)
    assert result.strides == expected.strides
    assert result.sum() == expected.sum()
    assert ones_like(x.view(Reused)).strides == np.ones_like(x).strides


def test_an_optimisers_update_in_place_works_on_them():
    x = np.ones(N)
    with using_config(buffers="reused"):
        y = square(Variable(x)).data
    x -= 0.5 * y
    assert type(x) is np.ndarray
    y += 1.0
    assert type(y) is Reused
    assert (x == 0.5).all()
    assert (y == 2.0).all()


@pytest.mark.parametrize("k", [1, 2, 5, 16])
@pytest.mark.parametrize("iterations", [1, 4])
def test_a_loop_needs_what_its_first_iteration_needs(no_collector, k, iterations):
    def loop():
        for _ in range(iterations):
            x = y = Variable(np.ones(N))
            for _ in range(k):
                y = square(y)
            y.backward()
            del x, y

    with using_config(buffers="reused"):
        loop()
        release_buffers()
        with tracing_arrays():
            loop()
            end, peak = tracemalloc.get_traced_memory()
    prediction = reused_buffers(k, S)
    assert peak == pytest.approx(prediction.peak_arrays * S, abs=32)
    assert end == kept_bytes() == prediction.end_arrays * S
