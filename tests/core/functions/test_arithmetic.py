"""Addition, subtraction, multiplication, division, negation and powers."""

import operator

import numpy as np
import pytest

from toolkit import Variable, add, div, mul, neg, pow, sub

A, B = np.array([[1.5, -2.0, 0.5], [3.0, 0.7, -1.1]]), np.array([0.9, -1.7, 2.5])

GRADIENTS = {
    "add": (add, A, B),
    "add 0-d": (add, np.array(2.0), np.array(3.0)),
    "sub": (sub, A, B),
    "sub 0-d": (sub, np.array(2.0), A),
    "mul": (mul, A, B),
    "mul 0-d": (mul, np.array(2.0), np.array(3.0)),
    "div": (div, A, B),
    "div 0-d": (div, A, np.array(3.0)),
    "neg": (neg, A),
    "neg 0-d": (neg, np.array(2.0)),
    "pow 2": (lambda x: pow(x, 2), A),
    "pow 0-d": (lambda x: pow(x, 3), np.array(2.0)),
    "pow -1.5": (lambda x: pow(x, -1.5), np.abs(A)),
    "pow 0": (lambda x: pow(x, 0), A),
    "pow 1": (lambda x: pow(x, 1), A),
    "the same twice": (lambda x: mul(x, add(x, x)), A),
}

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv]


def _name(function):
    return function.__name__


@pytest.mark.parametrize("operation", OPERATORS, ids=_name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("other", [2, 2.5, True, np.ones(3), np.array(2.0), np.float32(2.5), Variable(B)])
def test_operators_give_what_numpy_gives_on_either_side(operation, dtype, other):
    x = Variable(A.astype(dtype))
    data = other.data if isinstance(other, Variable) else other
    for y, expected in (
        (operation(x, other), operation(x.data, data)),
        (operation(other, x), operation(data, x.data)),
    ):
        assert type(y) is Variable
        np.testing.assert_array_equal(y.data, expected, strict=True)
        y.backward()
        assert x.grad.dtype == dtype


def test_an_array_on_the_left_does_not_broadcast_over_the_variable():
    y = np.ones(3) * Variable(np.arange(3.0))
    assert type(y) is Variable
    np.testing.assert_array_equal(y.data, [0.0, 1.0, 2.0])


def test_negation_and_powers_have_operators():
    x = Variable(B)
    np.testing.assert_array_equal((-x).data, -B)
    np.testing.assert_array_equal((x**2).data, B**2)


def test_an_in_place_operator_makes_a_new_variable():
    x = y = Variable(B)
    y += 1
    assert y is not x
    np.testing.assert_array_equal(y.data, B + 1)


@pytest.mark.parametrize("exponent", [Variable(B), B, np.array(2.0)])
def test_the_exponent_is_a_number(exponent):
    with pytest.raises(TypeError, match=r"pow needs a number as its exponent, not (Variable|ndarray)"):
        pow(Variable(B), exponent)


@pytest.mark.parametrize("base", [2, 2.0, B])
def test_a_variable_is_no_exponent(base):
    with pytest.raises(TypeError, match="unsupported operand"):
        base ** Variable(B)


def test_the_gradient_of_a_constant_power_is_zero_also_at_zero():
    x = Variable(np.array([0.0, 2.0]))
    pow(x, 0).backward()
    np.testing.assert_array_equal(x.grad, [0.0, 0.0])


def test_the_gradient_of_powers_at_zero():
    x = Variable(np.zeros(2))
    (pow(x, 1) + pow(x, 2)).backward()
    np.testing.assert_array_equal(x.grad, [1.0, 1.0])


def test_a_numpy_exponent_promotes_and_the_gradient_comes_back():
    x = Variable(B.astype(np.float32))
    y = x ** np.float64(3)
    assert y.dtype == np.float64
    y.backward()
    np.testing.assert_allclose(x.grad, (3 * B**2).astype(np.float32), rtol=1e-6, strict=True)


def test_addition_hands_on_one_array_to_all():
    x0, x1 = Variable(A), Variable(A.copy())
    y = x0 + x1
    y.backward(retain_grad=True)
    assert x0.grad is x1.grad is y.grad


def test_operands_that_do_not_broadcast_are_refused_by_numpy():
    with pytest.raises(ValueError, match="broadcast"):
        Variable(np.ones(2)) + np.ones(3)
