"""What is saved for the gradient: nothing, what is needed, rounded; and when it is let go of."""

import gc
import weakref

import numpy as np
import pytest

from toolkit import Function, Variable, add, exp, gradients, mul, relu, square, tanh, using_config
from toolkit.core.saving import Unsaved, with_data


class Alive:
    """Follows the arrays of variables."""

    def __init__(self):
        self._refs = {}

    def watch(self, **variables):
        for name, variable in variables.items():
            self._refs[name] = weakref.ref(variable.data)
        return self

    def names(self):
        return {name for name, ref in self._refs.items() if ref() is not None}


def _sum_of_an_exponential():
    x = Variable(np.ones(3))
    a = square(x)
    b = exp(a)
    y = add(b, b)
    return x, y, Alive().watch(x=x, a=a, b=b, y=y)


def test_the_book_saves_every_input(no_collector):
    x, y, alive = _sum_of_an_exponential()
    assert alive.names() == {"x", "a", "b", "y"}
    del x, y
    assert alive.names() == set()


def test_what_is_needed_is_saved_alone(no_collector):
    with using_config(saves="needed"):
        x, y, alive = _sum_of_an_exponential()
    # exp keeps its output, square a leaf, add nothing.
    assert alive.names() == {"x", "b", "y"}
    y.backward()
    gradient = x.grad
    del x, y
    assert alive.names() == set()
    assert gc.collect() == 0
    np.testing.assert_allclose(gradient, 2 * 2 * np.e)


@pytest.mark.parametrize("saves", ["inputs", "needed"])
def test_a_graph_that_is_not_retained_goes_while_the_pass_comes(no_collector, saves):
    with using_config(saves=saves):
        x, y, alive = _sum_of_an_exponential()
    y.backward(retain_graph=False)
    assert alive.names() == {"x", "y"}
    with pytest.raises(RuntimeError, match=r"Add has let go of what it saved.*retain_graph=True"):
        y.backward()
    del x, y
    assert alive.names() == set()


def test_the_toggle_decides_where_the_argument_does_not(no_collector):
    x, y, alive = _sum_of_an_exponential()
    with using_config(retain_graph=False):
        y.backward(retain_graph=True)
        assert alive.names() == {"x", "a", "b", "y"}
        y.backward()
    assert alive.names() == {"x", "y"}
    assert x.grad is not None


def test_a_function_that_names_no_need_keeps_all_it_is_given():
    class Cube(Function):
        def forward(self, x):
            return x**3

        def backward(self, gy):
            return 3 * self.inputs[0].data ** 2 * gy

    with using_config(saves="needed"):
        x = Variable(np.array(2.0))
        y = Cube()(mul(x, 1.0))
        y.backward()
    assert x.grad == 12.0


def test_reading_what_was_not_saved_says_how_to_have_it_saved():
    class Careless(Function):
        needs_inputs = False

        def forward(self, x):
            return x * 2

        def backward(self, gy):
            return gy * self.inputs[0].data

    with using_config(saves="needed"):
        x = Variable(np.ones(2))
        y = Careless()(square(x))
    stand_in = y.creator.inputs[0]
    assert type(stand_in) is Unsaved
    assert (stand_in.shape, stand_in.ndim, stand_in.size, stand_in.dtype) == ((2,), 1, 2, np.float64)
    assert repr(stand_in) == "Unsaved(shape (2,), dtype float64)"
    with pytest.raises(AttributeError, match=r"was not saved: name its position in `needs_inputs`"):
        y.backward()


def test_a_leaf_is_held_whatever_is_saved_so_that_its_gradient_has_somewhere_to_go():
    with using_config(saves="needed", storage="float16"):
        x = Variable(np.ones(2))
        assert add(x, x).creator.inputs == (x, x)


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_all_who_save_one_variable_rounded_share_one_array(no_collector, storage):
    x = Variable(np.linspace(0.1, 1.0, 5))
    with using_config(storage=storage):
        a = tanh(x)
        b, c = square(a), square(a)
        first, second = b.creator.inputs[0], c.creator.inputs[0]
        assert first.rounded is second.rounded
        assert first.rounded.array.dtype == storage
        np.testing.assert_array_equal(first.data, a.data.astype(storage).astype(float))
        y = b + c
    alive = Alive().watch(a=a)
    rounded = weakref.ref(first.rounded)
    del a, b, c, first, second
    assert alive.names() == set()
    y.backward()
    exact = Variable(x.data)
    a = tanh(exact)
    (square(a) + square(a)).backward()
    del y
    assert rounded() is None
    assert gc.collect() == 0
    np.testing.assert_allclose(x.grad, exact.grad, rtol=np.finfo(storage).eps * 4)


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_data_that_was_replaced_is_rounded_anew(storage):
    x = Variable(np.array([2.0]))
    with using_config(storage=storage):
        h = x * 2.0
        first = square(h)
        h.data = h.data * 3
        second = square(h)
    # 2 * 12 * 2, and as before for what saved the data that was there.
    second.backward()
    assert x.grad == 48.0
    x.cleargrad()
    first.backward()
    assert x.grad == 16.0


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_rounded_data_is_never_that_of_a_function_which_is_gone(storage):
    with using_config(storage=storage):
        kept = []
        for number in np.arange(1.0, 301.0):
            x = Variable(np.array([number]))
            y = square(x * 2.0)
            y.backward()
            assert x.grad == 8.0 * number
            # As one does who goes back through the inputs by hand to truncate: the function before is gone.
            (stand_in,) = y.creator.inputs
            stand_in.unchain()
            kept.append(y)


