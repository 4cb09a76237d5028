"""The backward pass: order, accumulation, what is kept, what is refused."""

import gc
import weakref

import numpy as np
import pytest

from toolkit import Function, Variable, add, exp, gradients, mul, no_grad, square, using_config


def diamond(x):
    a = square(x)
    return add(square(a), square(a))


class Split(Function):
    def forward(self, x):
        return 2 * x, 3 * x

    def backward(self, gy0, gy1):
        return 2 * gy0 + 3 * gy1


class Gradients(Function):
    """Adds its inputs, and gives back as their gradients what it is told to."""

    def __init__(self, answer):
        self.answer = answer

    def forward(self, *xs):
        return sum(xs)

    def backward(self, gy):
        return self.answer


def test_the_diamond():
    x = Variable(np.array(2.0))
    y = diamond(x)
    y.backward()
    assert y.data == 32.0
    assert x.grad == 64.0


def test_the_diamond_in_the_wrong_order():
    x = Variable(np.array(2.0))
    y = diamond(x)
    with using_config(traversal="lifo"):
        y.backward()
    assert y.data == 32.0
    assert x.grad == 96.0


@pytest.mark.parametrize("retain_grad", [False, True])
def test_the_wrong_order_on_a_single_path_is_right(retain_grad):
    x = Variable(np.array(2.0))
    a = square(x)
    y = square(a)
    with using_config(traversal="lifo"):
        y.backward(retain_grad)
    assert x.grad == 32.0
    assert (a.grad, y.grad) == ((8.0, 1.0) if retain_grad else (None, None))


def _chained_diamonds(depth):
    x = Variable(np.array(1.0))
    y = first = square(x)
    for _ in range(depth):
        y = mul(add(square(y), square(y)), 0.5)
    return y, first.creator


@pytest.mark.parametrize("depth", [1, 4, 8])
def test_by_generation_each_function_is_visited_once(visits, depth):
    y, first = _chained_diamonds(depth)
    y.backward()
    assert visits.of[first] == 1
    assert set(visits.of.values()) == {1}
    assert visits.of.total() == 1 + 4 * depth


@pytest.mark.parametrize("depth", [1, 4, 8])
def test_last_in_first_out_visits_a_function_for_every_path_to_it(visits, depth):
    y, first = _chained_diamonds(depth)
    with using_config(traversal="lifo"):
        y.backward()
    assert visits.of[first] == 2**depth


def test_a_function_waits_for_gradients_that_come_a_longer_way():
    x = Variable(np.array(3.0))
    a = square(x)
    y = add(a, exp(mul(square(a), 0.0)))
    y.backward()
    assert x.grad == 6.0


def test_a_variable_used_again_gathers_its_gradients():
    x = Variable(np.array(3.0))
    add(x, x).backward()
    assert x.grad == 2.0
    add(add(x, x), x).backward()
    assert x.grad == 5.0
    x.cleargrad()
    add(add(x, x), x).backward()
    assert x.grad == 3.0


def test_gradients_gather_out_of_place():
    x = Variable(np.ones(3))
    square(x).backward()
    before, copy = x.grad, x.grad.copy()
    square(x).backward()
    assert x.grad is not before
    np.testing.assert_array_equal(before, copy)
    np.testing.assert_array_equal(x.grad, 2 * copy)


def test_an_array_that_two_variables_share_as_gradient_is_never_written_to():
    x0, x1 = Variable(np.ones(3)), Variable(np.ones(3))
    y = add(x0, x1)
    y.grad = seed = np.full(3, 2.0)
    y.backward()
    add(x0, square(x1)).backward()
    np.testing.assert_array_equal(seed, np.full(3, 2.0))
    np.testing.assert_array_equal(x0.grad, np.full(3, 3.0))
    np.testing.assert_array_equal(x1.grad, np.full(3, 4.0))


def test_the_pass_starts_from_the_gradient_that_is_there():
    x = Variable(np.ones(2))
    y = square(x)
    y.grad = np.array([1.0, 10.0])
    y.backward()
    np.testing.assert_array_equal(x.grad, [2.0, 20.0])


def test_a_scalar_starts_the_pass_of_a_0d_variable():
    x = Variable(np.array(3.0))
    y = square(x)
    y.grad = 2.0
    y.backward()
    assert x.grad == 12.0


