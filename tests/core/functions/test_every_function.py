"""What every function keeps to, seen in the cases that the tests of the families give as `GRADIENTS`.

A case is a function and the arrays that it is called with. A function that has no case is noticed.
"""

import gc
import importlib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

import toolkit
from toolkit import Function, Variable, check_gradient, gradients, using_config
from toolkit.core import functions
from toolkit.core.events import Listener, listening

FAMILIES = sorted(
    path.stem for path in Path(functions.__file__).parent.glob("*.py") if path.stem != "__init__"
)


def _cases(family):
    path = Path(__file__).with_name(f"test_{family}.py")
    if not path.exists():
        return {}
    spec = spec_from_file_location(f"cases_of_{family}", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.GRADIENTS


CASES = {family: _cases(family) for family in FAMILIES}

every_case = pytest.mark.parametrize(
    ("function", "arrays"),
    [
        pytest.param(function, arrays, id=f"{family}: {name}")
        for family, cases in CASES.items()
        for name, (function, *arrays) in cases.items()
    ],
)


class _Called(Listener):
    def __init__(self):
        self.functions = []

    def called(self, function, inputs, outputs):
        self.functions.append(function)


def _calls(function, arrays):
    with listening(_Called()) as heard:
        y = function(*[Variable(array) for array in arrays])
    return y, heard.functions


@pytest.mark.parametrize("family", FAMILIES)
def test_every_function_has_a_gradient_that_is_checked(family):
    module = importlib.import_module(f"{functions.__name__}.{family}")
    offered = {getattr(module, name) for name in module.__all__}
    owned = {one for one in offered if isinstance(one, type) and issubclass(one, Function)}
    checked = {
        type(call) for function, *arrays in CASES[family].values() for call in _calls(function, arrays)[1]
    }
    assert owned
    assert not owned - checked


@pytest.mark.parametrize("family", FAMILIES)
def test_every_function_is_public(family):
    module = importlib.import_module(f"{functions.__name__}.{family}")
    for name in module.__all__:
        assert name in toolkit.__all__
        assert getattr(toolkit, name) is getattr(module, name)


def test_no_two_families_offer_the_same_name():
    assert len(functions.__all__) == len(set(functions.__all__))


@every_case
def test_the_gradient_is_right(function, arrays):
    check_gradient(function, *arrays)


def _values_and_gradients(function, arrays):
    xs = [Variable(array) for array in arrays]
    y = function(*xs)
    y.backward()
    return [y.data, *[x.grad for x in xs]]


class _GoneBack(Listener):
    def __init__(self):
        self.shapes = []

    def backward_step(self, function, output_gradients, input_gradients):
        self.shapes += [
            (None if gx is None else gx.shape, x.shape)
            for x, gx in zip(function.inputs, input_gradients, strict=True)
        ]


@every_case
def test_gradients_have_the_shapes_of_their_inputs_also_where_the_pass_does_not_look(function, arrays):
    with listening(_GoneBack()) as heard:
        _values_and_gradients(function, arrays)
    assert heard.shapes
    assert all(gradient is None or gradient == shape for gradient, shape in heard.shapes)


def test_a_backward_of_its_own_is_looked_at_again():
    class Wrong(toolkit.Square):
        __slots__ = ()

        def backward(self, gy):
            return gy[:1]

    assert toolkit.Square.keeps_shapes and not Wrong.keeps_shapes
    with pytest.raises(ValueError, match=r"a gradient of shape \(1,\)"):
        Wrong()(Variable(np.ones(2))).backward()


def test_a_backward_that_is_mixed_in_is_looked_at_again():
    class Half:
        __slots__ = ()

        def backward(self, gy):
            return gy[:1]

    class Wrong(Half, toolkit.Square):
        __slots__ = ()

    class Named(toolkit.Square):
        __slots__ = ()

    assert Named.keeps_shapes and not Wrong.keeps_shapes
    with pytest.raises(ValueError, match=r"a gradient of shape \(1,\)"):
        Wrong()(Variable(np.ones(2))).backward()


def test_the_backward_of_another_forward_is_looked_at_again():
    class Total(toolkit.Add):
        __slots__ = ()

        def forward(self, x0, x1):
            return (x0 + x1).sum()

    assert toolkit.Add.keeps_shapes and not Total.keeps_shapes
    with pytest.raises(ValueError, match=r"a gradient of shape \(\)"):
        Total()(Variable(np.ones(2)), Variable(np.ones(2))).backward()


@every_case
def test_float32_stays_float32(function, arrays):
    results = _values_and_gradients(function, [array.astype(np.float32) for array in arrays])
    assert {result.dtype for result in results} == {np.dtype(np.float32)}


@every_case
def test_the_layout_in_memory_changes_nothing(function, arrays):
    def spaced(array):
        wide = np.full((*array.shape, 2), np.nan)
        wide[..., 0] = array
        return wide[..., 0]

    expected = _values_and_gradients(function, arrays)
    for relaid in (spaced, np.asfortranarray, lambda array: array[..., ::-1].copy()[..., ::-1]):
        results = _values_and_gradients(
            function, [relaid(array) if array.ndim else array for array in arrays]
        )
        for result, right in zip(results, expected, strict=True):
            np.testing.assert_allclose(result, right, rtol=1e-12, atol=1e-15)


@every_case
def test_nothing_that_is_handed_over_is_written_to(function, arrays):
    frozen = [array.copy() for array in arrays]
    for array in frozen:
        array.flags.writeable = False
    y = function(*[Variable(array) for array in frozen])
    y.grad = np.ones_like(y.data)
    y.grad.flags.writeable = False
    y.backward()


@every_case
def test_a_call_saves_no_array_beside_its_inputs_but_what_it_says(function, arrays):
    for call in _calls(function, arrays)[1]:
        said = [getattr(call, name, None) for name in (*call.keeps, "index")]
        assert not [
            one
            for one in gc.get_referents(call)
            if isinstance(one, np.ndarray) and not any(one is kept for kept in said)
        ]


@every_case
def test_what_is_saved_changes_no_bit_of_a_gradient(function, arrays):
    expected = _values_and_gradients(function, arrays)
    for settings in (
        {"saves": "needed"},
        {"saves": "needed", "retain_graph": False},
        {"retain_graph": False, "accumulation": "in_place"},
    ):
        with using_config(**settings):
            results = _values_and_gradients(function, arrays)
        for result, right in zip(results, expected, strict=True):
            np.testing.assert_array_equal(result, right, strict=True)


def _weighted_gradients(function, xs, create_graph):
    with using_config(enable_backprop=True):
        y = function(*xs)
        ys = y if isinstance(y, tuple) else (y,)
        weights = [np.asarray(1 + np.cos(np.arange(one.size)).reshape(one.shape) / 2) for one in ys]
        gxs = gradients(ys, xs, weights, create_graph=create_graph)
    return tuple(gx for gx in gxs if gx is not None)


@every_case
def test_a_recorded_pass_computes_what_a_plain_one_does(function, arrays):
    for saves in ("inputs", "needed"):
        with using_config(saves=saves):
            xs = [Variable(array) for array in arrays]
            recorded = _weighted_gradients(function, xs, create_graph=True)
            plain = _weighted_gradients(function, xs, create_graph=False)
        for one, other in zip(recorded, plain, strict=True):
            np.testing.assert_allclose(one.data, other, rtol=1e-12, atol=1e-15, strict=True)


@every_case
def test_the_gradient_of_the_gradient_is_right(function, arrays):
    with using_config(saves="needed"):
        check_gradient(
            lambda *xs: _weighted_gradients(function, xs, create_graph=True), *arrays, rtol=1e-4, atol=1e-6
        )
