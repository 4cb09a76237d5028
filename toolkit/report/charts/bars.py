"""A bar for each cell, with the prediction under it."""

from collections.abc import Iterable, Mapping, Sequence

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
    ends_of,
    explained,
    legend,
    missing,
    number_axis,
)
from toolkit.report.style import INK, PREDICTED_BAR, SERIES
from toolkit.report.units import estimate_text, text, unit_of, words_of
from toolkit.trials import Level


def bars(
    results: Results,
    metric: str,
    measure: str,
    *,
    name: str,
    title: str,
    caption: str = "",
    by: Iterable[str] | None = None,
    where: Mapping[str, Level | Sequence[Level]] | None = None,
) -> Figure:
    """Draw the median of a metric in each cell as a bar, on top of what was predicted.

    Parameters
    ----------
    results : Results
    metric : str
        In bytes, seconds or counts.
    measure : {"resident", "traced", "timed"}
    name, title, caption : str
        Of the figure. The caption is followed by what the marks mean.
    by, where : optional
        As in `Results.cells`.

    Returns
    -------
    Figure
        Of at most 40 bars: the caption says how many more cells there are.
    """
    cells = with_predictions(results, metric, measure, by, where)
    if not cells:
        return missing(name, title, caption, f"{measure} trial with {metric} here")
    drawn = cells[:MOST_BARS]
    ends = ends_of(cell.estimate for cell, _ in drawn)
    how = f" Narrow: median measured{f'; the line at its end spans the {ends}' if ends else ''}."
    if any(predicted is not None for _, predicted in drawn):
        how += " Wide and pale: predicted."
    if len(cells) > len(drawn):
        how += f" The first {len(drawn)} of {len(cells)} cells; the table has all."
    return explained(
        results,
        name,
        title,
        caption + how,
        _in_words(metric, measure, drawn),
        lambda: _draw(metric, title, drawn),
        [cell for cell, _ in drawn],
    )


def _draw(metric: str, title: str, drawn: Sequence[tuple[Cell, float | None]]) -> Drawing:
    drawing, axes = canvas(title, height=1.5 + 0.34 * len(drawn))
    cells = [cell for cell, _ in drawn]
    unit = unit_of(metric)
    rows = range(len(drawn) - 1, -1, -1)
    ends = [max(cell.estimate.high or 0, cell.estimate.median, predicted or 0) for cell, predicted in drawn]
    axes.barh(rows, [predicted or 0 for _, predicted in drawn], height=0.82, **PREDICTED_BAR)
    axes.barh(rows, [cell.estimate.median for cell in cells], height=0.42, color=SERIES[0])
    for row, cell, end in zip(rows, cells, ends, strict=True):
        if cell.estimate.low is not None and cell.estimate.high is not None:
            axes.plot([cell.estimate.low, cell.estimate.high], [row, row], color=INK, linewidth=1.4)
        beside_bar(axes, max(end, 0), row, text(cell.estimate.median, unit))
    bar_rows(axes, rows, cells)
    axes.set_xlim(min(0, *(cell.estimate.median for cell in cells)) * 1.1, max(ends) * 1.22 or 1)
    number_axis(axes, "x", unit, max(ends), words_of(metric), array_bytes_of(cells))
    handles = [Patch(facecolor=SERIES[0], label="measured")]
    if any(predicted is not None for _, predicted in drawn):
        handles.append(Patch(**PREDICTED_BAR, label="predicted"))
    legend(drawing, handles)
    return drawing


def _in_words(metric: str, measure: str, drawn: Sequence[tuple[Cell, float | None]]) -> str:
    unit = unit_of(metric)
    labels = cell_labels([cell for cell, _ in drawn])
    told = (
        f"{label or 'all trials'}: {estimate_text(cell.estimate, unit)}"
        + ("" if predicted is None else f", predicted {text(predicted, unit)}")
        for label, (cell, predicted) in zip(labels, drawn, strict=True)
    )
    return f"Bars of {words_of(metric)} ({measure}). " + "; ".join(told) + "."
