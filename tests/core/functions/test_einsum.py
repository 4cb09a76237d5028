"""Sums of products by subscripts."""

import numpy as np
import pytest

from toolkit import Variable, einsum

SIZES = {"b": 2, "i": 3, "j": 4, "k": 2}


def numbers(letters, start):
    shape = [SIZES[letter] for letter in letters]
    return np.sin(start + np.arange(np.prod(shape, dtype=int))).reshape(shape)


SUBSCRIPTS = [
    "ij,jk->ik",
    "bij,bjk->bik",
    "ij->ji",
    "ij->",
    "ij->j",
    "i,j->ij",
    "ij,ij->i",
    "ij,jk,k->i",
    "bi,->b",
]

GRADIENTS = {
    subscripts: (
        lambda *xs, subscripts=subscripts: einsum(subscripts, *xs),
        *[numbers(letters, place) for place, letters in enumerate(subscripts.partition("->")[0].split(","))],
    )
    for subscripts in SUBSCRIPTS
}


@pytest.mark.parametrize("subscripts", SUBSCRIPTS)
def test_values_are_those_of_numpy(subscripts):
    xs = GRADIENTS[subscripts][1:]
    np.testing.assert_allclose(einsum(subscripts, *xs).data, np.einsum(subscripts, *xs), strict=True)


def test_mixed_dtypes_promote_and_come_back():
    a, b = Variable(numbers("ij", 0).astype("f4")), Variable(numbers("jk", 0))
    y = einsum("ij,jk->ik", a, b)
    y.backward()
    assert (y.dtype, a.grad.dtype, b.grad.dtype) == ("f8", "f4", "f8")


@pytest.mark.parametrize("subscripts", ["ij", "ii->i", "...i->i", "ij->ii"])
def test_subscripts_of_another_kind_are_refused(subscripts):
    with pytest.raises(ValueError, match="einsum takes subscripts such as"):
        einsum(subscripts, np.ones((2, 2)))


def test_subscripts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="subscript"):
        einsum("ijk->i", np.ones((2, 2)))
