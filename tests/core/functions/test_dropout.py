"""Dropout."""

import numpy as np
import pytest

from toolkit import Variable, dropout

X = np.sin(1.7 * np.arange(24.0)).reshape(2, 3, 4)


def seeded(rate):
    return lambda x: dropout(x, rate, np.random.default_rng(3))


GRADIENTS = {f"a rate of {rate}": (seeded(rate), X) for rate in (0.0, 0.3, 0.9)}


def test_the_mean_stays_and_the_rate_is_kept():
    x = Variable(np.ones(100_000))
    y = dropout(x, 0.3, np.random.default_rng(0))
    assert abs(y.data.mean() - 1) < 0.01
    assert abs((y.data == 0).mean() - 0.3) < 0.01
    y.backward()
    np.testing.assert_array_equal(x.grad, y.data)


def test_each_call_draws_anew_and_a_seed_repeats():
    rng = np.random.default_rng(0)
    first, second = dropout(X, 0.5, rng).data, dropout(X, 0.5, rng).data
    assert (first != second).any()
    np.testing.assert_array_equal(dropout(X, 0.5, np.random.default_rng(0)).data, first)


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        dropout(X, rate, np.random.default_rng(0))
