"""Bytes: what the loops and chains of steps 17 and 18 hold at their peak, in S, the bytes of one array."""

import gc
import tracemalloc

import numpy as np
import pytest

from toolkit import Variable, matmul, no_grad, square, using_config

N = 100_000
S = 8 * N
LENGTH = 16

rng = np.random.default_rng(0)


def peak(work):
    """Return the most that `work` holds at once, in S, beyond what was there before it."""
    work()  # What is only loaded or cached once is not what a run costs.
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work()
        return (tracemalloc.get_traced_memory()[1] - before) / S
    finally:
        tracemalloc.stop()


def _loop():
    for _ in range(10):
        x = Variable(rng.standard_normal(N))
        y = square(square(square(x)))
    return y


def _chain():
    # Of ones, because sixteen squares of anything else end at 0 or overflow.
    x = y = Variable(np.ones(N))
    for _ in range(LENGTH):
        y = square(y)
    return x, y


def test_the_loop_of_step_17_5_with_weak_references(no_collector):
    assert peak(_loop) == pytest.approx(8, abs=0.1)


def test_the_loop_with_strong_references_until_the_collector_comes(no_collector):
    with using_config(references="strong"):
        assert peak(_loop) == pytest.approx(40, abs=0.1)
    gc.collect()


def test_a_forward_pass_holds_the_whole_graph(no_collector):
    assert peak(_chain) == pytest.approx(LENGTH + 1, abs=0.1)


def test_without_a_graph_it_holds_what_is_at_hand(no_collector):
    with no_grad():
        assert peak(_chain) == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize(("retain_grad", "arrays"), [(False, LENGTH + 3), (True, 2 * LENGTH + 2)])
def test_a_backward_pass(no_collector, retain_grad, arrays):
    def work():
        x, y = _chain()
        y.backward(retain_grad=retain_grad)
        return x

    assert peak(work) == pytest.approx(arrays, abs=0.1)


def test_views_take_no_memory(no_collector):
    def work():
        x = Variable(np.ones(N))
        x.reshape(10, -1).T.sum().backward()

    assert peak(work) == pytest.approx(1, abs=0.1)


def test_the_gradient_of_one_matrix_for_a_stack_is_no_stack(no_collector):
    stack = Variable(np.ones((100, 10, N // 1000)))
    matrix = Variable(np.ones((N // 1000, 1000)))

    def work():
        stack.cleargrad()
        matrix.cleargrad()
        matmul(stack, matrix).backward()

    # The product and its gradient take 10 S each, the gradients of the operands 1 S each; a stack of
    # gradients of the matrix would take 100 S.
    assert peak(work) < 23
