"""What is still there at the end, split by what it waits for."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Patch

from toolkit.analysis.comparison import with_predictions
from toolkit.analysis.results import Cell, Results
from toolkit.report import Figure
from toolkit.report.charts._canvas import (
    MOST_BARS,
    array_bytes_of,
    bar_rows,
    beside_bar,
    canvas,
    cell_labels,
    explained,
    legend,
    missing,
    number_axis,
)
from toolkit.report.style import HATCHES, PAPER, PREDICTED_BAR, SERIES
from toolkit.report.units import text
from toolkit.trials import Level

#: The readings after the end, and what went away between each and the next.
_READINGS = {
    "resident": ("end_rss_bytes", "dropped_rss_bytes", "collected_rss_bytes", "trimmed_rss_bytes"),
    "traced": ("end_traced_bytes", "dropped_traced_bytes", "collected_traced_bytes"),
}
_PARTS = (
    "held by the result",
    "garbage awaiting collection",
    "retained by the allocator",
    "still there after all",
)
#: Of the width of a figure.
_SEEN_SHARE = 0.004


class _End(NamedTuple):
    cell: Cell
    parts: tuple[float, ...]
    predicted: float | None


def waiting(
    results: Results,
    *,
    name: str,
    title: str,
    caption: str = "",
    measure: str = "resident",
    by: Iterable[str] | None = None,
    where: Mapping[str, Level | Sequence[Level]] | None = None,
) -> Figure:
    """Draw what each cell holds when its workload has ended: a bar of parts, over what was predicted.

    The parts are differences of the readings at the end, with the result dropped, garbage collected and the
    allocator trimmed. The parts never exceed what is held.

    Parameters
    ----------
    results : Results
    name, title, caption : str
        Of the figure. The caption is followed by what the marks mean.
    measure : {"resident", "traced"}
        Traced bytes know no allocator: they have no third part.
    by, where : optional
        As in `Results.cells`.

    Returns
    -------
    Figure
        Of at most 40 bars: the caption says how many more cells there are.
    """
    readings = _READINGS[measure]
    cells = with_predictions(results, readings[0], measure, by, where)
    later = [
        {cell.identity: cell.estimate.median for cell in results.cells(reading, measure, by, where)}
        for reading in readings[1:]
    ]
    ends = [
        _End(cell, _parts([cell.estimate.median, *(some[cell.identity] for some in later)]), predicted)
        for cell, predicted in cells
        if all(cell.identity in some for some in later)
    ]
    if not ends:
        return missing(name, title, caption, f"{measure} trial with {' and '.join(readings)} here")
    found, ends = len(ends), ends[:MOST_BARS]
    how = " Medians at the end of the workload, split by what makes the bytes go away."
    if any(end.predicted is not None for end in ends):
        how += " Wide and pale: predicted for the end, before the result is dropped."
    how += _too_thin(measure, ends)
    if found > len(ends):
        how += f" The first {len(ends)} of {found} cells; the table has all."
    return explained(
        results,
        name,
        title,
        caption + how,
        _in_words(measure, ends),
        lambda: _draw(title, measure, ends),
        [end.cell for end in ends],
    )


def _parts(readings: Sequence[float]) -> tuple[float, ...]:
    # What a later reading has more than an earlier one was not held at the end, and belongs to no part of it.
    left = [max(0.0, reading) for reading in accumulate(readings, min)]
    return (*(before - after for before, after in pairwise(left)), left[-1])


def _names(measure: str) -> tuple[str, ...]:
    return _PARTS if measure == "resident" else (*_PARTS[:2], _PARTS[3])


def _draw(title: str, measure: str, ends: Sequence[_End]) -> Drawing:
    drawing, axes = canvas(title, height=1.7 + 0.36 * len(ends))
    cells = [end.cell for end in ends]
    rows = range(len(ends) - 1, -1, -1)
    axes.barh(rows, [end.predicted or 0 for end in ends], height=0.84, **PREDICTED_BAR)
    starts = [0.0] * len(ends)
    handles = []
    seen = _seen(measure, ends)
    for place, name in enumerate(_names(measure)):
        look: dict[str, Any] = {"facecolor": SERIES[place], "hatch": HATCHES[place], "edgecolor": PAPER}
        widths = [end.parts[place] for end in ends]
        axes.barh(rows, widths, left=starts, height=0.46, **look)
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
        if name in seen:
            handles.append(Patch(**look, label=name))
    largest = max(*starts, *(end.predicted or 0 for end in ends))
    for row, end, total in zip(rows, ends, starts, strict=True):
        beside_bar(axes, max(total, end.predicted or 0), row, text(total, "bytes"))
    if any(end.predicted for end in ends):
        handles.append(Patch(**PREDICTED_BAR, label="predicted for the end, nothing dropped yet"))
    bar_rows(axes, rows, cells)
    axes.set_xlim(0, largest * 1.22 or 1)
    number_axis(axes, "x", "bytes", largest, f"{measure} bytes at the end", array_bytes_of(cells))
    legend(drawing, handles)
    return drawing


def _seen(measure: str, ends: Sequence[_End]) -> set[str]:
    """Return the parts of which some bar shows so much that it can be seen."""
    largest = max(max(sum(end.parts), end.predicted or 0) for end in ends)
    return {
        name
        for place, name in enumerate(_names(measure))
        if max(end.parts[place] for end in ends) > _SEEN_SHARE * largest
    }


def _too_thin(measure: str, ends: Sequence[_End]) -> str:
    most = {name: max(end.parts[place] for end in ends) for place, name in enumerate(_names(measure))}
    seen = _seen(measure, ends)
    told = [
        f"{name}, {text(part, 'bytes')} at most" for name, part in most.items() if part and name not in seen
    ]
    return f" Too thin to be seen: {'; '.join(told)}." if told else ""


def _in_words(measure: str, ends: Sequence[_End]) -> str:
    def told(end: _End) -> str:
        parts = zip(_names(measure), end.parts, strict=True)
        return ", ".join(f"{text(part, 'bytes')} {name}" for name, part in parts if part) or "nothing"

    labels = cell_labels([end.cell for end in ends])
    cells = (f"{label or 'all trials'}: {told(end)}" for label, end in zip(labels, ends, strict=True))
    return f"Bars of {measure} bytes at the end. {'; '.join(cells)}."
