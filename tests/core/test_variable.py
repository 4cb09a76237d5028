"""Variable and what makes one."""

import numpy as np
import pytest

from toolkit import Function, Variable, add, as_array, as_variable, square


@pytest.mark.parametrize(
    ("data", "named"), [(None, "NoneType"), ([1.0], "list"), (1.0, "float"), ((), "tuple"), ("1", "str")]
)
def test_only_arrays_become_variables(data, named):
    with pytest.raises(TypeError, match=f"not {named};"):
        Variable(data)


def test_a_leaf():
    data = np.ones((2, 3))
    x = Variable(data, name="weights")
    assert x.data is data
    assert (x.grad, x.creator, x.generation, x.untracked, x.name) == (None, None, 0, False, "weights")
    assert (x.shape, x.ndim, x.size, x.dtype, len(x)) == ((2, 3), 2, 6, np.float64, 2)


def test_repr_shows_data_and_name():
    assert repr(Variable(np.array([1.0, 2.0]))) == "Variable([1., 2.])"
    assert repr(Variable(np.array(1.5), name="loss")) == "Variable(1.5, name='loss')"


@pytest.mark.parametrize("scalar", [2, 2.5, True, np.float32(2.5), np.float64(2.5), np.int8(2)])
def test_a_scalar_becomes_a_0d_array(scalar):
    array = as_array(scalar)
    assert type(array) is np.ndarray
    assert array.shape == ()
    assert array.dtype == np.asarray(scalar).dtype
    assert array == scalar


@pytest.mark.parametrize("value", [np.ones(3), None, [1.0], np.ma.ones(2)])
def test_as_array_leaves_the_rest_alone(value):
    assert as_array(value) is value


def test_as_variable():
    x = Variable(np.ones(3))
    assert as_variable(x) is x
    assert as_variable(x.data).data is x.data
    assert as_variable(2.0).shape == ()
    with pytest.raises(TypeError, match="not list"):
        as_variable([1.0])


def test_cleargrad_and_clear_grad_are_one_method():
    assert Variable.cleargrad is Variable.clear_grad
    x = Variable(np.array(3.0))
    add(x, x).backward()
    assert x.grad == 2.0
    x.cleargrad()
    assert x.grad is None


def test_generations_count_from_the_leaves():
    x = Variable(np.array(1.0))
    a = square(x)
    b = add(x, square(a))
    assert (x.generation, a.generation, b.generation) == (0, 1, 3)
    assert (a.creator.generation, b.creator.generation) == (0, 2)


def test_set_creator_records_function_and_generation():
    function = Function()
    function.generation = 4
    y = Variable(np.array(1.0))
    y.set_creator(function)
    assert y.creator is function
    assert y.generation == 5
