"""A metric for each pair of levels of two factors, as numbers in a grid: the stronger the colour, the larger."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure as Drawing

from toolkit.analysis.results import Results
from toolkit.report import Figure, Unit
from toolkit.report.charts._canvas import canvas, explained, missing, shown
from toolkit.report.style import INK, PAPER
from toolkit.report.units import level_text, text, unit_of, words_of
from toolkit.trials import Level

__all__ = ["matrix"]

_PALETTE = LinearSegmentedColormap.from_list("errors", [PAPER, "#f3b58f"])
_COLUMN_CHARACTERS = 9

_Grid: TypeAlias = Mapping[tuple[Level, Level], float]


def matrix(
    results: Results,
    metric: str,
    measure: str,
    *,
    rows: str,
    columns: str,
    name: str,
    title: str,
    caption: str = "",
    where: Mapping[str, Level | Sequence[Level]] | None = None,
) -> Figure:
    """Write the median of a metric for each pair of levels; negative numbers and positive ones look alike.

    Parameters
    ----------
    results : Results
    metric : str
        In bytes, seconds or counts, with a sign.
    measure : {"resident", "traced", "timed", "ledger"}
    rows, columns : str
        The two factors.
    name, title, caption : str
        Of the figure. The caption is followed by what the colours mean.
    where : optional
        As in `Results.cells`.
    """
    cells = results.cells(metric, measure, [rows, columns], where)
    if not cells:
        return missing(name, title, caption, f"{measure} trial with {metric} here")
    grid = {(cell.levels[rows], cell.levels[columns]): cell.estimate.median for cell in cells}
    down, across = (list(dict.fromkeys(cell.levels[factor] for cell in cells)) for factor in (rows, columns))
    unit = unit_of(metric)
    told = (
        f"{level_text(row)}, {level_text(column)}: {text(value, unit, signed=True)}"
        for (row, column), value in grid.items()
    )
    return explained(
        results,
        name,
        title,
        f"{caption} Medians; the stronger the colour, the farther from 0 in orders of magnitude.",
        f"Numbers of {words_of(metric)} ({measure}). {'; '.join(told)}.",
        lambda: _draw(title, unit, grid, down, across),
        cells,
    )


def _draw(title: str, unit: Unit, grid: _Grid, down: Sequence[Level], across: Sequence[Level]) -> Drawing:
    drawing, axes = canvas(title, height=1.3 + 0.3 * len(down))
    strengths = {pair: math.log10(1 + abs(value)) for pair, value in grid.items()}
    norm = Normalize(0, max(*strengths.values(), 1))
    for (row, column), value in grid.items():
        x, y = across.index(column), down.index(row)
        color = _PALETTE(norm(strengths[row, column]))
        axes.barh(y, 0.96, left=x - 0.48, height=0.92, color=color)
        axes.text(x, y, text(value, unit, signed=True), ha="center", va="center", fontsize=6.8, color=INK)
    axes.set_xlim(-0.5, len(across) - 0.5)
    axes.set_ylim(len(down) - 0.5, -0.5)
    names = [textwrap.fill(shown(level_text(level)), _COLUMN_CHARACTERS) for level in across]
    axes.set_xticks(range(len(across)), names, fontsize=7.5)
    axes.set_yticks(range(len(down)), [shown(level_text(level), 24) for level in down], fontsize=8)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return drawing