def test_what_is_restored_and_saved_again_shares_its_rounded_data():
    x = Variable(np.array([0.5]))
    with using_config(storage="float32"):
        (stand_in,) = square(tanh(x)).creator.inputs
        restored = with_data(stand_in)
        again = square(restored).creator.inputs[0]
        assert again.rounded is stand_in.rounded
        restored.data = restored.data * 2
        other = square(restored).creator.inputs[0]
        assert other.rounded is not stand_in.rounded
    np.testing.assert_array_equal(other.data, 2 * stand_in.data)


def test_what_is_no_wider_is_saved_as_it_is():
    x = Variable(np.ones(2, np.float32))
    with using_config(storage="float32"):
        a = square(x)
        assert square(a).creator.inputs == (a,)


def test_relu_keeps_its_output_for_its_sign():
    x = Variable(np.array([-1.0, 2.0]))
    with using_config(saves="needed", storage="float16"):
        y = relu(square(x) - 2.0)
    assert y.creator.output_data.array.nbytes == 4
    y.backward()
    np.testing.assert_array_equal(x.grad, [0.0, 4.0])


def test_unchaining_makes_a_leaf_and_frees_what_came_before(no_collector):
    x = Variable(np.array(2.0))
    a = square(x)
    h = square(a)
    alive = Alive().watch(a=a)
    del a
    h.unchain()
    assert alive.names() == set()
    assert (h.creator, h.generation) == (None, 0)
    y = square(h)
    y.backward()
    assert (h.grad, x.grad) == (32.0, None)


@pytest.mark.parametrize(
    ("settings", "cut"),
    [
        ({}, True),
        ({"saves": "needed"}, False),
        ({"storage": "float32"}, False),
        ({"storage": "float16"}, False),
    ],
    ids=str,
)
def test_unchaining_cuts_off_earlier_calls_that_hold_the_variable_and_none_that_hold_a_stand_in(
    settings, cut
):
    x = Variable(np.array(2.0))
    with using_config(**settings):
        h = square(x)
        earlier = exp(h)
        h.unchain()
        later = exp(h)
    later.backward()
    # e to the fourth, which the leaf has whatever is saved.
    assert (h.grad, x.grad) == (pytest.approx(np.e**4), None)
    h.cleargrad()
    earlier.backward()
    if cut:
        assert (h.grad, x.grad) == (pytest.approx(np.e**4), None)
    else:
        assert (h.grad, x.grad) == (None, pytest.approx(4 * np.e**4, rel=1e-3))


def _shared(**settings):
    with using_config(**settings):
        x = Variable(np.ones(3))
        y = exp(x)
        for _ in range(4):
            y = y + exp(x)
        y.backward()
    return x


def test_in_place_accumulation_computes_the_same_bits():
    np.testing.assert_array_equal(_shared().grad, _shared(accumulation="in_place").grad)


def test_it_writes_to_no_array_that_anybody_else_holds():
    x0, x1 = Variable(np.ones(3)), Variable(np.ones(3))
    with using_config(accumulation="in_place"):
        y = add(x0, x1)
        y.grad = seed = np.full(3, 2.0)
        y.backward()
        first = x0.grad
        add(x0, square(x1)).backward()
        view = x0.grad[:1]
        before = x0.grad
        del before
        held = x1.grad
        square(x0).backward()
        square(x1).backward()
    np.testing.assert_array_equal(seed, np.full(3, 2.0))
    np.testing.assert_array_equal(first, np.full(3, 2.0))
    np.testing.assert_array_equal(view, [3.0])
    np.testing.assert_array_equal(held, np.full(3, 4.0))
    np.testing.assert_array_equal(x0.grad, np.full(3, 5.0))


def test_it_does_write_to_one_that_nobody_else_holds():
    x = Variable(np.ones(3))
    with using_config(accumulation="in_place"):
        square(x).backward()
        address = x.grad.ctypes.data
        square(x).backward()
    assert x.grad.ctypes.data == address
    np.testing.assert_array_equal(x.grad, np.full(3, 4.0))


def test_a_gradient_of_a_gradient_leads_past_an_output_that_was_unchained_since():
    with using_config(saves="needed"):
        x = Variable(np.array(0.5))
        y = exp(x)
        z = y + 1
        y.unchain()
    for _ in range(3):
        (z,) = gradients(z, [x], create_graph=True)
        np.testing.assert_allclose(z.data, np.exp(0.5))
