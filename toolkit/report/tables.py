"""The tables of one experiment, and the table of what the report must show."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from toolkit.analysis.comparison import Comparison
from toolkit.analysis.predictions import SYMBOLS
from toolkit.analysis.results import Cell, Results
from toolkit.probes.ledger import PHASES, ROLES
from toolkit.report import Column, Finding, Table, Unit, Value
from toolkit.report.observers import FLAG, marked, remark, state
from toolkit.report.units import number, text, unit_of, words_of
from toolkit.trials import Measure
from toolkit.trials.measuring import probe_details

#: The metrics that the table of medians begins with, and the measure that each is taken from.
_LEADING: Mapping[str, Measure] = {
    "peak_rss_bytes": "resident",
    "sampled_peak_rss_bytes": "resident",
    "end_rss_bytes": "resident",
    "peak_traced_bytes": "traced",
    "end_traced_bytes": "traced",
    "gc_collections_count": "resident",
    "gc_pause_max_seconds": "timed",
    "wall_seconds": "timed",
}

#: In what the clock of a metric counts, where that may be more than what it is to tell.
_CLOCK_STEPS = {"cpu_seconds": "cpu_step_seconds"}

#: The metrics that the table of the composition has, under the names that people read.
_COMPOSITION = {
    "ledger_peak_bytes": "peak",
    **{f"ledger_{role}_at_peak_bytes": "saved tensor" if role == "saved" else role for role in ROLES},
    **{f"ledger_{phase}_peak_bytes": f"{phase} peak" for phase in PHASES[:-1]},
    "ledger_release_peak_bytes": "left by a release",
    "ledger_arrays_count": "arrays met",
}


def medians(results: Results, stem: str) -> Table:
    """Return the medians of each cell: the leading metrics, then the others but for details of probes."""
    recorded = dict.fromkeys(name for row in results.rows for name in row.metrics)
    left_out = probe_details()
    others = (name for name in recorded if name not in left_out and not name.startswith("predicted_"))
    found = {metric: _cells(results, metric) for metric in dict.fromkeys((*_LEADING, *others))}
    told = {
        metric: {cell.identity: cell.estimate for cell in cells if _tells(metric, cell)}
        for metric, cells in found.items()
        # What never happened in any cell would be a column of zeros.
        if any(cell.estimate.median and _tells(metric, cell) for cell in cells)
    }
    columns = (
        Column(heading=_heading(metric, found[metric]), name=metric, unit=unit_of(metric)) for metric in told
    )
    return Table(
        stem=stem,
        title="Medians of each cell",
        columns=(*_level_columns(results.varying), *columns),
        rows=tuple(
            (*levels.values(), *(own.get(tuple(levels.items())) for own in told.values()))
            for levels in results.combinations
        ),
        notes=(*_notes(found[metric][0] for metric in told), *_clock_notes(found)),
    )


def _tells(metric: str, cell: Cell) -> bool:
    """Return whether a reading is more than the clock that it was taken by can tell."""
    return metric not in _CLOCK_STEPS or cell.estimate.median >= _step(metric, cell)


def _step(metric: str, cell: Cell) -> float:
    return cell.trial.metrics.get(_CLOCK_STEPS[metric], 0.0)


def _clock_notes(found: Mapping[str, Sequence[Cell]]) -> Iterator[str]:
    for metric in _CLOCK_STEPS:
        step = max((_step(metric, cell) for cell in found.get(metric, ())), default=0.0)
        if step:
            yield (
                f"{words_of(metric)} is read off a clock that goes on by {text(step, 'seconds')}, as these trials "
                "saw it: a figure may be off by that, and one that is less is not shown."
            )


def composition(results: Results, stem: str) -> Table | None:
    """Return of what the peak of each cell consisted, as the ledger tells it; None where no trial has one.

    The numbers of a row come from one trial, so that the roles add up to the peak.
    """
    cells = results.cells("ledger_peak_bytes", "ledger")
    told = {
        metric: heading
        for metric, heading in _COMPOSITION.items()
        if any(cell.trial.metrics[metric] for cell in cells)
    }
    if not told:
        return None
    columns = (Column(heading=heading, name=metric, unit=unit_of(metric)) for metric, heading in told.items())
    return Table(
        stem=stem,
        title="Composition at the peak: logical bytes by role",
        columns=(
            *_level_columns(results.varying),
            *columns,
            Column(heading="observer effect", name="observer_effect"),
        ),
        rows=tuple(
            (
                *cell.levels.values(),
                *(cell.trial.metrics[metric] for metric in told),
                _observer_effect(results, cell),
            )
            for cell in cells
        ),
        notes=_notes(cells),
    )


def _observer_effect(results: Results, cell: Cell) -> str:
    effect = state(results.observed, "ledger")
    # What moves collections moves nothing where none decides.
    if cell.changed_by:
        return marked(effect, True)
    return effect if not results.observed.changing("ledger") else "none"


def _cells(results: Results, metric: str) -> tuple[Cell, ...]:
    # What takes resident and traced figures makes the trial slower.
    wanted = _LEADING.get(metric, _obvious_measure(metric))
    measures = [wanted] if wanted == "timed" else [*([wanted] if wanted else []), *results.measures]
    return next((found for measure in measures if (found := results.cells(metric, measure))), ())


def _heading(metric: str, cells: Sequence[Cell]) -> str:
    measure = cells[0].trial.measure
    named = "" if measure == _obvious_measure(metric) else measure
    flagged = any(cell.changed_by for cell in cells)
    return _remarked(metric, named, estimated=any(cell.estimated for cell in cells), flagged=flagged)


def _remarked(metric: str, measure: str, *, estimated: bool, flagged: bool) -> str:
    told = {measure: bool(measure), "estimate": estimated, FLAG: flagged}
    remarks = ", ".join(word for word, holds in told.items() if holds)
    return marked(f"{words_of(metric)} ({remarks})" if remarks else words_of(metric), flagged)


def _obvious_measure(metric: str) -> Measure | None:
    """Return the measure that a metric's name tells."""
    named: Mapping[str, Measure] = {"seconds": "timed", "rss": "resident", "traced": "traced"}
    return next((measure for word, measure in named.items() if word in metric.split("_")), None)


