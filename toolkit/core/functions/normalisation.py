"""Normalisation over the last axis."""

from typing import Any

from toolkit.core.function import Function
from toolkit.core.variable import Array, Operand, Variable

__all__ = ["LayerNorm", "layer_norm"]


class LayerNorm(Function):
    """Each row with mean 0 and variance 1 (Ba, Kiros and Hinton 2016, arXiv 1607.06450, equation 4)."""

    __slots__ = ("epsilon",)

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon

    def forward(self, x: Array) -> Array:
        """Centre and scale."""
        centred = x - x.mean(axis=-1, keepdims=True)
        y: Array = centred * self._scale(centred)
        return y

    def backward(self, gy: Any) -> Any:
        """Return ``scale * (gy - mean(gy) - y * mean(gy * y))``."""
        x = self.input_like(gy)
        centred = x - x.mean(axis=-1, keepdims=True)
        scale = self._scale(centred)
        y = centred * scale
        centre = gy.mean(axis=-1, keepdims=True)
        return (gy - centre - y * (gy * y).mean(axis=-1, keepdims=True)) * scale

    def _scale(self, centred: Any) -> Any:
        return ((centred * centred).mean(axis=-1, keepdims=True) + self.epsilon) ** -0.5


def layer_norm(
    x: Operand, gain: "Operand | None" = None, bias: "Operand | None" = None, epsilon: float = 1e-5
) -> Variable:
    """Return `x` normalised over its last axis, times `gain`, plus `bias`.

    Parameters
    ----------
    x : Variable or numpy.ndarray
        Shape (..., n), n at least 1.
    gain, bias : Variable or numpy.ndarray, optional
        Shape (n,).
    epsilon : float
        Added to the variance, so that a constant row becomes zeros.
    """
    y: Variable = LayerNorm(epsilon).apply(x)
    if gain is not None:
        y = y * gain
    return y if bias is None else y + bias
