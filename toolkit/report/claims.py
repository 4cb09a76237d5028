"""Findings that compare what was measured with what it must be, in sentences."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from string import Formatter

from toolkit.analysis import statistics
from toolkit.analysis.comparison import compare
from toolkit.analysis.noise import Effect, effect, resolution
from toolkit.analysis.observing import Twin
from toolkit.analysis.results import Cell, Results
from toolkit.analysis.statistics import Estimate
from toolkit.report import Finding, Unit
from toolkit.report.observers import remark
from toolkit.report.units import estimate_text, levels_text, number, text, unit_of, words_of
from toolkit.trials import Level

__all__ = [
    "agreement",
    "alike",
    "at_most",
    "at_most_anywhere",
    "everywhere",
    "in_arrays",
    "memory_agreement",
    "ratio_text",
    "same",
    "spread",
    "times_as_much",
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
        return _absent(what, f"{number(expected, 3)} S")
    array_bytes = 8 * int(levels["n"])
    arrays = _scaled(estimate, 1 / array_bytes)
    holds = abs(arrays.median - expected) <= within
    expectation = f"{number(expected, 3)} S, within {within:g} S"
    measured = f"{number(arrays.median, 3)} S"
    made = Finding(
        sentence=f"{what}: {measured} ({estimate_text(estimate, 'bytes')}), expected {expectation}.",
        status="confirmed" if holds else "deviates",
        figure=what,
        expected=expectation,
        measured=measured,
    )
    return _labelled(made, results.cells(metric, measure, (), levels))


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

    Where the two do not differ by more than replicates of one cell do, or by more than a reading may be off on the
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
        kind = "an interval of" if differs.shift.is_interval else "which covers the true one with"
        told += f" The shift between them is {estimate_text(differs.shift, unit)}, {kind} {covers}"
        floor = f"; the noise floor {text(differs.floor, unit)}" if differs.floor is not None else ""
        told += "." if why else f"{floor}; Cliff's delta {number(differs.delta)}."
    made = Finding(sentence=told)
    both = (results.cells(metric, measure, (), {**some, **levels}) for some in (more, less))
    return _labelled(made, itertools.chain(*both))


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
    return f"not told apart on this machine, where replicates of one cell differ by up to {floor}"


def at_most(results: Results, metric: str, measure: str, what: str, limit: float, **levels: Level) -> Finding:
    """Say whether the whole interval of a metric is at most `limit`, in the unit of the metric."""
    unit = unit_of(metric)
    estimate = results.at(metric, measure, **levels)
    if estimate is None:
        return _absent(what, f"at most {text(limit, unit)}")
    made = Finding(
        sentence=f"{what}: {estimate_text(estimate, unit)}, expected at most {text(limit, unit)}.",
        status="confirmed" if (estimate.high or estimate.median) <= limit else "deviates",
        figure=what,
        expected=f"at most {text(limit, unit)}",
        measured=estimate_text(estimate, unit),
    )
    return _labelled(made, results.cells(metric, measure, (), levels))


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
    trials = [trial for trial in results.trials(measure, where) if metric in trial.metrics]
    if not trials:
        return _absent(what, f"at most {text(limit, unit)}")
    cells = results.cells(metric, measure, None, where)
    most = max(trial.metrics[metric] for trial in trials)
    measured = f"{text(most, unit)} or less in {len(cells)} cells"
    made = Finding(
        sentence=f"{what}: {measured}; expected at most {text(limit, unit)}.",
        status="confirmed" if most <= limit else "deviates",
        figure=what,
        expected=f"at most {text(limit, unit)}",
        measured=measured,
    )
    return _labelled(made, cells)


def same(results: Results, metrics: Mapping[str, float], measure: str, what: str, **levels: Level) -> Finding:
    """Say whether metrics of one cell have exactly these values in every replicate."""
    expected = ", ".join(f"{words_of(metric)} = {_whole(value)}" for metric, value in metrics.items())
    readings = {metric: results.readings(metric, measure, **levels) for metric in metrics}
    if not all(readings.values()):
        return _absent(what, expected)
    measured = ", ".join(
        f"{words_of(metric)} = {' or '.join(_beside(value, metrics[metric]) for value in sorted(set(values)))}"
        for metric, values in readings.items()
    )
    holds = all(set(readings[metric]) == {value} for metric, value in metrics.items())
    made = Finding(
        sentence=f"{what}: {measured}; expected {expected}.",
        status="confirmed" if holds else "deviates",
        figure=what,
        expected=expected,
        measured=measured,
    )
    return _flagged(made, results.observed.changed(results.trials(measure, levels)))


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
        return _absent(what, f"{expected} in every cell")
    found = len({trial.metrics[metric] for trial in trials})
    alike = f"the same in all {len(cells)} cells"
    measured = alike if found == 1 else f"{found} different ones in {len(cells)} cells"
    made = Finding(
        sentence=f"{what}: {words_of(metric)}, {measured}; expected {expected}.",
        status="confirmed" if found == 1 else "deviates",
        figure=what,
        expected=expected,
        measured=measured,
    )
    return _labelled(made, cells)


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
        return _absent(what, "a prediction that holds")
    judged = [one for one in compared if one.off is not None]
    if not judged:
        claim = compared[0].allowance
        return Finding(
            sentence=f"{what}: {claim}.", figure=what, expected="a prediction that holds", measured=claim
        )
    holding = sum(bool(one.holds) for one in judged)
    worst = max(judged, key=lambda one: abs(one.off or 0))
    off = f"{number(abs(worst.off or 0))}{worst.off_unit}"
    measured = f"{holding} of {len(judged)} cells hold; the worst is off by {off}"
    made = Finding(
        sentence=f"{what}: {measured}.",
        status="confirmed" if holding == len(judged) else "deviates",
        figure=what,
        expected=" or ".join(dict.fromkeys(one.allowance for one in judged)),
        measured=measured,
    )
    return _flagged(made, [twin for one in judged for twin in one.changed_by])


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
    judged = [
        (version, *answer)
        for level, version in results.interpreters(measure).items()
        if (answer := judge(level)) is not None
    ]
    if not judged:
        return _absent(what, "in every interpreter")
    holding = [version for version, holds, _ in judged if holds]
    told = "; ".join(
        f"{'' if holds else 'not '}on {version}, {numbers}" for version, holds, numbers in judged
    )
    measured = f"on {len(holding)} of {len(judged)}" + (f": Python {', '.join(holding)}" if holding else "")
    made = Finding(
        sentence=f"{what}: {told}.",
        status="confirmed" if len(holding) == len(judged) else "deviates",
        figure=what,
        expected="in every interpreter that ran",
        measured=measured,
    )
    return _labelled(made, cells)


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
        return _absent(what, expected)
    measured = f"{number(max(ranges))} pages at most, in {len(ranges)} cells"
    made = Finding(
        sentence=f"{what}: {measured}; expected {expected}.",
        status="confirmed" if max(ranges) <= pages else "deviates",
        figure=what,
        expected=expected,
        measured=measured,
    )
    return _labelled(made, cells)


def _labelled(made: Finding, cells: Iterable[Cell]) -> Finding:
    """Say of a finding that it rests on estimates, where it does: they confirm and refute nothing.

    And where the probes that took its figures change what they watch, say that.
    """
    cells = tuple(cells)
    made = _flagged(made, [twin for cell in cells for twin in cell.changed_by])
    if not any(cell.estimated for cell in cells):
        return made
    measured = f"{made.measured} (estimate)" if made.measured else ""
    sentence = f"{made.sentence} These are estimates: the platform tells no exact resident set."
    return replace(made, sentence=sentence, status="observed", measured=measured)


def _flagged(made: Finding, changed_by: Iterable[Twin]) -> Finding:
    told = remark(changed_by)
    return replace(made, sentence=f"{made.sentence} {told}") if told else made


def _absent(what: str, expected: str) -> Finding:
    return Finding(
        sentence=f"{what}: not measured; the store holds no such trial.",
        status="observed",
        figure=what,
        expected=expected,
        measured="not measured",
    )


def _whole(value: float) -> str:
    return number(value, 0 if float(value).is_integer() else None)


def _beside(value: float, expected: float) -> str:
    """Return a number as `_whole` does, in full where it would read like an expected one that it is not."""
    return repr(value) if value != expected and _whole(value) == _whole(expected) else _whole(value)


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    low, high = (None if end is None else end * factor for end in (estimate.low, estimate.high))
    return replace(estimate, median=estimate.median * factor, low=low, high=high)
