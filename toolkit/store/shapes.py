"""What readers may count on where a cell holds JSON: names that mean something to them have values of one shape.

A file from elsewhere may hold anything under a digest that is right. What a run tells of itself and the conditions
of a trial are free but for these names; whatever else is there is told as it is.
"""

from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, TypedDict, Union, get_args, get_origin, get_type_hints

from toolkit.store.encoding import check_values
from toolkit.trials import MEASURES, Level, Status

__all__ = [
    "Conditions",
    "Description",
    "check_conditions",
    "check_description",
    "check_levels",
    "check_metrics",
    "check_words",
]

_LEVEL_KINDS = (bool, int, float, str)
_METRIC_KINDS = (bool, int, float)
_STATUSES = frozenset(get_args(Status))
#: A cluster tells a list where its hosts differ, and some facts are lists or mappings themselves.
_DEEPEST = 4


class Description(TypedDict, total=False):
    """What a run tells of itself beside facts of its host, which are levels, None, lists or mappings of them."""

    arguments: list[str]
    profile: str
    order_seed: int
    skipped_levels: dict[str, dict[str, str]]


class Conditions(TypedDict, total=False):
    """What analyses take from the conditions of a trial; every other one is a level that is shown."""

    attempts: int
    exact_probe: bool
    page_bytes: int
    prediction_array_bytes: int
    prediction_basis: str
    prediction_exact: bool
    prediction_exception: str
    prediction_exception_percent: int | float
    python: str
    workload_first_line: int
    workload_source: str


def check_description(told: Mapping[str, object]) -> None:
    """Let pass what a run may tell of itself.

    Raises
    ------
    ValueError
        Naming what has another shape.
    """
    _check_shapes(told, Description)
    for name, value in told.items():
        _check_fact(name, value, _DEEPEST)


def check_levels(levels: Mapping[str, object]) -> None:
    """Let pass levels by name.

    Raises
    ------
    ValueError
        Naming the first that is none, infinite or beyond 64 bits.
    """
    check_values(levels, _LEVEL_KINDS)


def check_metrics(metrics: Mapping[str, object]) -> None:
    """Let pass metrics by name.

    Raises
    ------
    ValueError
        Naming the first that is no number, infinite or beyond 64 bits, or no integer although it counts.
    """
    check_values(metrics, _METRIC_KINDS)
    for name, value in metrics.items():
        if type(value) is not int and name.endswith(("_bytes", "_count")):
            raise ValueError(f"{name} must be an integer, not {value!r}")


def check_words(measure: str, status: str, replicate: int) -> None:
    """Let pass a measure, a status and a replicate that there are.

    Raises
    ------
    ValueError
        Naming the one that is not.
    """
    if measure not in MEASURES or status not in _STATUSES or replicate < 0:
        raise ValueError(f"is replicate {replicate} of the measure {measure!r}, ended as {status!r}")


def check_conditions(conditions: Mapping[str, Level]) -> None:
    """Let pass the conditions of a trial.

    Raises
    ------
    ValueError
        Naming what is no level, or has another shape, or cannot be a count of bytes.
    """
    check_levels(conditions)
    _check_shapes(conditions, Conditions)
    for name in ("page_bytes", "prediction_array_bytes", "attempts"):
        if name in conditions and not 0 <= int(conditions[name]) < 2**48:
            raise ValueError(f"{name!r} is {conditions[name]}")


def _check_shapes(values: Mapping[str, object], shapes: type) -> None:
    for name, shape in _shapes_of(shapes).items():
        if name in values and not _fits(values[name], shape):
            words = shape.__name__ if isinstance(shape, type) and not get_args(shape) else str(shape)
            raise ValueError(f"{name!r} is not of the type {words}")


@cache
def _shapes_of(shapes: type) -> Mapping[str, Any]:
    return get_type_hints(shapes)


def _fits(value: object, shape: Any) -> bool:
    origin, parts = get_origin(shape), get_args(shape)
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is list:
        return isinstance(value, list) and all(_fits(one, parts[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(one, parts[1]) for one in value.values())
    # A bool is an int to Python alone.
    return type(value) is shape


def _check_fact(name: str, value: object, deepest: int) -> None:
    if isinstance(value, list | dict):
        if not deepest:
            raise ValueError(f"{name!r} is nested more than {_DEEPEST} deep")
        for one in value if isinstance(value, list) else value.values():
            _check_fact(name, one, deepest - 1)
    elif value is not None:
        check_values({name: value}, _LEVEL_KINDS)
