"""Step 18 of the book as a listing: what the core grew out of.

`Variable`, `Function`, `Config` and the functions down to `Add` follow the listings of step 18. The functions after
it are those that the workloads need beyond them, written in the same manner.
"""

import contextlib
import weakref

import numpy as np


class Config:
    """Whether a graph is recorded."""

    enable_backprop = True


@contextlib.contextmanager
def using_config(name, value):
    """Set a toggle inside the block."""
    old_value = getattr(Config, name)
    setattr(Config, name, value)
    try:
        yield
    finally:
        setattr(Config, name, old_value)


def no_grad():
    """Record no graph inside the block."""
    return using_config("enable_backprop", False)


def as_array(x):
    """Return a 0-d array for a scalar."""
    if np.isscalar(x):
        return np.array(x)
    return x


class Variable:
    """An array in a graph."""

    def __init__(self, data):
        if data is not None and not isinstance(data, np.ndarray):
            raise TypeError(f"{type(data)} is not supported")
        self.data = data
        self.grad = None
        self.creator = None
        self.generation = 0

    def set_creator(self, func):
        """Record the function that made this variable."""
        self.creator = func
        self.generation = func.generation + 1

    def cleargrad(self):
        """Forget the gradient."""
        self.grad = None

    def backward(self, retain_grad=False):
        """Go back through the graph by generation."""
        if self.grad is None:
            self.grad = np.ones_like(self.data)
        funcs = []
        seen_set = set()

        def add_func(f):
            if f not in seen_set:
                funcs.append(f)
                seen_set.add(f)
                funcs.sort(key=lambda x: x.generation)

        add_func(self.creator)
        while funcs:
            f = funcs.pop()
            gys = [output().grad for output in f.outputs]
            gxs = f.backward(*gys)
            if not isinstance(gxs, tuple):
                gxs = (gxs,)
            for x, gx in zip(f.inputs, gxs):  # noqa: B905 -- as the book has it
                if x.grad is None:
                    x.grad = gx
                else:
                    x.grad = x.grad + gx
                if x.creator is not None:
                    add_func(x.creator)
            if not retain_grad:
                for y in f.outputs:
                    y().grad = None


class Function:
    """A computation and its gradient."""

    def __call__(self, *inputs):
        """Compute, and record the call."""
        xs = [x.data for x in inputs]
        ys = self.forward(*xs)
        if not isinstance(ys, tuple):
            ys = (ys,)
        outputs = [Variable(as_array(y)) for y in ys]
        if Config.enable_backprop:
            self.generation = max([x.generation for x in inputs])
            for output in outputs:
                output.set_creator(self)
            self.inputs = inputs
            self.outputs = [weakref.ref(output) for output in outputs]
        return outputs if len(outputs) > 1 else outputs[0]


class Square(Function):
    """``x ** 2``."""

    def forward(self, x):
        """Square."""
        return x**2

    def backward(self, gy):
        """Return ``2 * x * gy``."""
        x = self.inputs[0].data
        return 2 * x * gy


class Add(Function):
    """``x0 + x1``."""

    def forward(self, x0, x1):
        """Add."""
        return x0 + x1

    def backward(self, gy):
        """Hand the gradient on to both inputs."""
        return gy, gy


class AddRow(Function):
    """``x0 + x1``, where `x1` is added to every row."""

    def forward(self, x0, x1):
        """Add."""
        return x0 + x1

    def backward(self, gy):
        """Hand the gradient on, summed over the rows for the second."""
        return gy, gy.sum(axis=0)


class MatMul(Function):
    """``x0 @ x1``."""

    def forward(self, x0, x1):
        """Multiply."""
        return x0 @ x1

    def backward(self, gy):
        """Return ``gy @ x1.T`` and ``x0.T @ gy``."""
        x0, x1 = self.inputs[0].data, self.inputs[1].data
        return gy @ x1.T, x0.T @ gy


class Tanh(Function):
    """The hyperbolic tangent."""

    def forward(self, x):
        """Squash."""
        return np.tanh(x)

    def backward(self, gy):
        """Return ``(1 - y**2) * gy``."""
        y = self.outputs[0]().data
        return gy * (1 - y * y)


class ReLU(Function):
    """``max(x, 0)``."""

    def forward(self, x):
        """Clip from below."""
        return np.maximum(x, 0.0)

    def backward(self, gy):
        """Hand on where the input is positive."""
        return gy * (self.inputs[0].data > 0)


class CrossEntropy(Function):
    """The mean over rows of minus the log-softmax at the row's class."""

    def forward(self, x, classes):
        """Average."""
        shifted = x - x.max(axis=1, keepdims=True)
        logarithms = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return -logarithms[np.arange(len(x)), classes].mean()

    def backward(self, gy):
        """Return the softmax, less 1 at the class."""
        x, classes = self.inputs[0].data, self.inputs[1].data
        y = np.exp(x - x.max(axis=1, keepdims=True))
        y /= y.sum(axis=1, keepdims=True)
        y[np.arange(len(x)), classes] -= 1
        return y * (gy / len(x)), None


def square(x):
    """Return ``x ** 2``."""
    return Square()(x)


def add(x0, x1):
    """Return ``x0 + x1``."""
    return Add()(x0, x1)


def add_row(x0, x1):
    """Return ``x0 + x1``, `x1` added to every row."""
    return AddRow()(x0, x1)


def matmul(x0, x1):
    """Return ``x0 @ x1``."""
    return MatMul()(x0, x1)


def tanh(x):
    """Return the hyperbolic tangent."""
    return Tanh()(x)


def relu(x):
    """Return ``max(x, 0)``."""
    return ReLU()(x)


def cross_entropy(x, classes):
    """Return the mean cross-entropy."""
    return CrossEntropy()(x, classes)


def constant(array):
    """Return a variable: the book knows no other operand yet."""
    return Variable(array)


def gradients(function, *arrays):
    """Go forward and back."""
    xs = [Variable(array) for array in arrays]
    function(*xs).backward()
    return [x.grad for x in xs]


def forward(function, *arrays):
    """Go forward."""
    with no_grad():
        return function(*[Variable(array) for array in arrays]).data
