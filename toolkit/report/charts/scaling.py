"""How a metric grows with a factor, with the prediction under it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from toolkit.analysis.comparison import prediction_of
from toolkit.analysis.results import Cell, Results
from toolkit.report import Figure, style
from toolkit.report.charts._canvas import (
    array_bytes_of,
    canvas,
    cell_labels,
    ends_of,
    explained,
    legend,
    missing,
    number_axis,
    unnamed_factor,
)
from toolkit.report.units import estimate_text, level_text, text, unit_of, words_of
from toolkit.trials import Level

_LOGARITHMIC_FROM_RATIO = 100


class _Line(NamedTuple):
    label: str
    measured: Sequence[Cell]
    predicted: Sequence[Cell]


def scaling(
    results: Results,
    metric: str,
    measure: str,
    *,
    over: str,
    by: Sequence[str] = (),
    name: str,
    title: str,
    caption: str = "",
    where: Mapping[str, Level | Sequence[Level]] | None = None,
    logarithmic: bool = False,
) -> Figure:
    """Draw the median of a metric over the levels of a numeric factor, a line for each combination of others.

    Parameters
    ----------
    results : Results
    metric : str
        In bytes, seconds or counts.
    measure : {"resident", "traced", "timed"}
    over : str
        The factor or constant along the x axis; its levels are numbers.
    by : sequence of str
        The factors that tell lines apart.
    name, title, caption : str
        Of the figure. The caption is followed by what the marks mean.
    where : optional
        As in `Results.cells`.
    logarithmic : bool
        Of the y axis: for metrics that grow by factors. The x axis is logarithmic where its levels span more
        than a hundred.
    """
    factors = (*by, over)
    measured = results.cells(metric, measure, factors, where)
    predicted = results.cells(prediction_of(metric), measure, factors, where)
    if not measured:
        return missing(name, title, caption, f"{measure} trial with {metric} here")
    lines = _lines(measured, predicted, over)
    ends = ends_of(cell.estimate for cell in measured)
    how = f" Marks: median measured{f'; the bar through a mark spans its {ends}' if ends else ''}."
    if predicted:
        how += " Wide and pale: predicted."
    return explained(
        results,
        name,
        title,
        caption + how,
        _in_words(metric, measure, over, lines),
        lambda: _draw(metric, title, over, lines, logarithmic, unnamed_factor(_without(measured, over))),
        measured,
    )


def _without(cells: Sequence[Cell], over: str) -> list[Cell]:
    # The level along the axis differs within a line: it has no place in the line's name.
    return [
        replace(cell, levels={name: level for name, level in cell.levels.items() if name != over})
        for cell in cells
    ]


def _lines(measured: Sequence[Cell], predicted: Sequence[Cell], over: str) -> list[_Line]:
    named = _without(measured, over)
    labels = dict(zip((cell.identity for cell in named), cell_labels(named), strict=True))
    return [
        _Line(
            label,
            [cell for cell in measured if identity == cell.identity[: len(identity)]],
            [cell for cell in predicted if identity == cell.identity[: len(identity)]],
        )
        for identity, label in labels.items()
    ]


def _draw(
    metric: str, title: str, over: str, lines: Sequence[_Line], logarithmic: bool, factor: str
) -> Drawing:
    drawing, axes = canvas(title)
    handles = []
    for place, line in enumerate(lines):
        look = style.line(place)
        axes.plot(*_points(line.predicted, over), color=look["color"], **style.PREDICTED_LINE, zorder=1.5)
        axes.plot(*_points(line.measured, over), **look, zorder=3)
        for cell in line.measured:
            if cell.estimate.low is not None and cell.estimate.high is not None:
                axes.vlines(_number(cell, over), cell.estimate.low, cell.estimate.high, color=look["color"])
        if line.label:
            handles.append(Line2D([], [], **look, label=line.label))
    if any(line.predicted for line in lines):
        handles.append(Line2D([], [], color=style.MUTED, **style.PREDICTED_LINE, label="predicted"))
    shown = [cell for line in lines for cell in (*line.measured, *line.predicted)]
    _number_factor_axis(axes, sorted({_number(cell, over) for cell in shown}), over)
    if logarithmic:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=min(0, *(cell.estimate.median for cell in shown)))
    largest = max(max(cell.estimate.high or 0, cell.estimate.median) for cell in shown)
    number_axis(axes, "y", unit_of(metric), largest, words_of(metric), array_bytes_of(shown))
    legend(drawing, handles, factor)
    return drawing


def _number_factor_axis(axes: Axes, levels: Sequence[float], over: str) -> None:
    if levels[0] > 0 and levels[-1] / levels[0] >= _LOGARITHMIC_FROM_RATIO:
        axes.set_xscale("log")
    axes.set_xticks(levels, [level_text(level) for level in levels])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(over)


def _number(cell: Cell, over: str) -> float:
    return float(cell.levels[over])


def _points(cells: Sequence[Cell], over: str) -> tuple[list[float], list[float]]:
    return [_number(cell, over) for cell in cells], [cell.estimate.median for cell in cells]


def _in_words(metric: str, measure: str, over: str, lines: Sequence[_Line]) -> str:
    unit = unit_of(metric)

    def told(line: _Line) -> str:
        ends = line.measured[:: len(line.measured) - 1 or 1]
        words = ", ".join(
            f"{estimate_text(cell.estimate, unit)} at {level_text(cell.levels[over])}" for cell in ends
        )
        if line.predicted:
            words += f", where {text(line.predicted[-1].estimate.median, unit)} was predicted"
        return f"{line.label or 'measured'}: {words}"

    return f"Lines of {words_of(metric)} ({measure}) over {over}. {'; '.join(map(told, lines))}."
