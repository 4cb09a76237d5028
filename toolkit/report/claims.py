"""Findings that compare what was measured with what it must be, in sentences."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from toolkit.analysis import statistics
from toolkit.analysis.comparison import allowances, compare
from toolkit.analysis.results import Cell, Results
from toolkit.report import Finding
from toolkit.report.finding import absent, flagged, judged
from toolkit.report.units import counted, estimate_text, number, text, unit_of, words_of
from toolkit.trials import Level

__all__ = [
    "agreement",
    "alike",
    "at_most",
    "at_most_anywhere",
    "everywhere",
    "in_arrays",
    "memory_agreement",
    "same",
    "spread",
]


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
        return absent(what, f"{number(expected, 3)} S")
    array_bytes = 8 * int(levels["n"])
    arrays = estimate.median / array_bytes
    # Each trial, and not their median, which would hide one that is off.
    readings = results.readings(metric, measure, **levels)
    expectation = f"{number(expected, 3)} S, within {within:g} S"
    measured = f"{number(arrays, 3)} S"
    return judged(
        what,
        measured,
        expectation,
        all(abs(reading / array_bytes - expected) <= within for reading in readings),
        results.cells(metric, measure, (), levels),
        sentence=f"{what}: {measured} ({estimate_text(estimate, 'bytes')}), expected {expectation}.",
    )


def at_most(results: Results, metric: str, measure: str, what: str, limit: float, **levels: Level) -> Finding:
    """Say whether the whole interval of a metric is at most `limit`, in the unit of the metric."""
    unit = unit_of(metric)
    estimate = results.at(metric, measure, **levels)
    expected = f"at most {text(limit, unit)}"
    if estimate is None:
        return absent(what, expected)
    measured = estimate_text(estimate, unit)
    return judged(
        what,
        measured,
        expected,
        (estimate.high or estimate.median) <= limit,
        results.cells(metric, measure, (), levels),
        sentence=f"{what}: {measured}, expected {expected}.",
    )


def at_most_anywhere(
    results: Results,
    metric: str,
    measure: str,
    what: str,
    limit: float,
    where: Mapping[str, Level | Sequence[Level]] | None = None,
) -> Finding:
    """Say whether a metric is at most `limit`, in its own unit, in every trial that has these levels."""
    unit = unit_of(metric)
    expected = f"at most {text(limit, unit)}"
    readings = [trial.metrics[metric] for trial in results.trials(measure, where) if metric in trial.metrics]
    if not readings:
        return absent(what, expected)
    cells = results.cells(metric, measure, None, where)
    measured = f"{text(max(readings), unit)} or less in {counted(len(cells), 'cell')}"
    return judged(what, measured, expected, max(readings) <= limit, cells)


def same(results: Results, metrics: Mapping[str, float], measure: str, what: str, **levels: Level) -> Finding:
    """Say whether metrics of one cell have exactly these values in every replicate."""
    expected = ", ".join(f"{words_of(metric)} = {_whole(value)}" for metric, value in metrics.items())
    readings = {metric: results.readings(metric, measure, **levels) for metric in metrics}
    if not all(readings.values()):
        return absent(what, expected)
    measured = ", ".join(
        f"{words_of(metric)} = {' or '.join(_beside(value, metrics[metric]) for value in sorted(set(values)))}"
        for metric, values in readings.items()
    )
    holds = all(set(readings[metric]) == {value} for metric, value in metrics.items())
    cells = [cell for metric in metrics for cell in results.cells(metric, measure, None, levels)]
    return judged(what, measured, expected, holds, cells)


def alike(
    results: Results,
    metric: str,
    measure: str,
    what: str,
    where: Mapping[str, Level | Sequence[Level]] | None = None,
) -> Finding:
    """Say whether a metric is exactly the same in every trial that has these levels, whatever their other levels.

    Parameters
    ----------
    results : Results
    metric, measure : str
    what : str
        The figure in question, in words.
    where : optional
        As in `Results.cells`.
    """
    expected = f"the same {words_of(metric)}"
    trials = [trial for trial in results.trials(measure, where) if metric in trial.metrics]
    cells = results.cells(metric, measure, None, where)
    if len(cells) < 2:
        return absent(what, f"{expected} in every cell")
    found = len({trial.metrics[metric] for trial in trials})
    alike = f"the same in all {len(cells)} cells"
    measured = alike if found == 1 else f"{found} different ones in {len(cells)} cells"
    sentence = f"{what}: {words_of(metric)}, {measured}; expected {expected}."
    return judged(what, measured, expected, found == 1, cells, sentence=sentence)


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
        and any(key in keys for key in one.keys)
    ]
    if not compared:
        return absent(what, "a prediction that holds")
    claimed = [one for one in compared if one.off is not None]
    if not claimed:
        claim = compared[0].allowance
        return Finding(
            sentence=f"{what}: {claim}.", figure=what, expected="a prediction that holds", measured=claim
        )
    holding = sum(bool(one.holds) for one in claimed)
    worst = max(claimed, key=lambda one: abs(one.off or 0))
    off = f"{number(abs(worst.off or 0))}{worst.off_unit}"
    hold = "holds" if len(claimed) == 1 else "hold"
    measured = f"{holding} of {counted(len(claimed), 'cell')} {hold}; the worst is off by {off}"
    made = Finding(
        sentence=f"{what}: {measured}.",
        status="confirmed" if holding == len(claimed) else "deviates",
        figure=what,
        expected=allowances(claimed),
        measured=measured,
    )
    return flagged(made, [twin for one in claimed for twin in one.changed_by])


def memory_agreement(results: Results, what: str) -> Iterator[Finding]:
    """Say of traced and of resident trials in how many cells the exact predictions of peak and end hold."""
    for measure, name in (("traced", "traced"), ("resident", "rss")):
        metrics = [f"peak_{name}_bytes", f"end_{name}_bytes"]
        yield agreement(results, metrics, measure, f"{what}: {measure} peak and end against the prediction")


def everywhere(
    results: Results,
    measure: str,
    what: str,
    judge: Callable[[Level], tuple[bool, str] | None],
    cells: Iterable[Cell] = (),
) -> Finding:
    """Say whether a conclusion holds in every interpreter that trials ran in.

    Parameters
    ----------
    results : Results
        Of an experiment with the factor or constant `python`.
    measure : str
        Whose trials are judged.
    what : str
        The conclusion, as a clause.
    judge : callable
        ``judge(level)`` returns whether the conclusion holds for that level of `python`, and the numbers that
        tell so; None where the store does not hold the trials.
    cells : iterable of Cell
        On which it rests.
    """
    answers = [
        (version, *answer)
        for level, version in results.interpreters(measure).items()
        if (answer := judge(level)) is not None
    ]
    if not answers:
        return absent(what, "in every interpreter")
    holding = [version for version, holds, _ in answers if holds]
    told = "; ".join(
        f"{'' if holds else 'not '}on {version}, {numbers}" for version, holds, numbers in answers
    )
    measured = f"on {len(holding)} of {len(answers)}" + (f": Python {', '.join(holding)}" if holding else "")
    return judged(
        what,
        measured,
        "in every interpreter that ran",
        len(holding) == len(answers),
        cells,
        sentence=f"{what}: {told}.",
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
    cells = results.cells(metric, measure)
    for cell in cells:
        readings = results.readings(metric, measure, **cell.levels)
        page_bytes = int(cell.trial.conditions["page_bytes"])
        if len(readings) >= count:
            ranges.append(statistics.spread(readings) / page_bytes)
    if not ranges:
        return absent(what, expected)
    measured = f"{number(max(ranges))} pages at most, in {counted(len(ranges), 'cell')}"
    return judged(what, measured, expected, max(ranges) <= pages, cells)


def _whole(value: float) -> str:
    return number(value, 0 if float(value).is_integer() else None)


def _beside(value: float, expected: float) -> str:
    """Return a number as `_whole` does, in full where it would read like an expected one that it is not."""
    return repr(value) if value != expected and _whole(value) == _whole(expected) else _whole(value)
