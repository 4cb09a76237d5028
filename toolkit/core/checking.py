"""One numerical check of gradients for every function, the toolkit's own and anybody else's."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.core.config import no_grad, using_config
from toolkit.core.function import Function
from toolkit.core.variable import Array, Variable

__all__ = ["check_gradient"]


def check_gradient(
    function: Callable[..., Any],
    *arrays: npt.ArrayLike,
    step: float = 1e-5,
    rtol: float = 1e-5,
    atol: float = 1e-7,
) -> None:
    """Assert that the gradient of `function` agrees with central differences, for every input.

    Each output is weighted by fixed numbers, all of them different, and the weighted sum of all outputs is
    differentiated both ways. So a gradient that ignores, transposes or adds up what reaches it is found too.

    Parameters
    ----------
    function : callable
        Takes as many variables as there are `arrays` and returns a variable or a tuple of variables. A
        `Function` stands for one call, so wrap yours: ``lambda *xs: MyFunction()(*xs)``.
    *arrays : array_like
        The point to check at, which must be clear of kinks. Floating data is checked in float64, whatever its
        own dtype; other data is handed over as it is, and has no gradient to check.
    step : float
        By how much each element is moved to either side; relative to the element where that is above 1.
    rtol, atol : float
        An element passes when backward and differences are within ``atol + rtol * abs(differences)``.

    Raises
    ------
    AssertionError
        Names the input, its worst element and both values, or says that there is no gradient where the output
        does depend on the input.
    ValueError
        There is no floating data among the `arrays`.

    Notes
    -----
    Calls `function` twice for each element: keep the arrays small. At the default step the differences
    themselves are off by about 2e-11 times the third derivative.

    Examples
    --------
    >>> import numpy as np
    >>> from toolkit import check_gradient, square
    >>> check_gradient(square, np.array([1.0, -2.0, 3.0]))
    """
    points = [_as_point(array) for array in arrays]
    floating = [position for position, point in enumerate(points) if point.dtype.kind == "f"]
    if not floating:
        raise ValueError("check_gradient needs floating data to differentiate by, and there is none")
    gradients = _by_backward(function, points)
    for position in floating:
        differences = _by_differences(function, points, position, step)
        _compare(position, points[position], gradients[position], differences, rtol, atol)


class _WeightedSum(Function):
    # Makes one number of all outputs without leaning on any function that may itself be under test.

    def forward(self, *ys: Array) -> float:
        return _weighted_sum(ys)

    def backward(self, gy: Array) -> tuple[Array | None, ...]:
        # An output of integers, such as an index, has no gradient to pass on.
        return tuple(
            [(gy * _weights(y.shape)).astype(y.dtype) if y.dtype.kind == "f" else None for y in self.inputs]
        )


def _weighted_sum(ys: Iterable[Array]) -> float:
    return sum([float(np.sum(y * _weights(y.shape))) for y in ys if y.dtype.kind == "f"], start=0.0)


def _weights(shape: tuple[int, ...]) -> Array:
    weights: Array = 1 + np.cos(1 + np.arange(np.prod(shape, dtype=int)).reshape(shape)) / 2
    return weights


def _as_point(array: npt.ArrayLike) -> Array:
    point = np.array(array)
    return point.astype(np.float64) if point.dtype.kind == "f" else point


def _by_backward(function: Callable[..., Any], points: list[Array]) -> list[Array | None]:
    variables = [Variable(point.copy()) for point in points]
    with using_config(enable_backprop=True):
        _WeightedSum()(*_outputs(function, variables)).backward()
    return [variable.grad for variable in variables]


def _by_differences(function: Callable[..., Any], points: list[Array], position: int, step: float) -> Array:
    differences = np.empty_like(points[position])
    for index in np.ndindex(differences.shape):
        centre = float(points[position][index])
        reach = step * max(1.0, abs(centre))
        above = _moved(function, points, position, index, centre + reach)
        below = _moved(function, points, position, index, centre - reach)
        # Each output is subtracted from itself, so that a small change is not lost beside large outputs.
        changes = [high - low for high, low in zip(above, below, strict=True) if high.dtype.kind == "f"]
        differences[index] = _weighted_sum(changes) / (2 * reach)
    return differences


def _moved(
    function: Callable[..., Any], points: list[Array], position: int, index: tuple[int, ...], value: float
) -> list[Array]:
    variables = [Variable(point.copy()) for point in points]
    variables[position].data[index] = value
    with no_grad():
        return [y.data for y in _outputs(function, variables)]


def _outputs(function: Callable[..., Any], variables: list[Variable]) -> tuple[Variable, ...]:
    ys = function(*variables)
    return ys if isinstance(ys, tuple) else (ys,)


def _compare(
    position: int, point: Array, gradient: Array | None, differences: Array, rtol: float, atol: float
) -> None:
    found = np.zeros_like(point) if gradient is None else gradient
    # The excess of a NaN is a NaN, which is the worst of all to argmax, and no smaller than 0.
    excess = np.abs(found - differences) - (atol + rtol * np.abs(differences))
    if np.all(excess <= 0):
        return
    worst = np.unravel_index(np.argmax(excess), point.shape)
    where = f"at {tuple(map(int, worst))} of shape {point.shape}, where it is {point[worst]!s}"
    says = "gives no gradient" if gradient is None else f"gives {found[worst]!s}"
    raise AssertionError(
        f"the gradient of input {position} is wrong {where}: backward {says}, "
        f"central differences give {differences[worst]!s}"
    )
