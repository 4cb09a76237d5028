"""Values and gradients beside those of PyTorch, on shapes, dtypes and broadcasts that Hypothesis picks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import toolkit
from toolkit import Variable

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch in this environment")

DTYPES = [np.float32, np.float64]


def shapes(least=0):
    return hnp.array_shapes(min_dims=least, max_dims=3, min_side=1, max_side=4)


def numbers(shape, dtype, lowest=-2.0, highest=2.0):
    # Multiples of 1/64 are exact in both dtypes, and all different ones are far enough apart for a max.
    steps = st.integers(int(64 * lowest), int(64 * highest))
    return hnp.arrays(dtype, shape, elements=steps.map(lambda step: step / 64))


def compare(ours, theirs, arrays, integers=()):
    """Compare the value of a function, and the gradients of its weighted sum, with what PyTorch makes of them."""
    xs = [Variable(array) for array in arrays]
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    y = ours(*xs, *integers)
    t = theirs(*tensors, *[torch.tensor(one) for one in integers])
    tolerance = {"rtol": 2e-4, "atol": 1e-4} if y.dtype == np.float32 else {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(y.data, t.detach().numpy(), **tolerance)
    assert y.dtype == t.detach().numpy().dtype
    weights = np.asarray(1 + np.cos(np.arange(y.size)).reshape(y.shape) / 2, y.dtype)
    y.grad = weights
    y.backward()
    t.backward(torch.tensor(weights))
    for x, tensor in zip(xs, tensors, strict=True):
        np.testing.assert_allclose(x.grad, tensor.grad.numpy(), **tolerance)


ELEMENTWISE = {
    "square": (toolkit.square, torch.square),
    "exp": (toolkit.exp, torch.exp),
    "tanh": (toolkit.tanh, torch.tanh),
    "sigmoid": (toolkit.sigmoid, torch.sigmoid),
    "neg": (toolkit.neg, torch.neg),
    "relu": (toolkit.relu, torch.relu),
    # No number that is drawn lies on a bound: what the gradient is there differs among releases of PyTorch.
    "clip": (lambda x: toolkit.clip(x, -1.01, 1.49), lambda x: torch.clip(x, -1.01, 1.49)),
    "pow": (lambda x: x**3, lambda x: x**3),
    "astype": (lambda x: toolkit.astype(x, "f8"), lambda x: x.double()),
    "sum": (toolkit.sum, torch.sum),
    "mean": (toolkit.mean, torch.mean),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
@given(data=st.data())
def test_functions_of_one_array(name, data):
    dtype = data.draw(st.sampled_from(DTYPES))
    compare(*ELEMENTWISE[name], [data.draw(numbers(data.draw(shapes()), dtype))])


@given(data=st.data())
def test_log(data):
    dtype = data.draw(st.sampled_from(DTYPES))
    compare(toolkit.log, torch.log, [data.draw(numbers(data.draw(shapes()), dtype, 0.25, 4.0))])


BINARY = {
    "add": (toolkit.add, torch.add),
    "sub": (toolkit.sub, torch.sub),
    "mul": (toolkit.mul, torch.mul),
    "div": (toolkit.div, torch.div),
    "mean_squared_error": (toolkit.mean_squared_error, lambda a, b: ((a - b) ** 2).mean()),
}


@pytest.mark.parametrize("name", BINARY)
@given(data=st.data())
def test_functions_of_two_arrays_that_broadcast(name, data):
    pair = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4)).input_shapes
    arrays = [data.draw(numbers(shape, data.draw(st.sampled_from(DTYPES)), 0.25, 2.0)) for shape in pair]
    if arrays[0].dtype != arrays[1].dtype and 0 in (arrays[0].ndim, arrays[1].ndim):
        # A 0-d tensor takes the dtype of what it stands beside; numpy's 0-d arrays promote.
        arrays[1] = arrays[1].astype(arrays[0].dtype)
    compare(*BINARY[name], arrays)


@given(data=st.data())
def test_where_with_a_condition_that_broadcasts(data):
    dtype = data.draw(st.sampled_from(DTYPES))
    trio = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=4)).input_shapes
    condition = data.draw(hnp.arrays(bool, trio[0]))
    compare(
        lambda a, b: toolkit.where(condition, a, b),
        lambda a, b: torch.where(torch.tensor(condition), a, b),
        [data.draw(numbers(shape, dtype)) for shape in trio[1:]],
    )


AXES = {
    "sum": (toolkit.sum, torch.sum),
    "mean": (toolkit.mean, torch.mean),
    "max": (toolkit.max, torch.amax),
    "min": (toolkit.min, torch.amin),
    "softmax": (toolkit.softmax, torch.softmax),
    "log_softmax": (toolkit.log_softmax, torch.log_softmax),
}


@pytest.mark.parametrize("name", AXES)
@given(data=st.data())
def test_functions_along_an_axis(name, data):
    ours, theirs = AXES[name]
    x = data.draw(numbers(data.draw(shapes(1)), data.draw(st.sampled_from(DTYPES))))
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    compare(lambda x: ours(x, axis), lambda x: theirs(x, axis), [x])


@given(data=st.data())
def test_matmul_of_stacks(data):
    dtype = data.draw(st.sampled_from(DTYPES))
    signature = "(n?,k),(k,m?)->(n?,m?)"
    pair = data.draw(
        hnp.mutually_broadcastable_shapes(signature=signature, max_side=3, max_dims=2)
    ).input_shapes
    compare(toolkit.matmul, torch.matmul, [data.draw(numbers(shape, dtype)) for shape in pair])


@pytest.mark.parametrize("subscripts", ["ij,jk->ik", "bij,bjk->bik", "ij->j", "i,j->ij", "ij,jk,k->i"])
@given(data=st.data())
def test_einsum(subscripts, data):
    dtype = data.draw(st.sampled_from(DTYPES))
    sizes = {letter: data.draw(st.integers(1, 3)) for letter in "bijk"}
    operands = subscripts.partition("->")[0].split(",")
    arrays = [data.draw(numbers(tuple(sizes[letter] for letter in one), dtype)) for one in operands]
    compare(lambda *xs: toolkit.einsum(subscripts, *xs), lambda *xs: torch.einsum(subscripts, *xs), arrays)


@given(data=st.data())
def test_indexing(data):
    x = data.draw(numbers(data.draw(shapes(1)), data.draw(st.sampled_from(DTYPES))))
    # PyTorch has no slices that go backwards.
    index = data.draw(hnp.basic_indices(x.shape).filter(_goes_forward))
    compare(lambda x: x[index], lambda x: x[index], [x])


def _goes_forward(index):
    parts = index if isinstance(index, tuple) else (index,)
    return all(part.step is None or part.step > 0 for part in parts if isinstance(part, slice))


@given(data=st.data())
def test_embedding(data):
    weights = data.draw(numbers((4, 3), data.draw(st.sampled_from(DTYPES))))
    positions = data.draw(hnp.arrays(np.int64, data.draw(shapes()), elements=st.integers(0, 3)))
    compare(
        toolkit.embedding,
        lambda weights, positions: torch.nn.functional.embedding(positions, weights),
        [weights],
        [positions],
    )


@given(data=st.data())
def test_joining(data):
    dtype = data.draw(st.sampled_from(DTYPES))
    shape = data.draw(shapes(1))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    arrays = [data.draw(numbers(shape, dtype)) for _ in range(data.draw(st.integers(1, 3)))]
    compare(lambda *xs: toolkit.concatenate(xs, axis), lambda *xs: torch.concatenate(xs, axis), arrays)
    compare(lambda *xs: toolkit.stack(xs, axis), lambda *xs: torch.stack(xs, axis), arrays)
    compare(
        lambda x: toolkit.split(x, shape[axis], axis)[-1] ** 2,
        lambda x: torch.tensor_split(x, shape[axis], axis)[-1] ** 2,
        arrays[:1],
    )


@given(data=st.data())
def test_cross_entropy(data):
    rows, columns = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    x = data.draw(numbers((rows, columns), data.draw(st.sampled_from(DTYPES))))
    classes = data.draw(hnp.arrays(np.int64, rows, elements=st.integers(0, columns - 1)))
    compare(toolkit.cross_entropy, torch.nn.functional.cross_entropy, [x], [classes])


@given(data=st.data())
def test_layer_norm(data):
    shape = data.draw(shapes(1))
    dtype = data.draw(st.sampled_from(DTYPES))
    arrays = [data.draw(numbers(one, dtype)) for one in (shape, shape[-1:], shape[-1:])]
    # A large epsilon: of rows that are all but constant, float32 says little.
    compare(
        lambda x, gain, bias: toolkit.layer_norm(x, gain, bias, epsilon=0.5),
        lambda x, gain, bias: torch.nn.functional.layer_norm(x, x.shape[-1:], gain, bias, eps=0.5),
        arrays,
    )


@given(data=st.data())
def test_convolution(data):
    dtype = data.draw(st.sampled_from(DTYPES))
    images, channels, filters = (data.draw(st.integers(1, 2)) for _ in range(3))
    height, width = (data.draw(st.integers(1, 3)) for _ in range(2))
    stride, padding = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 2))
    arrays = [
        data.draw(numbers((images, channels, 5, 4), dtype)),
        data.draw(numbers((filters, channels, height, width), dtype)),
        data.draw(numbers((filters,), dtype)),
    ]
    compare(
        lambda x, w, b: toolkit.conv2d(x, w, b, stride, padding),
        lambda x, w, b: torch.nn.functional.conv2d(x, w, b, stride, padding),
        arrays,
    )


@given(data=st.data())
def test_pooling(data):
    size, stride = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
    # All different: PyTorch gives the gradient of equal elements to the first.
    count = 2 * 2 * 5 * 4
    order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(count)
    x = (order.reshape(2, 2, 5, 4) / 16).astype(data.draw(st.sampled_from(DTYPES)))
    compare(
        lambda x: toolkit.max_pool2d(x, size, stride),
        lambda x: torch.nn.functional.max_pool2d(x, size, stride),
        [x],
    )
    compare(
        lambda x: toolkit.average_pool2d(x, size, stride),
        lambda x: torch.nn.functional.avg_pool2d(x, size, stride),
        [x],
    )
