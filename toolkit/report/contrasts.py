"""Findings that hold two cells against each other: how many times as much, where the two are told apart."""

import itertools
from collections.abc import Mapping
from string import Formatter

from toolkit.analysis.noise import Effect, effect, resolution
from toolkit.analysis.results import Results
from toolkit.report import Finding, Unit
from toolkit.report.finding import labelled
from toolkit.report.units import estimate_text, levels_text, number, text, unit_of, words_of
from toolkit.trials import Level

__all__ = ["ratio_text", "times_as_much"]


def times_as_much(
    results: Results,
    metric: str,
    measure: str,
    sentence: str,
    *,
    more: Mapping[str, Level],
    less: Mapping[str, Level],
    **levels: Level,
) -> Finding:
    """Say what a metric is in two cells, and how many times as much it is in the first.

    Where the two do not differ by more than halves of one cell do, or by more than a reading may be off on the
    host that took it, that is said in place of the ratio. Of times, which differ from replicate to replicate, the
    shift from one cell to the other is told as well, and of those told apart the noise floor and the size of the
    effect.

    Parameters
    ----------
    results : Results
    metric, measure : str
        Whose medians are compared.
    sentence : str
        With the places ``{more}`` and ``{less}``, and ``{ratio}`` for how the first to be told relates to
        the second, or why the two are not told apart.
    more, less : mapping of str to level
        What tells the two cells apart.
    **levels
        What both have.
    """
    first = results.at(metric, measure, **more, **levels)
    second = results.at(metric, measure, **less, **levels)
    if first is None or second is None or not second.median:
        words = words_of(metric)
        return Finding(
            sentence=f"{words[:1].upper()}{words[1:]} of {levels_text(levels)}: not measured in both cells."
        )
    unit = unit_of(metric)
    differs = effect(
        results.readings(metric, measure, **less, **levels),
        results.readings(metric, measure, **more, **levels),
        [results.readings(metric, measure, **cell.levels) for cell in results.cells(metric, measure)],
        max(resolution(metric, results.trials(measure, {**some, **levels})) for some in (more, less)),
    )
    why = _not_told_apart(differs, first.median - second.median, unit)
    one, other = ("first", "second") if _places(sentence) == ["more", "less"] else ("second", "first")
    told = sentence.format(
        more=estimate_text(first, unit),
        less=estimate_text(second, unit),
        ratio=why or f"the {one} is {ratio_text(first.median, second.median, unit)} the {other}",
    )
    if unit == "seconds" and differs.shift.coverage is not None:
        covers = text(100 * differs.shift.coverage, "percent")
        kind = "interval" if differs.shift.is_interval else "range"
        told += (
            f" The shift between them is {estimate_text(differs.shift, unit)}; the {kind} covers the true shift "
            f"with {covers}"
        )
        floor = f"; the noise floor {text(differs.floor, unit)}" if differs.floor is not None else ""
        told += "." if why else f"{floor}; Cliff's delta {number(differs.delta)}."
    made = Finding(sentence=told)
    both = (results.cells(metric, measure, (), {**some, **levels}) for some in (more, less))
    return labelled(made, itertools.chain(*both))


def ratio_text(one: float, other: float, unit: Unit) -> str:
    """Return what one is of the other, which is not 0: "4.95 times", and for 1.00 times "512 B more than"."""
    if one == other:
        return "as much as"
    if number(one / other) == number(1):
        return f"{text(abs(one - other), unit)} {'more' if one > other else 'less'} than"
    return f"{number(one / other)} times"


def _places(sentence: str) -> list[str]:
    """Return the places of the two figures, in the order in which the sentence has them."""
    return [name for _, name, *_ in Formatter().parse(sentence) if name in ("more", "less")]


def _not_told_apart(differs: Effect, of_medians: float, unit: Unit) -> str:
    """Return why a difference may not be stated, in place of the ratio; "" where it may."""
    if not differs.resolved:
        return f"not told apart, for a reading may be off by {text(differs.resolution, unit)}"
    if unit == "seconds" and differs.shift.low is None:
        return "not told apart, for a single reading does not tell a difference from noise"
    if differs.floor is None or (differs.stands_out and of_medians * differs.shift.median > 0):
        return ""
    if of_medians * differs.shift.median < 0:
        return "not told apart, for the medians and the shift between them tell opposite differences"
    floor = text(differs.floor, unit)
    return f"not told apart on this machine, where halves of one cell differ by up to {floor}"
