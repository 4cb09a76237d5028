"""Function: what a call takes, makes and records, and how long the graph that it leaves behind lives."""

import gc
import weakref

import numpy as np
import pytest

from toolkit import Function, Variable, add, exp, no_grad, square, using_config


class Powers(Function):
    def forward(self, x):
        return x, x**2, x**3

    def backward(self, gy1, gy2, gy3):
        x = self.inputs[0].data
        return gy1 + 2 * x * gy2 + 3 * x**2 * gy3


class Total(Function):
    def forward(self, *xs):
        return sum(xs, start=np.zeros(2))

    def backward(self, gy):
        return tuple([gy] * len(self.inputs))


class Answer(Function):
    def __init__(self, answer):
        self.answer = answer

    def forward(self, *xs):
        return self.answer


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_any_number_of_inputs(count):
    xs = [Variable(np.full(2, float(position))) for position in range(count)]
    y = Total()(*xs)
    np.testing.assert_array_equal(y.data, np.full(2, float(sum(range(count)))))
    y.backward()
    for x in xs:
        np.testing.assert_array_equal(x.grad, [1.0, 1.0])


@pytest.mark.parametrize(("answer", "single"), [((np.ones(2),), True), ((np.ones(2), np.ones(3)), False)])
def test_one_output_comes_unwrapped_and_several_as_a_tuple(answer, single):
    y = Answer(answer)()
    assert isinstance(y, Variable if single else tuple)


@pytest.mark.parametrize("enable_backprop", [True, False])
def test_an_output_has_every_attribute_of_a_variable_made_by_hand(enable_backprop):
    by_hand = Variable(np.ones(2))
    with using_config(enable_backprop=enable_backprop):
        output = square(by_hand)
    made = {name: getattr(by_hand, name) for name in Variable.__slots__ if hasattr(by_hand, name)}
    assert {"data", "name", "grad", "creator", "generation", "untracked"} <= made.keys()
    assert [name for name in made if not hasattr(output, name)] == []
    assert output.name is output.grad is None
    assert output.untracked is not enable_backprop
    assert (output.creator is not None, output.generation) == (enable_backprop, int(enable_backprop))


def test_a_list_is_no_array():
    with pytest.raises(TypeError, match="not list"):
        Answer([1.0, 2.0])(Variable(np.ones(2)))


def test_a_scalar_result_becomes_a_0d_array():
    assert Answer(np.float32(2.0))().dtype == np.float32
    assert Answer(2.0)().shape == ()


@pytest.mark.parametrize("wrong", [None, [1.0]])
def test_an_input_that_is_no_operand_is_refused_by_its_type(wrong):
    with pytest.raises(TypeError, match=type(wrong).__name__):
        add(Variable(np.ones(1)), wrong)


def test_arrays_and_scalars_are_taken_as_leaves():
    y = add(np.ones(2), 1.0)
    np.testing.assert_array_equal(y.data, [2.0, 2.0])
    assert [x.creator for x in y.creator.inputs] == [None, None]


@pytest.mark.parametrize("scalar", [2, 2.0, True])
def test_a_python_scalar_never_promotes(scalar):
    x = Variable(np.ones(2, np.float32))
    for y in (add(x, scalar), add(scalar, x)):
        assert y.dtype == np.float32
        assert {one.dtype for one in y.creator.inputs} == {np.dtype(np.float32)}


def test_a_numpy_scalar_promotes_as_in_numpy():
    assert add(Variable(np.ones(2, np.float32)), np.float64(2.0)).dtype == np.float64
    assert add(Variable(np.ones(2, int)), 2.5).dtype == np.float64


def test_what_a_subclass_leaves_out_is_told():
    with pytest.raises(NotImplementedError, match="Function does not say how it computes"):
        Function()(Variable(np.ones(1)))
    y = Answer(np.ones(1))(Variable(np.ones(1)))
    with pytest.raises(NotImplementedError, match="Answer has no gradient"):
        y.backward()


def test_an_instance_records_one_call():
    function = Total()
    x = Variable(np.ones(2))
    y = function(x)
    with pytest.raises(RuntimeError, match="Total has recorded a call"):
        function(x)
    y.backward()
    np.testing.assert_array_equal(x.grad, [1.0, 1.0])


def test_an_instance_that_has_recorded_a_call_is_done_also_without_a_graph():
    function = Powers()
    function(Variable(np.array(2.0)))
    with no_grad(), pytest.raises(RuntimeError, match="has recorded a call"):
        function(Variable(np.array(2.0)))


