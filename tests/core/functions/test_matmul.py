"""The matrix product."""

import numpy as np
import pytest

from toolkit import Variable, matmul

SHAPES = [
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((2, 3), (5, 3, 4)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (4, 3, 2)),
    ((1, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (1, 3, 4)),
    ((2, 0), (0, 3)),
    ((5, 2, 0), (0, 3)),
    ((0, 2, 3), (3, 4)),
]


def numbers(shape, start):
    return np.sin(start + np.arange(np.prod(shape, dtype=int))).reshape(shape)


GRADIENTS = {f"{left} @ {right}": (matmul, numbers(left, 1), numbers(right, 2)) for left, right in SHAPES}


@pytest.mark.parametrize(("left", "right"), SHAPES, ids=lambda shape: str(shape))
def test_values_are_those_of_numpy(left, right):
    a, b = numbers(left, 1), numbers(right, 2)
    expected = a @ b
    for y in (matmul(a, b), Variable(a) @ Variable(b), Variable(a) @ b, a @ Variable(b)):
        assert type(y) is Variable
        np.testing.assert_array_equal(y.data, expected, strict=True)


@pytest.mark.parametrize(("left", "right"), [((2, 3), (2, 3)), ((), (3,)), ((3,), ()), ((2, 3), (4,))])
def test_shapes_that_do_not_fit_are_refused(left, right):
    with pytest.raises(ValueError, match="matmul"):
        matmul(np.ones(left), np.ones(right))


def test_mixed_dtypes_promote_and_come_back():
    x, w = Variable(numbers((2, 3), 1).astype(np.float32)), Variable(numbers((3, 4), 2))
    y = x @ w
    assert y.dtype == np.float64
    y.backward()
    assert (x.grad.dtype, w.grad.dtype) == (np.float32, np.float64)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_no_product_is_made_for_an_operand_that_has_no_gradient(shapes):
    rng = np.random.default_rng(0)
    x0, x1 = (rng.standard_normal(shape) for shape in shapes)
    both = Variable(x0), Variable(x1)
    matmul(*both).backward()
    for place, operands in enumerate([(both[0], x1), (x0, both[1])]):
        y = matmul(*operands)
        expected = both[place].grad
        both[place].cleargrad()
        gxs = y.creator.backward(np.ones_like(y.data))
        assert gxs[1 - place] is None
        y.backward()
        np.testing.assert_array_equal(both[place].grad, expected)
