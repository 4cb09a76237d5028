"""Every predicted-against-measured pair, held to one percentage: within it, a named exception, or unexplained."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from toolkit.analysis.comparison import Comparison

__all__ = ["AGREES_PERCENT", "FROM_ELEMENTS", "Agreement", "Pair", "agreements"]

#: A measurement agrees with its prediction within this many percent of it, for arrays of so many elements or more:
#: those of smaller ones are not large beside the pages and objects that surround them.
AGREES_PERCENT = 1.0
FROM_ELEMENTS = 100_000

Agreement: TypeAlias = Literal["agrees", "exception", "unexplained", "estimate"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A prediction and its measurement in one cell of an experiment.

    Attributes
    ----------
    experiment : str
    comparison : Comparison
    agreement : {"agrees", "exception", "unexplained", "estimate"}
        "exception" only where the prediction names a cause that accounts for so much; "estimate" where the
        platform tells no exact resident set.
    """

    experiment: str
    comparison: Comparison
    agreement: Agreement


def agreements(compared: Iterable[tuple[str, Comparison]]) -> tuple[Sequence[Pair], int]:
    """Return the pairs whose arrays are large enough, or that have none; and how many are too small.

    Parameters
    ----------
    compared : iterable of (str, Comparison)
        Each with the name of its experiment.
    """
    every = tuple(compared)
    pairs = [
        Pair(experiment, one, _agreement(one))
        for experiment, one in every
        if one.elements is None or one.elements >= FROM_ELEMENTS
    ]
    return pairs, len(every) - len(pairs)


def _agreement(one: Comparison) -> Agreement:
    if one.estimated:
        return "estimate"
    percent = one.deviation_percent
    if percent is None:
        # Of nothing there is no percentage: arrays of which none must be left are held to one of them.
        arrays = one.deviation_arrays
        percent = 0.0 if not one.deviation else None if arrays is None else 100 * arrays
    if percent is not None and abs(percent) <= AGREES_PERCENT:
        return "agrees"
    accounted = one.accounted_percent
    within = accounted is not None and percent is not None and abs(percent) <= accounted
    return "exception" if within else "unexplained"