@pytest.mark.parametrize("wrong", [np.ones(3), np.ones(2, np.float32), 1.0, Variable(np.ones(3))])
def test_a_start_that_does_not_fit_is_refused(wrong):
    x = Variable(np.ones(2))
    y = square(x)
    y.grad = wrong
    refused = (
        r"starts from a gradient laid out as the data, of shape \(2,\) and dtype float64, and this one is of"
    )
    with pytest.raises(ValueError, match=refused):
        y.backward()
    with pytest.raises(ValueError, match=refused):
        gradients(y, [x], [wrong])
    assert x.grad is None


@pytest.mark.parametrize("operand", [np.arange(3), np.arange(3.0), 2.0])
@pytest.mark.parametrize("saves", ["inputs", "needed"])
def test_an_operand_that_is_no_variable_has_no_gradient(operand, saves):
    x = Variable(np.ones(3))
    with using_config(saves=saves):
        y = x * operand
    y.backward()
    np.testing.assert_array_equal(x.grad, np.broadcast_to(operand, 3))
    assert y.creator.inputs[1].grad is None


def test_a_start_for_each_variable_is_asked_for():
    x = Variable(np.ones(2))
    ys = [square(x), square(x)]
    for given in ([np.ones(2)], [np.ones(2)] * 3):
        with pytest.raises(
            ValueError, match=f"{len(given)} gradients were given to start from, for 2 variables"
        ):
            gradients(ys, [x], given)
    np.testing.assert_array_equal(gradients(ys, [x], [None, np.ones(2)])[0], [4, 4])
    assert gradients([], [x]) == (None,)


def _with_intermediates():
    x = Variable(np.array(2.0))
    a = square(x)
    b = square(a)
    c = square(a)
    return x, [a, b, c, add(b, c)]


def test_every_intermediate_gradient_is_dropped():
    x, made = _with_intermediates()
    made[-1].backward()
    assert x.grad == 64.0
    assert [variable.grad for variable in made] == [None] * 4


@pytest.mark.parametrize("toggle", [None, False, True])
def test_retain_grad_keeps_them_all(toggle):
    x, made = _with_intermediates()
    with using_config(retain_grad=True if toggle is None else toggle):
        made[-1].backward(retain_grad=None if toggle is None else True)
    assert x.grad == 64.0
    assert [variable.grad for variable in made] == [16.0, 1.0, 1.0, 1.0]


def test_the_argument_wins_over_the_toggle():
    x, made = _with_intermediates()
    with using_config(retain_grad=True):
        made[-1].backward(retain_grad=False)
    assert x.grad == 64.0
    assert [variable.grad for variable in made] == [None] * 4


def test_dropped_gradients_are_freed_during_the_pass(no_collector):
    freed = []

    class Watched(Function):
        def forward(self, x):
            return x + 1

        def backward(self, gy):
            freed.append([ref() is None for ref in arrays])
            arrays.append(weakref.ref(gx := gy * 2))
            return gx

    arrays = []
    y = Variable(np.ones(3))
    for _ in range(4):
        y = Watched()(y)
    y.backward()
    # Inside a step, what it was given is alive, and what the steps before that one were given is not.
    assert freed == [[], [False], [True, False], [True, True, False]]


@pytest.mark.parametrize("retain_grad", [False, True])
def test_each_further_pass_adds_exactly_once_more_to_the_leaves(retain_grad):
    x = Variable(np.array(2.0))
    y = diamond(x)
    for passes in (1, 2, 3):
        y.backward(retain_grad)
        assert x.grad == 64.0 * passes


def test_kept_gradients_gather_as_those_of_leaves_do():
    x, made = _with_intermediates()
    made[-1].backward(retain_grad=True)
    made[-1].backward(retain_grad=True)
    # The last one's own gradient is what the second pass starts from.
    assert [variable.grad for variable in made] == [32.0, 2.0, 2.0, 1.0]
    assert x.grad == 128.0


def test_dropping_after_keeping():
    x, made = _with_intermediates()
    made[-1].backward(retain_grad=True)
    made[-1].backward(retain_grad=False)
    assert x.grad == 128.0
    assert [variable.grad for variable in made] == [None] * 4


def test_the_gradient_of_a_leaf_with_respect_to_itself_is_ones():
    x = Variable(np.zeros((2, 3), np.float32))
    x.backward()
    np.testing.assert_array_equal(x.grad, np.ones((2, 3), np.float32), strict=True)


