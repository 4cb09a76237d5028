"""Convolution and pooling."""

import tracemalloc

import numpy as np
import pytest

from toolkit import Variable, average_pool2d, col2im, conv2d, im2col, max_pool2d
from toolkit.core.functions.convolution import Col2Im

X = np.sin(1.7 * np.arange(2 * 3 * 5 * 6)).reshape(2, 3, 5, 6)
W = np.cos(np.arange(2 * 3 * 3 * 2.0)).reshape(2, 3, 3, 2)
B = np.array([0.5, -1.5])

GRADIENTS = {
    "conv2d": (conv2d, X, W, B),
    "conv2d without bias": (lambda x, w: conv2d(x, w), X, W),
    "conv2d with stride and padding": (lambda x, w: conv2d(x, w, stride=2, padding=1), X, W),
    "max_pool2d": (lambda x: max_pool2d(x, 2), X),
    "max_pool2d, windows that overlap": (lambda x: max_pool2d(x, 3, stride=1), X),
    "average_pool2d": (lambda x: average_pool2d(x, 2, padding=1), X),
    "im2col": (lambda x: im2col(x, (2, 3), 2, 1), X),
    "col2im": (lambda x: col2im(x, (1, 1, 3, 3), (2, 2)), X[0, :2, :2, :4].reshape(1, 2, 2, 4)),
}


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 0), (1, 2), (3, 1)])
def test_a_convolution_is_the_sum_over_every_window(stride, padding):
    padded = np.pad(X, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    y = conv2d(X, W, B, stride, padding).data
    for image, one, row, column in np.ndindex(y.shape):
        window = padded[image, :, stride * row : stride * row + 3, stride * column : stride * column + 2]
        np.testing.assert_allclose(y[image, one, row, column], (window * W[one]).sum() + B[one])


def test_pooling_takes_the_extreme_and_the_mean_of_each_window():
    windows = X[:, :, :4].reshape(2, 3, 2, 2, 3, 2).transpose(0, 1, 2, 4, 3, 5)
    np.testing.assert_array_equal(max_pool2d(X, 2).data, windows.max(axis=(4, 5)))
    np.testing.assert_allclose(average_pool2d(X, 2).data, windows.mean(axis=(4, 5)))


def test_no_gradient_is_computed_of_images_that_are_data(monkeypatch):
    w = Variable(W)
    with_variable = Variable(X)
    conv2d(with_variable, w).backward()
    expected = w.grad
    w.cleargrad()
    # The way back to the images.
    monkeypatch.setattr(Col2Im, "forward", None)
    conv2d(X, w).backward()
    np.testing.assert_array_equal(w.grad, expected)


def test_filters_may_be_data():
    x = Variable(X)
    conv2d(x, W).backward()
    y = Variable(X)
    conv2d(y, Variable(W)).backward()
    np.testing.assert_array_equal(x.grad, y.grad)


def test_the_matrix_of_windows_is_what_a_convolution_costs(no_collector):
    x, w = Variable(np.ones((1, 4, 66, 66))), Variable(np.ones((1, 4, 3, 3)))
    tracemalloc.start()
    y = conv2d(x, w)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    windows = 64 * 64 * 4 * 3 * 3 * 8
    assert held == pytest.approx(windows + y.data.nbytes, rel=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conv2d(X, W[:, :2]), "filters for 2 channels do not fit images of shape"),
        (lambda: conv2d(X[0], W), "filters for 3 channels"),
        (lambda: max_pool2d(X, 7), r"no window of \(7, 7\) fits into 5 x 6 pixels"),
        (lambda: im2col(X, (0, 2)), "sizes and a stride of 1 or more"),
        (lambda: im2col(X, (2, 2), stride=0), "sizes and a stride of 1 or more"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
