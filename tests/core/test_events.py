"""What listeners hear, in which order, what listening costs, and that nothing of it stays behind."""

import gc
import weakref

import numpy as np
import pytest

from toolkit import Variable, add, no_grad, square, using_config
from toolkit.core import events
from toolkit.core.events import Listener, listening


class Diary(Listener):
    """Writes down all that it hears."""

    def __init__(self):
        self.entries = []

    def called(self, function, inputs, outputs):
        self.entries.append(("called", type(function).__name__, [id(y) for y in outputs]))

    def released(self, output_id):
        self.entries.append(("released", output_id))

    def backward_step(self, function, output_gradients, input_gradients):
        self.entries.append(("backward_step", type(function).__name__))


class Deaf(Listener):
    def called(self, function, inputs, outputs):
        pass


def test_a_forward_a_backward_and_the_end(no_collector):
    x = Variable(np.ones(2))
    with listening(Diary()) as diary:
        a = square(x)
        y = add(a, a)
        ids = id(a), id(y)
        y.backward()
        del a
        del y
    assert diary.entries == [
        ("called", "Square", [ids[0]]),
        ("called", "Add", [ids[1]]),
        ("backward_step", "Add"),
        ("backward_step", "Square"),
        ("released", ids[1]),
        ("released", ids[0]),
    ]


def test_called_hands_over_the_variables_themselves():
    class Holder(Listener):
        def called(self, function, inputs, outputs):
            self.heard = function, inputs, outputs

    x = Variable(np.ones(2))
    with listening(Holder()) as holder:
        y = add(x, 1.0)
    function, inputs, outputs = holder.heard
    assert function is y.creator
    assert inputs == function.inputs
    assert inputs[0] is x
    assert outputs == (y,)


def test_calls_without_a_graph_are_heard(no_collector):
    x = Variable(np.ones(2))
    with listening(Diary()) as diary, no_grad():
        y = square(x)
        y_id = id(y)
        del y
    assert diary.entries == [("called", "Square", [y_id]), ("released", y_id)]


def test_a_backward_step_is_heard_while_the_gradients_it_was_given_are_there():
    class Steps(Listener):
        def __init__(self):
            self.heard = []

        def backward_step(self, function, output_gradients, input_gradients):
            self.heard.append((output_gradients, input_gradients))

    x = Variable(np.array(3.0))
    y = add(square(x), 1.0)
    with listening(Steps()) as steps:
        y.backward()
    # 0-d results of numpy are scalars; a listener is given arrays.
    for gradients in (gradients for step in steps.heard for gradients in step):
        assert all(gradient is None or type(gradient) is np.ndarray for gradient in gradients)
    assert steps.heard == [((1.0,), (1.0, None)), ((1.0,), (6.0,))]


class Sums(Listener):
    def __init__(self):
        self.heard = []

    def accumulated(self, earlier, total, output_gradients, input_gradients):
        self.heard.append((earlier, total, output_gradients, input_gradients))


def test_a_sum_of_gradients_is_heard_with_all_that_is_alive():
    x = Variable(np.array(3.0))
    y = add(x, x)
    with listening(Sums()) as sums:
        y.backward()
    assert sums.heard == [(1.0, 2.0, (1.0,), (1.0, 1.0))]
    assert sums.heard[0][1] is x.grad


def test_a_gradient_that_is_kept_twice_is_a_sum_too():
    x = Variable(np.array(3.0))
    y = square(x)
    y.backward(retain_grad=True)
    y.grad, x.grad = np.array(5.0), None
    with listening(Sums()) as sums:
        y.backward(retain_grad=True)
    assert sums.heard == []
    a = square(x)
    y = square(a)
    y.backward(retain_grad=True)
    x.grad = y.grad = None
    with listening(Sums()) as sums:
        y.backward(retain_grad=True)
    assert sums.heard == [(18.0, 36.0, (18.0,), (108.0,))]


def test_a_sum_after_the_last_step_comes_alone():
    x = Variable(np.array(3.0))
    a = square(x)
    y = square(a)
    with using_config(traversal="lifo", retain_grad=True):
        y.backward()
        x.grad = y.grad = None
        with listening(Sums()) as sums:
            y.backward()
    assert sums.heard == [(18.0, 36.0, (), ())]


def test_a_gradient_that_is_the_first_is_no_sum():
    x = Variable(np.array(3.0))
    with listening(Sums()) as sums:
        square(square(x)).backward(retain_grad=True)
    assert sums.heard == []


def test_under_strong_references_the_collector_releases(no_collector):
    x = Variable(np.ones(2))
    with listening(Diary()) as diary:
        with using_config(references="strong"):
            y = square(x)
        y_id = id(y)
        del y
        assert len(diary.entries) == 1
        gc.collect()
        assert diary.entries[1:] == [("released", y_id)]


@pytest.mark.parametrize(("listener", "references"), [(Deaf(), 1), (Diary(), 2)])
def test_only_who_hears_of_releases_costs_a_weak_reference(listener, references):
    x = Variable(np.ones(2))
    with listening(listener):
        y = square(x)
        # The function holds its output by one.
        assert weakref.getweakrefcount(y) == references
        assert len(events._watched) == references - 1
        del y
        assert events._watched == {}


def test_watching_ends_with_the_last_who_hears_of_releases():
    x = Variable(np.ones(2))
    with listening(Deaf()):
        with listening(Diary()):
            with listening(Diary()):
                y = square(x)
            assert len(events._watched) == 1
        assert events._watched == {}
        assert weakref.getweakrefcount(y) == 1


def test_nobody_hears_anything_after_the_block(no_collector):
    x = Variable(np.ones(2))
    with listening(Diary()) as diary:
        y = square(x)
    heard = list(diary.entries)
    y.backward()
    square(x)
    del y
    assert diary.entries == heard
    assert events.listeners == ()
    assert events._watched == {}


def test_an_exception_ends_the_listening():
    x = Variable(np.ones(2))
    with pytest.raises(KeyError), listening(Diary()):
        y = square(x)
        raise KeyError
    assert events.listeners == ()
    assert events._watched == {}
    assert weakref.getweakrefcount(y) == 1


def test_each_listener_hears_its_own_block(no_collector):
    x = Variable(np.ones(2))
    with listening(Diary()) as outer:
        square(x)
        with listening(Deaf()), listening(Diary()) as inner:
            y = square(x)
        y_id = id(y)
        del y
    called = ("called", "Square", [y_id])
    assert inner.entries == [called]
    # The first output has died within its own statement.
    assert outer.entries[0][:2] == ("called", "Square")
    assert outer.entries[1:] == [("released", outer.entries[0][2][0]), called, ("released", y_id)]


def test_a_listener_in_two_nested_blocks_goes_on_after_the_inner_one():
    x = Variable(np.ones(2))
    deaf = Deaf()
    with listening(deaf):
        with listening(deaf):
            assert events.listeners == (deaf, deaf)
        assert events.listeners == (deaf,)
        square(x)
    assert events.listeners == ()


def test_listeners_that_override_nothing_hear_in_silence():
    x = Variable(np.ones(2))
    with listening(Listener()):
        y = square(x)
        y.backward()
        del y
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])
