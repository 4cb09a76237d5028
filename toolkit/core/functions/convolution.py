"""Convolution and pooling of images, through the matrix of their windows (im2col)."""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from toolkit.core.function import Function, compute
from toolkit.core.variable import Array, Operand, Variable

__all__ = ["Col2Im", "Im2Col", "average_pool2d", "col2im", "conv2d", "im2col", "max_pool2d"]


class _Windows(Function):
    __slots__ = ("padding", "size", "stride")
    needs_inputs = False

    def __init__(self, size: tuple[int, int], stride: int, padding: int) -> None:
        if min(size) < 1 or stride < 1 or padding < 0:
            raise ValueError(
                f"windows have sizes and a stride of 1 or more and a padding of 0 or more, not {size}, {stride} "
                f"and {padding}"
            )
        self.size, self.stride, self.padding = size, stride, padding

    def counts(self, rows: int, columns: int) -> tuple[int, int]:
        """Return how many windows lie below and beside each other."""
        counts = [
            (length + 2 * self.padding - window) // self.stride + 1
            for length, window in zip((rows, columns), self.size, strict=True)
        ]
        if min(counts) < 1:
            raise ValueError(f"no window of {self.size} fits into {rows} x {columns} pixels")
        return counts[0], counts[1]


class Im2Col(_Windows):
    """Every window of every image as a row. A pixel is copied into each window that it lies in."""

    __slots__ = ()

    def forward(self, x: Array) -> Array:
        """Copy the windows: height x width / stride**2 times the memory of the images, about."""
        images, channels, rows, columns = x.shape
        down, across = self.counts(rows, columns)
        if self.padding:
            x = np.pad(x, ((0, 0), (0, 0), (self.padding,) * 2, (self.padding,) * 2))
        windows = sliding_window_view(x, self.size, axis=(2, 3))[:, :, :: self.stride, :: self.stride]
        height, width = self.size
        return windows.transpose(0, 2, 3, 1, 4, 5).reshape(images, down, across, channels * height * width)

    def backward(self, gy: Any) -> Any:
        """Add up the gradients of every copy of a pixel; images that are data have none."""
        if self.is_constant(0):
            return None
        return compute(Col2Im(self.inputs[0].shape, self.size, self.stride, self.padding), gy)


class Col2Im(_Windows):
    """Images that the windows add up to: the way back of `Im2Col`."""

    __slots__ = ("shape",)

    def __init__(self, shape: tuple[int, ...], size: tuple[int, int], stride: int, padding: int) -> None:
        super().__init__(size, stride, padding)
        self.shape = shape

    def forward(self, x: Array) -> Array:
        """Add up, one place within the windows after the other."""
        images, channels, rows, columns = self.shape
        down, across = self.counts(rows, columns)
        height, width = self.size
        padding, stride = self.padding, self.stride
        windows = x.reshape(images, down, across, channels, height, width).transpose(0, 3, 4, 5, 1, 2)
        y = np.zeros((images, channels, rows + 2 * padding, columns + 2 * padding), x.dtype)
        for i in range(height):
            for j in range(width):
                y[:, :, i : i + stride * down : stride, j : j + stride * across : stride] += windows[
                    :, :, i, j
                ]
        return y[:, :, padding : padding + rows, padding : padding + columns]

    def backward(self, gy: Any) -> Any:
        """Copy the gradient of each pixel into every window that it lies in."""
        return compute(Im2Col(self.size, self.stride, self.padding), gy)


def im2col(x: Operand, size: tuple[int, int], stride: int = 1, padding: int = 0) -> Variable:
    """Return every window of `x` as a row: shape (images, down, across, channels * height * width).

    Parameters
    ----------
    x : Variable or numpy.ndarray
        Images, shape (images, channels, rows, columns).
    size : tuple of two int
        Height and width of a window.
    stride : int
        From one window to the next, in pixels.
    padding : int
        Zeros around each image, in pixels.

    Raises
    ------
    ValueError
        No window fits, or a size is not positive.
    """
    y: Variable = Im2Col(size, stride, padding).apply(x)
    return y


def col2im(
    x: Operand, shape: tuple[int, ...], size: tuple[int, int], stride: int = 1, padding: int = 0
) -> Variable:
    """Return images of `shape`, every pixel the sum of its copies in `x`: the way back of `im2col`."""
    y: Variable = Col2Im(shape, size, stride, padding).apply(x)
    return y


def conv2d(
    x: Operand, weights: Operand, bias: "Operand | None" = None, stride: int = 1, padding: int = 0
) -> Variable:
    """Return the cross-correlation of images with filters.

    It is one product of the matrix of windows with the filters. The graph keeps that matrix, which takes
    height x width / stride**2 times the memory of the images; the ledger shows it as an output of `Im2Col`.

    Parameters
    ----------
    x : Variable or numpy.ndarray
        Images, shape (images, channels, rows, columns).
    weights : Variable or numpy.ndarray
        Filters, shape (filters, channels, height, width).
    bias : Variable or numpy.ndarray, optional
        Shape (filters,).
    stride, padding : int
        As those of `im2col`.

    Returns
    -------
    Variable
        Shape (images, filters, down, across).

    Raises
    ------
    ValueError
        The numbers of channels differ, no window fits, or a size is not positive.
    """
    filters = weights if isinstance(weights, Variable) else np.asarray(weights)
    count, channels, height, width = filters.shape
    images = x if isinstance(x, Variable) else np.asarray(x)
    if images.ndim != 4 or images.shape[1] != channels:
        raise ValueError(f"filters for {channels} channels do not fit images of shape {images.shape}")
    y = im2col(images, (height, width), stride, padding) @ filters.reshape(count, -1).T
    if bias is not None:
        y = y + bias
    return y.transpose(0, 3, 1, 2)


def max_pool2d(x: Operand, size: int, stride: int | None = None, padding: int = 0) -> Variable:
    """Return the largest pixel of each window; elements that are equally large share the gradient.

    Parameters
    ----------
    x : Variable or numpy.ndarray
        Images, shape (images, channels, rows, columns).
    size : int
        Height and width of a window.
    stride : int, optional
        From one window to the next; without it `size`.
    padding : int
        Zeros around each image, which count as pixels.

    Returns
    -------
    Variable
        Shape (images, channels, down, across).

    Raises
    ------
    ValueError
        As `im2col`.
    """
    return _pooling_windows(x, size, stride, padding).max(axis=-1).transpose(0, 3, 1, 2)


def average_pool2d(x: Operand, size: int, stride: int | None = None, padding: int = 0) -> Variable:
    """Return the mean of each window; parameters and result as those of `max_pool2d`."""
    return _pooling_windows(x, size, stride, padding).mean(axis=-1).transpose(0, 3, 1, 2)


def _pooling_windows(x: Operand, size: int, stride: int | None, padding: int) -> Variable:
    windows = im2col(x, (size, size), size if stride is None else stride, padding)
    images, down, across, _ = windows.shape
    return windows.reshape(images, down, across, -1, size * size)
