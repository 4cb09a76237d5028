"""What analyses may count on in the conditions of a trial: names that mean something have values of one shape.

A workload may put a result of its own in the place of the child's, and a file of results may come from elsewhere.
Conditions are free but for these names; whatever else is there is a level that is shown.
"""

from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, TypedDict, Union, get_args, get_origin, get_type_hints

__all__ = ["Conditions", "check_conditions", "check_shapes"]


class Conditions(TypedDict, total=False):
    """What analyses take from the conditions of a trial."""

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


def check_conditions(conditions: Mapping[str, object]) -> None:
    """Let pass conditions that are what analyses take them for.

    Raises
    ------
    ValueError
        Naming what has another shape, or counts less than nothing.
    """
    check_shapes(conditions, Conditions)
    for name in ("page_bytes", "prediction_array_bytes", "attempts"):
        value = conditions.get(name, 0)
        if isinstance(value, int) and value < 0:
            raise ValueError(f"{name!r} is {value}")


def check_shapes(values: Mapping[str, object], shapes: type) -> None:
    """Let pass values that have the types that a typed dictionary gives their names.

    Parameters
    ----------
    values : mapping
        Names that `shapes` does not have are passed over.
    shapes : subclass of TypedDict
        Of plain types, and of lists, dictionaries and unions of them.

    Raises
    ------
    ValueError
        Naming the first that has another.
    """
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
