"""Joining and splitting."""

import numpy as np
import pytest

from toolkit import Variable, concatenate, split, stack

A = np.sin(np.arange(6.0)).reshape(2, 3)
B = np.cos(np.arange(4.0)).reshape(2, 2)

GRADIENTS = {
    "concatenate": (lambda a, b: concatenate([a, b], axis=1), A, B),
    "concatenate along the last": (lambda a, b: concatenate((a, b), axis=-1), A, B),
    "concatenate one": (lambda a: concatenate([a]), A),
    "the same twice": (lambda a: concatenate([a, a]), A),
    "stack": (lambda a, b: stack([a, b]), A, 2 * A),
    "stack last": (lambda a, b: stack([a, b], axis=-1), A, 2 * A),
    "split": (lambda a: concatenate([part**2 for part in split(a, 3, axis=1)]), A),
    "split at positions": (lambda a: split(a, [1], axis=-1)[1], A),
    "split, some parts unused": (lambda a: split(a, 3, axis=1)[1], A),
}


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_values_are_those_of_numpy(axis):
    np.testing.assert_array_equal(concatenate([A, A], axis).data, np.concatenate([A, A], axis))
    np.testing.assert_array_equal(stack([A, A], axis).data, np.stack([A, A], axis))
    size = A.shape[axis]
    for parts in (size, [1], [0, 1, 1]):
        found = split(Variable(A), parts, axis)
        for part, expected in zip(found, np.split(A, parts, axis), strict=True):
            np.testing.assert_array_equal(part.data, expected)


def test_a_split_is_one_function_of_views():
    x = Variable(A)
    parts = split(x, 3, axis=1)
    assert len({part.creator for part in parts}) == 1
    assert all(np.shares_memory(part.data, A) for part in parts)


def test_mixed_dtypes_promote_and_come_back():
    a, b = Variable(A.astype("f4")), Variable(A)
    y = concatenate([a, b])
    assert y.dtype == "f8"
    y.backward()
    assert (a.grad.dtype, b.grad.dtype) == ("f4", "f8")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: split(A, 2, axis=1), "3 elements cannot be cut into 2 equal parts"),
        (lambda: split(A, 0), "cannot be cut into 0"),
        (lambda: split(A, [2, 1], axis=1), r"must rise from 0 to 3, not \[2, 1\]"),
        (lambda: split(A, [4], axis=1), "must rise from 0 to 3"),
        (lambda: split(A, 1, axis=2), "axis 2 is out of bounds"),
        (lambda: concatenate([]), "at least one array"),
        (lambda: concatenate([A, B]), "must match exactly"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
