"""Sums of products, written by their subscripts."""

from typing import Any

import numpy as np

from toolkit.core.function import Function, compute
from toolkit.core.functions.shape import BroadcastTo
from toolkit.core.variable import Array, Operand, Variable

__all__ = ["Einsum", "einsum"]


class Einsum(Function):
    """``numpy.einsum`` of subscripts that name every axis, with no letter twice in one operand."""

    __slots__ = ("operands", "result", "subscripts")

    def __init__(self, subscripts: str) -> None:
        operands, arrow, result = subscripts.replace(" ", "").partition("->")
        self.subscripts, self.operands, self.result = subscripts, operands.split(","), result
        for letters in (*self.operands, result):
            if not arrow or (letters and not letters.isalpha()) or len(set(letters)) < len(letters):
                raise ValueError(
                    f"einsum takes subscripts such as 'ij,jk->ik', with each axis named once, not {subscripts!r}"
                )

    def forward(self, *xs: Array) -> Array:
        """Add up the products."""
        y: Array = np.einsum(self.subscripts, *xs, optimize=len(xs) > 2)
        return y

    def backward(self, gy: Any) -> tuple[Any, ...]:
        """Add up the products of the gradient with all operands but one, for each."""
        return tuple([self._gradient(gy, position) for position in range(len(self.operands))])

    def _gradient(self, gy: Any, position: int) -> Any:
        letters, x = self.operands[position], self.inputs[position]
        others = [place for place in range(len(self.operands)) if place != position]
        known = set(self.result).union(*[self.operands[place] for place in others])
        # An axis that is in no other operand and not in the result was added up: every element of it has the
        # same gradient.
        found = "".join([letter for letter in letters if letter in known])
        sources = ",".join([self.result, *[self.operands[place] for place in others]])
        gx = compute(Einsum(f"{sources}->{found}"), gy, *[self.input_like(gy, place) for place in others])
        if found != letters:
            kept = [n if letter in known else 1 for letter, n in zip(letters, x.shape, strict=True)]
            gx = compute(BroadcastTo(x.shape), gx.reshape(tuple(kept)))
        return gx if gx.dtype == x.dtype else gx.astype(x.dtype)


def einsum(subscripts: str, *xs: Operand) -> Variable:
    """Return the sum of products that `subscripts` describe, as ``numpy.einsum`` does.

    Parameters
    ----------
    subscripts : str
        One letter for each axis of each operand, and the result after an arrow: ``"bij,bjk->bik"``. No letter
        twice in one operand, no ellipsis.
    *xs : Variable or numpy.ndarray
        Of matching sizes; dtypes promote.

    Raises
    ------
    ValueError
        The subscripts are others, or do not fit the operands.
    """
    y: Variable = Einsum(subscripts).apply(*xs)
    return y
