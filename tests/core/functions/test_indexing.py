"""Indexing."""

import numpy as np
import pytest

from toolkit import Variable, embedding, get_item, scatter_add

X = np.sin(np.arange(24.0)).reshape(2, 3, 4)
ROWS = np.array([2, 0, 2, 2])

INDICES = {
    "an integer": 1,
    "a negative one": -1,
    "a numpy one": np.int64(1),
    "a slice": slice(None, None, 2),
    "backwards": (slice(None), slice(None, None, -1)),
    "an ellipsis": (Ellipsis, 1),
    "a new axis": (slice(None), None, 1),
    "all of them": (0, 1, 2),
    "rows, some twice": (0, ROWS),
    "a list": [1, 0, 1],
    "pairs": (np.array([0, 1, 0]), np.array([2, 0, 2])),
    "a mask": X[..., 0] > 0,
    "a mask of everything": X > 0,
    "a bool": True,
    "nothing": slice(0, 0),
}

GRADIENTS = {f"x[{name}]": (lambda x, index=index: x[index], X) for name, index in INDICES.items()} | {
    "scatter_add": (lambda x: scatter_add(x, ROWS, (3,)), X[0, 0]),
    "embedding": (lambda x: embedding(x, np.array([[0, 2], [2, 2]])), X[0]),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_values_are_those_of_numpy(index):
    np.testing.assert_array_equal(Variable(X)[index].data, np.asarray(X[index]), strict=True)


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_every_element_that_was_picked_has_its_gradients_added_up(index):
    x = Variable(X)
    y = get_item(x, index)
    y.backward()
    expected = np.zeros_like(X)
    np.add.at(expected, index, 1.0)
    np.testing.assert_array_equal(x.grad, expected)


def test_slices_are_views_and_arrays_of_positions_are_not():
    assert np.shares_memory(get_item(X, slice(1)).data, X)
    assert not np.shares_memory(get_item(X, [0]).data, X)


def test_an_index_may_be_a_variable():
    index = Variable(np.array([1, 1]))
    x = Variable(np.arange(3.0))
    x[index].backward()
    np.testing.assert_array_equal(x.grad, [0.0, 2.0, 0.0])
    assert index.grad is None


def test_an_index_that_does_not_fit_is_refused():
    with pytest.raises(IndexError, match="out of bounds"):
        Variable(X)[5]
    with pytest.raises(IndexError, match="integers as positions, not float64"):
        embedding(X[0], np.array([1.0]))
    with pytest.raises(IndexError, match="takes rows from 0, not -1"):
        embedding(X[0], np.array([0, -1]))


def test_a_variable_can_be_gone_through():
    rows = list(Variable(np.arange(6.0).reshape(2, 3)))
    assert [row.data.tolist() for row in rows] == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