def test_backward_from_what_was_made_without_a_graph_says_why():
    with no_grad():
        y = square(Variable(np.ones(2)))
    with pytest.raises(RuntimeError, match=r"enable_backprop was False \(no_grad\)"):
        y.backward()


def test_what_was_made_without_a_graph_serves_as_a_leaf():
    x = Variable(np.array(3.0))
    with no_grad():
        a = square(x)
    mul(a, x).backward()
    assert (x.grad, a.grad) == (9.0, 3.0)


@pytest.mark.parametrize("references", ["weak", "strong"])
@pytest.mark.parametrize("kept", [0, 1])
def test_an_output_that_was_dropped_counts_as_zero(references, kept):
    x = Variable(np.ones(3, np.float32))
    with using_config(references=references):
        y = Split()(x)[kept]
        z = square(y)
    z.backward()
    np.testing.assert_array_equal(x.grad, np.full(3, [8, 18][kept], np.float32), strict=True)


def test_an_output_that_leads_nowhere_counts_as_zero():
    x = Variable(np.ones(3))
    used, unused = Split()(x)
    used.backward(retain_grad=True)
    np.testing.assert_array_equal(x.grad, np.full(3, 2.0))
    np.testing.assert_array_equal(unused.grad, np.zeros(3))


def test_all_outputs_together():
    x = Variable(np.ones(3))
    mul(*Split()(x)).backward()
    np.testing.assert_array_equal(x.grad, np.full(3, 12.0))


def test_none_stands_for_an_input_without_a_gradient():
    x0, x1 = Variable(np.ones(2)), Variable(np.ones(2))
    a = square(x1)
    Gradients((np.full(2, 5.0), None))(x0, a).backward(retain_grad=True)
    np.testing.assert_array_equal(x0.grad, [5.0, 5.0])
    assert x1.grad is None
    assert a.grad is None


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.ones(2), "1 gradients for 2 inputs"),
        (None, "1 gradients for 2 inputs"),
        ((np.ones(2),) * 3, "3 gradients for 2 inputs"),
        ((np.ones(2), np.ones(3)), r"a gradient of shape \(3,\) .* for input 1, whose data is shape \(2,\)"),
        ((np.ones(2), 1.0), r"a gradient of shape \(\) and dtype float64 for input 1"),
        ((np.ones(2), np.ones(2, np.float32)), "a gradient of .* float32 for input 1, .* float64"),
        ((np.ones(2), [1.0, "?"]), "a gradient of .* for input 1"),
    ],
)
def test_gradients_that_do_not_fit_are_refused_and_nothing_is_passed_on(answer, message):
    x0, x1 = Variable(np.ones(2)), Variable(np.ones(2))
    with pytest.raises(ValueError, match=f"^Gradients.backward returned {message}"):
        Gradients(answer)(x0, x1).backward()
    assert (x0.grad, x1.grad) == (None, None)


@pytest.mark.parametrize("dtype", [int, bool, complex])
def test_a_pass_cannot_start_from_data_that_is_not_real_and_floating(dtype):
    with pytest.raises(TypeError, match=f"this variable holds {np.dtype(dtype)}"):
        Variable(np.ones(2, dtype)).backward()


@pytest.mark.parametrize("dtype", [int, bool])
def test_nor_can_it_end_there(dtype):
    x = Variable(np.ones(2, dtype))
    with pytest.raises(TypeError, match=f"input 1 of Gradients holds {np.dtype(dtype)}.*return None for it"):
        Gradients((np.ones(2), np.ones(2)))(np.zeros(2), x).backward()
    assert x.grad is None


def test_integers_without_a_gradient_are_welcome():
    x, index = Variable(np.arange(4.0)), Variable(np.array([2, 2]))

    class Take(Function):
        def forward(self, x, index):
            return x[index]

        def backward(self, gy):
            gx = np.zeros_like(self.inputs[0].data)
            np.add.at(gx, self.inputs[1].data, gy)
            return gx, None

    Take()(x, index).backward()
    np.testing.assert_array_equal(x.grad, [0.0, 0.0, 2.0, 0.0])


@pytest.mark.parametrize("references", ["weak", "strong"])
def test_deep_chains_need_no_recursion(references):
    x = y = Variable(np.array(0.0))
    with using_config(references=references):
        for _ in range(20_000):
            y = add(y, x)
    y.backward()
    assert x.grad == 20_001.0
    last = weakref.ref(y.creator)
    del y
    gc.collect()
    assert last() is None