def comparisons(compared: Sequence[Comparison], label: str, stems: Callable[[str], str]) -> tuple[Table, ...]:
    """Return measured against predicted: a table for bytes, and one for each other unit that has predictions.

    The name of each table's file is made of `label` by `stems`.
    """
    units = dict.fromkeys(unit_of(one.metric) for one in compared)
    return tuple(
        _comparison_table([one for one in compared if unit_of(one.metric) == unit], unit, stems(label))
        for unit in units
    )


def _comparison_table(compared: Sequence[Comparison], unit: Unit, stem: str) -> Table:
    ending = f"_{unit}" if unit else ""
    bytes_only = (
        Column(heading="in pages", name="deviation_pages", unit="pages", signed=True),
        Column(heading="in arrays", name="deviation_arrays", unit="S", signed=True),
    )
    columns = (
        *_level_columns(compared[0].levels),
        Column(heading="quantity", name="quantity"),
        Column(heading="measured", name=f"measured{ending}", unit=unit),
        Column(heading="predicted", name=f"predicted{ending}", unit=unit),
        Column(heading="agreement", name="agreement"),
        Column(heading="deviation", name=f"deviation{ending}", unit=unit, signed=True),
        *(bytes_only if unit == "bytes" else ()),
        Column(heading="in percent", name="deviation_percent", unit="percent", signed=True),
        Column(heading="formula", name="formula"),
        *((Column(heading="that is", name="product"),) if unit == "bytes" else ()),
    )

    def row(one: Comparison) -> tuple[Value, ...]:
        pages = one.deviation_pages if one.measure == "resident" else None
        return (
            *one.levels.values(),
            _remarked(
                one.metric,
                "" if unit == "bytes" else one.measure,
                estimated=one.estimated,
                flagged=bool(one.changed_by),
            ),
            one.measured,
            one.predicted,
            one.agreement,
            one.deviation,
            *((pages, one.deviation_arrays) if unit == "bytes" else ()),
            one.deviation_percent,
            one.basis if one.exact else f"{one.basis} (a model)".lstrip(),
            *((_product(one),) if unit == "bytes" else ()),
        )

    title = (
        "Measured against predicted"
        if unit == "bytes"
        else f"Measured against predicted: {unit or 'numbers'}"
    )
    rows = tuple(row(one) for one in compared)
    return Table(
        stem=stem, title=title, columns=columns, rows=rows, notes=(*_notes(compared), *_symbols(compared))
    )


def _product(one: Comparison) -> str | None:
    """Return what a formula comes to, as the product that the number predicted is."""
    if one.predicted_arrays is None:
        return None
    count, each = one.predicted_arrays
    return f"{number(count, 0)} × {text(each, 'bytes')}"


def _symbols(compared: Iterable[Comparison]) -> Iterator[str]:
    """Yield what the letters mean that formulas are made of: those that stand there with a value, and S."""
    words = {word for one in compared for word in re.findall(r"(?<![A-Za-z])S(?!\w)|\w+(?==)", one.basis)}
    told = [f"{symbol}: {meaning}" for symbol, meaning in SYMBOLS.items() if symbol in words]
    if told:
        yield f"In the formulas: {'; '.join(told)}."


def required(findings: Iterable[Finding], stem: str) -> Table | None:
    """Return the table of what the report must show, from the findings that say so; None where none does."""
    rows = tuple(
        (finding.figure, finding.expected, finding.measured, finding.status)
        for finding in findings
        if finding.figure and finding.expected and finding.measured
    )
    columns = tuple(
        Column(heading=heading, name=name)
        for heading, name in (
            ("figure", "figure"),
            ("must be", "expected"),
            ("measured", "measured"),
            ("agreement", "agreement"),
        )
    )
    return Table(stem=stem, title="What the report must show", columns=columns, rows=rows) if rows else None


def _notes(shown: Iterable[Cell | Comparison]) -> tuple[str, ...]:
    told = remark(twin for one in shown for twin in one.changed_by)
    return (told,) if told else ()


def _level_columns(names: Iterable[str]) -> tuple[Column, ...]:
    return tuple(Column(heading=name, name=name) for name in names)
