"""Findings that compare what was measured with what it must be, in sentences."""

from collections.abc import Iterable, Mapping, Sequence

from toolkit.analysis.comparison import (
    MODEL_TOLERANCE_PERCENT,
    RESIDENT_TOLERANCE_PAGES,
    TRACED_TOLERANCE_ARRAYS,
    Comparison,
    compare,
)
from toolkit.analysis.noise import effect
from toolkit.analysis.results import Results
from toolkit.analysis.statistics import Estimate
from toolkit.report import Finding
from toolkit.report.units import estimate_text, number, text, unit_of, words_of
from toolkit.trials import Level

__all__ = ["agreement", "at_most", "in_arrays", "same", "spread", "times_as_much"]


def in_arrays(
    results: Results, metric: str, measure: str, what: str, *, expected: float, within: float, **levels: Level
) -> Finding:
    """Say whether a metric of one cell, counted in arrays S, is as expected.

    Parameters
    ----------
    results : Results
    metric, measure : str
        A metric in bytes.
    what : str
        The figure in question, in words.
    expected, within : float
        In arrays.
    **levels
        Of the cell, `n` float64 elements to an array among them.
    """
    estimate = results.at(metric, measure, **levels)
    if estimate is None:
        return _absent(what, f"{number(expected)} S")
    array_bytes = 8 * int(levels["n"])
    arrays = _scaled(estimate, 1 / array_bytes)
    holds = abs(arrays.median - expected) <= within
    expectation = f"{number(expected)} S, within {number(within)} S"
    measured = f"{number(arrays.median, 3)} S"
    return Finding(
        sentence=f"{what}: {measured} ({estimate_text(estimate, 'bytes')}), expected {expectation}.",
        status="confirmed" if holds else "deviates",
        figure=what,
        expected=expectation,
        measured=measured,
    )


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

    Where the two do not differ by more than replicates of one cell do, that is said instead of the ratio.

    Parameters
    ----------
    results : Results
    metric, measure : str
        Whose medians are compared.
    sentence : str
        With the places ``{more}`` and ``{less}``, and ``{ratio}`` for what follows a comma.
    more, less : mapping of str to level
        What tells the two cells apart.
    **levels
        What both have.
    """
    first = results.at(metric, measure, **more, **levels)
    second = results.at(metric, measure, **less, **levels)
    if first is None or second is None or not second.median:
        return Finding(
            sentence=f"{words_of(metric).capitalize()} of {_told(levels)}: not measured in both cells."
        )
    unit = unit_of(metric)
    differs = effect(
        results.readings(metric, measure, **less, **levels),
        results.readings(metric, measure, **more, **levels),
        [results.readings(metric, measure, **cell.levels) for cell in results.cells(metric, measure)],
    )
    ratio = f"{number(first.median / second.median)} times"
    if not differs.stands_out:
        ratio = "which is no difference, for replicates of one cell lie as far apart:" + f" {ratio}"
    return Finding(
        sentence=sentence.format(
            more=estimate_text(first, unit), less=estimate_text(second, unit), ratio=ratio
        )
    )


def at_most(results: Results, metric: str, measure: str, what: str, limit: float, **levels: Level) -> Finding:
    """Say whether the whole interval of a metric is at most `limit`, in the unit of the metric."""
    unit = unit_of(metric)
    estimate = results.at(metric, measure, **levels)
    if estimate is None:
        return _absent(what, f"at most {text(limit, unit)}")
    return Finding(
        sentence=f"{what}: {estimate_text(estimate, unit)}, expected at most {text(limit, unit)}.",
        status="confirmed" if (estimate.high or estimate.median) <= limit else "deviates",
        figure=what,
        expected=f"at most {text(limit, unit)}",
        measured=estimate_text(estimate, unit),
    )


def same(results: Results, metrics: Mapping[str, float], measure: str, what: str, **levels: Level) -> Finding:
    """Say whether metrics of one cell have exactly these values in every replicate."""
    expected = ", ".join(f"{words_of(metric)} = {number(value, 0)}" for metric, value in metrics.items())
    readings = {metric: results.readings(metric, measure, **levels) for metric in metrics}
    if not all(readings.values()):
        return _absent(what, expected)
    measured = ", ".join(
        f"{words_of(metric)} = {' or '.join(f'{value:g}' for value in sorted(set(values)))}"
        for metric, values in readings.items()
    )
    holds = all(set(readings[metric]) == {value} for metric, value in metrics.items())
    return Finding(
        sentence=f"{what}: {measured}; expected {expected}.",
        status="confirmed" if holds else "deviates",
        figure=what,
        expected=expected,
        measured=measured,
    )


def agreement(
    results: Results,
    metrics: Iterable[str],
    measure: str,
    what: str,
    where: Mapping[str, Level | Sequence[Level]] | None = None,
    *,
    exact: bool = True,
) -> Finding:
    """Say in how many cells the prediction holds, and how far off the worst one is.

    Only cells with a claim count: see `toolkit.analysis.comparison`. `exact` chooses between exact predictions
    and models.
    """
    chosen = set(metrics)
    keys = {trial.key for trial in results.trials(measure, where)}
    compared = [
        one
        for one in compare(results)
        if one.metric in chosen
        and one.measure == measure
        and one.exact == exact
        and one.holds is not None
        and any(key in keys for key in one.keys)
    ]
    if not compared:
        return _absent(what, "a prediction that holds")
    holding = [one for one in compared if one.holds]
    worst = max(compared, key=_off)
    measured = f"{len(holding)} of {len(compared)} cells hold; the worst is off by {_off_text(worst)}"
    return Finding(
        sentence=f"{what}: {measured}.",
        status="confirmed" if len(holding) == len(compared) else "deviates",
        figure=what,
        expected=_allowance(worst),
        measured=measured,
    )


def spread(results: Results, metric: str, measure: str, what: str, *, pages: int, count: int) -> Finding:
    """Say how far the readings of the same trial lie apart, in the cell where they lie farthest apart.

    Parameters
    ----------
    results : Results
    metric, measure : str
        A metric in bytes.
    what : str
        The figure in question, in words.
    pages : int
        How far apart they may lie.
    count : int
        How many readings a cell must have to be looked at.
    """
    expected = f"0 to {pages} page" + ("s" if pages > 1 else "")
    ranges = []
    for cell in results.cells(metric, measure):
        readings = results.readings(metric, measure, **cell.levels)
        page_bytes = int(cell.trial.conditions["page_bytes"])
        if len(readings) >= count:
            ranges.append((max(readings) - min(readings)) / page_bytes)
    if not ranges:
        return _absent(what, expected)
    measured = f"{number(max(ranges), 0)} pages at most, in {len(ranges)} cells"
    return Finding(
        sentence=f"{what}: {measured}; expected {expected}.",
        status="confirmed" if max(ranges) <= pages else "deviates",
        figure=what,
        expected=expected,
        measured=measured,
    )


def _absent(what: str, expected: str) -> Finding:
    return Finding(
        sentence=f"{what}: not measured; the store holds no such trial.",
        status="observed",
        figure=what,
        expected=expected,
        measured="not measured",
    )


def _told(levels: Mapping[str, Level]) -> str:
    return ", ".join(f"{name}={level}" for name, level in levels.items())


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    low, high = (None if end is None else end * factor for end in (estimate.low, estimate.high))
    return Estimate(estimate.median * factor, low, high, estimate.count)


def _matches(levels: Mapping[str, Level], where: Mapping[str, Level | Sequence[Level]]) -> bool:
    return all(
        levels.get(name) in (wanted if isinstance(wanted, list | tuple) else (wanted,))
        for name, wanted in where.items()
    )


def _off(one: Comparison) -> float:
    if not one.exact:
        off = one.deviation_percent
    else:
        off = one.deviation_pages if one.measure == "resident" else one.deviation_arrays
    return abs(one.deviation if off is None else off)


def _off_text(one: Comparison) -> str:
    return f"{number(_off(one))}{_unit_text(one)}"


def _allowance(one: Comparison) -> str:
    if not one.exact:
        return f"within {MODEL_TOLERANCE_PERCENT:g} %"
    if one.deviation_arrays is None:
        return "equal"
    if one.measure == "resident":
        return f"within {RESIDENT_TOLERANCE_PAGES} pages"
    return f"within {TRACED_TOLERANCE_ARRAYS:g} S"


def _unit_text(one: Comparison) -> str:
    if not one.exact:
        return " %"
    if one.deviation_arrays is None:
        return ""
    return " pages" if one.measure == "resident" else " S"
