"""Memory over the iterations of a loop, with the runs of the collector marked."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from toolkit.analysis.results import Cell, Results, Series
from toolkit.report import Figure, style
from toolkit.report.charts._canvas import (
    array_bytes_of,
    canvas,
    explained,
    iteration_axis,
    legend,
    logarithmic_axis,
    missing,
    number_axis,
    unnamed_factor,
    with_series,
)
from toolkit.report.units import text
from toolkit.trials import Level

_METRICS = {
    "resident": ("event_rss_bytes", "peak_rss_bytes"),
    "traced": ("event_traced_bytes", "peak_traced_bytes"),
}
_PREDICTED = "predicted_peak_bytes"
#: Of the height of a figure.
_THICKNESS_SHARE = 0.005


class _Line(NamedTuple):
    label: str
    cell: Cell
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    collections: npt.NDArray[np.float64]
    predicted: float | None


def timeline(
    results: Results,
    *,
    name: str,
    title: str,
    caption: str = "",
    measure: str = "resident",
    by: Iterable[str] | None = None,
    where: Mapping[str, Level | Sequence[Level]] | None = None,
    logarithmic: bool = False,
    step: str = "iteration",
) -> Figure:
    """Draw the memory after each event of the core over the iterations, a line for each cell.

    Lines that would cover each other are one, with the names of all.

    Parameters
    ----------
    results : Results
    name, title, caption : str
        Of the figure. The caption is followed by what the marks mean.
    measure : {"resident", "traced"}
        Of each cell that trial is drawn whose peak is nearest to the cell's median.
    by, where : optional
        As in `Results.cells`. Six lines at most can be told apart.
    logarithmic : bool
        Of the y axis: for cells of which some hold hundreds of times as much as others.
    step : str
        What one step of the loop is called.
    """
    series_name, peak = _METRICS[measure]
    cells = results.cells(peak, measure, by, where)
    lines = [
        _line(label, cell, series, series_name)
        for label, cell, series in with_series(results, cells, series_name)
        if "event_step" in series
    ]
    if not lines:
        return missing(name, title, caption, f"{measure} trial with {series_name} here")
    lines = _apart(lines)
    how = (
        " One trial of each cell, read after every event of the core. A number on the axis stands where that "
    )
    how += f"{step} ends: its events are spread evenly before it."
    if any(len(line.collections) for line in lines):
        how += " Triangles: runs of the collector."
    if any(line.predicted is not None for line in lines):
        how += " Wide and pale: predicted peak."
    return explained(
        results,
        name,
        title,
        caption + how,
        _in_words(measure, lines),
        lambda: _draw(title, measure, lines, logarithmic, step, unnamed_factor(cells)),
        cells,
    )


def _line(label: str, cell: Cell, series: Series, series_name: str) -> _Line:
    predicted = cell.trial.metrics.get(_PREDICTED)
    return _Line(
        label,
        cell,
        _within_steps(series["event_step"]),
        np.asarray(series[series_name], dtype=np.float64),
        np.asarray(series.get("collection_step", ()), dtype=np.float64),
        None if predicted is None else float(predicted),
    )


def _apart(lines: Sequence[_Line]) -> list[_Line]:
    """Return the lines that can be told apart: of those that cover each other the first, named after all."""
    largest = max(float(line.y.max()) for line in lines)
    found: list[_Line] = []
    for line in lines:
        same = next((place for place, one in enumerate(found) if _cover(one, line, largest)), None)
        if same is None:
            found.append(line)
        else:
            found[same] = found[same]._replace(label=f"{found[same].label}; {line.label}")
    return found


def _cover(one: _Line, other: _Line, largest: float) -> bool:
    return (
        one.predicted == other.predicted
        and np.array_equal(one.x, other.x)
        and np.array_equal(one.collections, other.collections)
        and float(np.abs(one.y - other.y).max()) < _THICKNESS_SHARE * largest
    )


def _within_steps(steps: npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Spread the events of one step evenly over it: the core tells the step of an event, not when in it."""
    first = np.r_[True, steps[1:] != steps[:-1]]
    starts = np.flatnonzero(first)
    group = np.cumsum(first) - 1
    counts = np.diff(np.r_[starts, len(steps)])
    return np.asarray(steps + (np.arange(len(steps)) - starts[group] + 1) / counts[group], dtype=np.float64)


def _draw(
    title: str, measure: str, lines: Sequence[_Line], logarithmic: bool, step: str, factor: str
) -> Drawing:
    drawing, axes = canvas(title, height=3.7)
    handles = []
    for place, line in enumerate(lines):
        look = style.line(place) | {"marker": "", "linewidth": 1.3}
        if line.predicted is not None:
            ends = [line.x[0], line.x[-1]]
            axes.plot(ends, [line.predicted] * 2, color=look["color"], **style.PREDICTED_LINE)
        axes.plot(line.x, line.y, **look)
        # A collection falls between two events: its mark stands on the last one before it.
        at = np.clip(np.searchsorted(line.x, line.collections, side="right") - 1, 0, None)
        axes.plot(line.x[at], line.y[at], "v", color=look["color"], markeredgecolor=style.PAPER, zorder=4)
        handles.append(Line2D([], [], **look, label=line.label or "measured"))
    if any(len(line.collections) for line in lines):
        handles.append(Line2D([], [], linestyle="", marker="v", color=style.INK, label="collection"))
    if any(line.predicted is not None for line in lines):
        handles.append(Line2D([], [], color=style.MUTED, **style.PREDICTED_LINE, label="predicted peak"))
    largest = max(max(line.y.max(), line.predicted or 0) for line in lines)
    axes.margins(x=0.01)
    iteration_axis(axes, step)
    array_bytes = array_bytes_of([line.cell for line in lines])
    above_0 = [float(line.y[line.y > 0].min()) for line in lines if (line.y > 0).any()]
    if logarithmic and above_0:
        logarithmic_axis(axes, "y", "bytes", min(above_0) / 1.5, largest * 1.5, f"{measure} bytes")
    else:
        axes.set_ylim(min(0.0, *(line.y.min() for line in lines)) * 1.05, largest * 1.08)
        number_axis(axes, "y", "bytes", largest, f"{measure} bytes", array_bytes)
    legend(drawing, handles, factor)
    return drawing


def _in_words(measure: str, lines: Sequence[_Line]) -> str:
    told = (
        f"{line.label or 'measured'}: at most {text(float(line.y.max()), 'bytes')}, "
        f"{text(float(line.y[-1]), 'bytes')} after the last event, {len(line.collections)} collections"
        + ("" if line.predicted is None else f", predicted peak {text(line.predicted, 'bytes')}")
        for line in lines
    )
    return f"Lines of {measure} bytes over iterations. {'; '.join(told)}."
