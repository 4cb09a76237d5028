"""The gradient checker: what it lets pass, what it finds, and how it says so."""

import re

import numpy as np
import pytest

from toolkit import Function, check_gradient, exp, mul, no_grad, square, sum_to, using_config
from toolkit.core.config import current_config


class Product(Function):
    """x0 * x1, with gradients that a test gives it."""

    def __init__(self, backward):
        self.answer = backward

    def forward(self, x0, x1):
        return x0 * x1

    def backward(self, gy):
        return self.answer(gy, self.inputs[0].data, self.inputs[1].data)


def product(backward):
    return lambda x0, x1: Product(backward)(x0, x1)


X0, X1 = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]])


def test_right_gradients_pass():
    check_gradient(product(lambda gy, x0, x1: (gy * x1, gy * x0)), X0, X1)
    check_gradient(lambda x: (square(x), exp(x)), np.array([0.5, -1.0]))
    check_gradient(square, 3.0)
    check_gradient(square, np.ones(0))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda gy, x0, x1: (gy * x1, gy * x1),
        lambda gy, x0, x1: (gy * x1, -gy * x0),
        lambda gy, x0, x1: (gy * x1, np.full_like(x1, np.nan)),
        lambda gy, x0, x1: (gy * x1, gy * x0 + 1e-4),
        lambda gy, x0, x1: (gy * x1, (gy * x0).T),
        lambda gy, x0, x1: (gy * x1, np.mean(gy) * x0),
        lambda gy, x0, x1: (gy * x1, gy.T * x0),
    ],
    ids=["other", "sign", "nan", "little", "transposed", "averaged", "gradient transposed"],
)
def test_wrong_gradients_are_found_in_the_input_that_has_them(wrong):
    with pytest.raises(AssertionError, match="the gradient of input 1 is wrong"):
        check_gradient(product(wrong), X0, X1)


def test_the_worst_element_is_named_with_both_values():
    def wrong(gy, x0, x1):
        gx0 = gy * x1
        gx0[1, 0] += 3.0
        gx0[0, 1] -= 1.0
        return gx0, gy * x0

    with pytest.raises(AssertionError) as error:
        check_gradient(product(wrong), X0, X1)
    found = re.fullmatch(
        r"the gradient of input 0 is wrong at \(1, 0\) of shape \(2, 2\), where it is 3.0: "
        r"backward gives (\S+), central differences give (\S+)",
        str(error.value),
    )
    assert float(found[1]) - float(found[2]) == pytest.approx(3.0)


def test_a_gradient_that_is_missing_is_told_apart_from_a_wrong_one():
    with pytest.raises(AssertionError, match=r"input 0 .* backward gives no gradient, .* give [5-9]"):
        check_gradient(product(lambda gy, x0, x1: (None, gy * x0)), X0, X1)


def test_no_gradient_is_right_where_nothing_depends_on_the_input():
    class First(Function):
        def forward(self, x0, x1):
            return 2 * x0

        def backward(self, gy):
            return 2 * gy, None

    check_gradient(lambda *xs: First()(*xs), X0, X1)


def test_floating_data_is_checked_in_float64_and_stays_as_it_was():
    x = np.array([0.1, 0.2], np.float32)
    seen = set()

    def function(x):
        seen.add(x.dtype)
        x.data += 0.0
        return square(x)

    x.flags.writeable = False
    check_gradient(function, x)
    assert seen == {np.dtype(np.float64)}
    np.testing.assert_array_equal(x, np.array([0.1, 0.2], np.float32))


def test_other_data_is_handed_over_as_it_is():
    class Take(Function):
        def forward(self, x, index):
            return x[index], index

        def backward(self, gy, _):
            gx = np.zeros_like(self.inputs[0].data)
            np.add.at(gx, self.inputs[1].data, gy)
            return gx, None

    check_gradient(lambda *xs: Take()(*xs), np.arange(4.0), np.array([2, 2, 0]))


def test_something_has_to_be_floating():
    with pytest.raises(ValueError, match="needs floating data"):
        check_gradient(square, np.arange(3))


def test_a_function_may_be_made_of_others():
    check_gradient(lambda x: sum_to(mul(x, x), ()), X0)


def test_large_and_small_elements_stand_side_by_side():
    check_gradient(square, np.array([1e8, -1e-6, 0.0]))
    with pytest.raises(AssertionError, match=r"at \(1,\)"):
        nearly = product(lambda gy, x0, x1: (gy * x1, gy * x0 * np.array([1.0, 1.01])))
        check_gradient(nearly, np.array([1e6, 1e-3]), np.array([1e6, 1.0]))


def test_the_tolerances_decide():
    wrong = product(lambda gy, x0, x1: (gy * x1 * 1.001, gy * x0 + 1e-3))
    check_gradient(wrong, X0, X1, rtol=1e-2)
    check_gradient(wrong, X0, X1, atol=1e-1)
    with pytest.raises(AssertionError, match="input 0"):
        check_gradient(wrong, X0, X1)


def test_only_the_backward_pass_records_a_graph():
    recorded = []

    def function(x):
        y = square(x)
        recorded.append(y.creator is not None)
        return y

    check_gradient(function, np.ones(2))
    assert recorded == [True, False, False, False, False]


def test_settings_around_the_check_are_kept():
    with no_grad(), using_config(references="strong"):
        before = current_config()
        check_gradient(square, X0)
        assert current_config() == before
