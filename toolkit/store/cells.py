"""What readers may count on where a cell holds JSON: files from elsewhere hold anything."""

from collections.abc import Mapping
from typing import TypedDict, get_args

from toolkit.store.encoding import check_values
from toolkit.trials import MEASURES, Status, conditions

__all__ = [
    "Description",
    "check_description",
    "check_levels",
    "check_metrics",
    "check_stored_conditions",
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


def check_description(told: Mapping[str, object]) -> None:
    """Let pass what a run may tell of itself.

    Raises
    ------
    ValueError
        Naming what has another shape.
    """
    conditions.check_shapes(told, Description)
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


def check_stored_conditions(stored: Mapping[str, object]) -> None:
    """Let pass the conditions of a trial.

    Raises
    ------
    ValueError
        Naming what is no level, or not what `toolkit.trials.conditions.Conditions` says.
    """
    check_levels(stored)
    conditions.check_conditions(stored)


def _check_fact(name: str, value: object, deepest: int) -> None:
    if isinstance(value, list | dict):
        if not deepest:
            raise ValueError(f"{name!r} is nested more than {_DEEPEST} deep")
        for one in value if isinstance(value, list) else value.values():
            _check_fact(name, one, deepest - 1)
    elif value is not None:
        check_values({name: value}, _LEVEL_KINDS)