def test_an_instance_may_be_called_any_number_of_times_without_a_graph():
    function = Total()
    with no_grad():
        assert function(np.ones(2)).untracked
        assert function(np.ones(2)).untracked
    assert not function(np.ones(2)).untracked


def test_the_call_records_inputs_outputs_and_the_highest_generation():
    x = Variable(np.array(2.0))
    a = square(x)
    y = add(x, a)
    assert y.creator.inputs == (x, a)
    assert y.creator.generation == 1
    assert y.creator.live_outputs() == (y,)


def test_the_toggle_decides_how_outputs_are_held():
    x = Variable(np.array(2.0))
    weak = Powers()(x)
    assert all(isinstance(ref, weakref.ref) for ref in weak[0].creator.outputs)
    assert weak[0].creator.live_outputs() == weak
    with using_config(references="strong"):
        strong = Powers()(x)
    assert strong[0].creator.outputs == strong
    assert strong[0].creator.live_outputs() == strong


def test_without_a_graph_nothing_is_recorded():
    with no_grad():
        y = square(Variable(np.array(2.0)))
    assert (y.creator, y.generation, y.untracked) == (None, 0, True)


def _watch_graph(y):
    """Return weak references to every variable, array and function that leads to `y`, leaves included."""
    watched, waiting = [], [y]
    while waiting:
        variable = waiting.pop()
        watched += [weakref.ref(variable), weakref.ref(variable.data)]
        if variable.creator is not None:
            watched.append(weakref.ref(variable.creator))
            waiting += variable.creator.inputs
    return watched


def _alive(watched):
    return sum(ref() is not None for ref in watched)


def test_weak_references_free_the_graph_at_once(no_collector):
    y = square(exp(square(Variable(np.ones(3)))))
    watched = _watch_graph(y)
    assert _alive(watched) == len(watched) == 4 * 2 + 3
    del y
    assert _alive(watched) == 0


def test_strong_references_keep_the_graph_until_the_collector_comes(no_collector):
    with using_config(references="strong"):
        y = square(exp(square(Variable(np.ones(3)))))
    watched = _watch_graph(y)
    del y
    assert _alive(watched) == len(watched)
    gc.collect()
    assert _alive(watched) == 0


@pytest.mark.parametrize("retain_grad", [False, True])
def test_a_backward_pass_leaves_nothing_for_the_collector(no_collector, retain_grad):
    x = Variable(np.ones(3))
    y = add(exp(square(x)), square(x))
    watched = _watch_graph(y)
    y.backward(retain_grad=retain_grad)
    del x, y
    assert _alive(watched) == 0
    assert gc.collect() == 0


def test_no_grad_keeps_nothing_alive(no_collector):
    x = Variable(np.ones(3))
    before = gc.get_referrers(x.data)
    with no_grad():
        a = square(x)
        watched = [weakref.ref(a), weakref.ref(a.data)]
        y = exp(a)
        del a
    assert _alive(watched) == 0
    assert y.creator is None
    assert len(gc.get_referrers(x.data)) == len(before)


def test_a_dropped_output_is_freed_while_its_sibling_keeps_the_function(no_collector):
    first, *others = Powers()(Variable(np.ones(3)))
    dropped = [weakref.ref(other) for other in others]
    del others
    assert _alive(dropped) == 0
    assert first.creator.live_outputs() == (first, None, None)


def test_only_one_of_several_outputs_can_be_dead_so_only_they_have_layouts():
    x = Variable(np.ones((2, 3)))
    assert not hasattr(square(x).creator, "output_layouts")
    assert Powers()(x)[0].creator.output_layouts == (((2, 3), np.dtype(float)),) * 3


def test_zero_gradient_has_the_layout_of_a_dead_output():
    first = Powers()(Variable(np.ones((2, 3), np.float32)))[0]
    zeros = first.creator.zero_gradient(2)
    assert (zeros.shape, zeros.dtype) == ((2, 3), np.float32)
    assert not zeros.any()


def test_keywords_of_a_subclass_reach_what_else_it_derives_from():
    class Named:
        def __init_subclass__(cls, *, name, **keywords):
            super().__init_subclass__(**keywords)
            cls.name = name

    class Doubled(Function, Named, name="doubled"):
        pass

    assert Doubled.name == "doubled"
