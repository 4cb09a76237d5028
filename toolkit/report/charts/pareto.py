"""Two costs against each other: a point for each cell, and the frontier: those that no other cell beats."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from toolkit.analysis.results import Results
from toolkit.analysis.statistics import Estimate
from toolkit.report import Figure
from toolkit.report.charts._canvas import (
    canvas,
    cell_labels,
    ends_of,
    explained,
    legend,
    logarithmic_axis,
    missing,
    number_axis,
)
from toolkit.report.charts._naming import Spot, name_points
from toolkit.report.style import MARKERS, MUTED, PREDICTED_LINE, SERIES
from toolkit.report.units import estimate_text, levels_text, unit_of, words_of
from toolkit.trials import Level

__all__ = ["Cost", "Theory", "frontier", "pareto"]

_LOGARITHMIC_FROM_RATIO = 10
#: Neither that of the choices nor that of the reference.
_THEORY_COLORS = SERIES[2:]


class Cost(NamedTuple):
    """A metric, and the measure to take it from: two costs may come from different trials of a cell."""

    metric: str
    measure: str


class Theory(NamedTuple):
    """What theory says of a family of cells: pairs of the two costs, in the units of the metrics, along a curve."""

    label: str
    curve: Sequence[tuple[float, float]]


class _Point(NamedTuple):
    label: str
    is_reference: bool
    x: Estimate
    y: Estimate


def pareto(
    results: Results,
    across: Cost,
    up: Cost,
    *,
    name: str,
    title: str,
    caption: str = "",
    by: Iterable[str] | None = None,
    where: Mapping[str, Level | Sequence[Level]] | None = None,
    reference: Mapping[str, Level] | None = None,
    theories: Sequence[Theory] = (),
) -> Figure:
    """Draw one cost of each cell over another, and join the cells that no other one beats in both.

    Parameters
    ----------
    results : Results
    across, up : Cost
        Of which less is better.
    name, title, caption : str
        Of the figure. The caption is followed by what the marks mean.
    by, where : optional
        As in `Results.cells`.
    reference : mapping of str to level, optional
        The levels of cells that are no choice among the others but what these are held against: marked by a
        star and lines, and left out of the frontier.
    theories : sequence of Theory, optional
        Drawn under the points, as far as those reach.
    """
    by = None if by is None else tuple(by)
    points = _points(results, across, up, by, where, reference or {})
    if not points:
        metrics = f"{across.metric} and {up.metric}"
        return missing(name, title, caption, f"{across.measure} and {up.measure} trials with {metrics} here")
    ends = ends_of(estimate for point in points for estimate in (point.x, point.y))
    through = f"; the lines through it span the {ends} of both" if ends else ""
    how = f" A point is the median of a cell{through}. Less is better in both."
    if len(points) > 1:
        apart = ", by medians: cells whose lines overlap are not told apart" if ends else ""
        how += f" One cell beats another where it has less of one and no more of the other{apart}."
    if len(_chosen(points)) > 1:
        how += " Dashes join the filled points, which none beats."
    if any(point.is_reference for point in points):
        how += " The star is none of the choices: they are held against it and its two lines."
    if theories:
        how += " Wide and pale: what theory says."
    cells = (cell for cost in (across, up) for cell in results.cells(*cost, by, where))
    return explained(
        results,
        name,
        title,
        caption + how,
        _in_words(across, up, points),
        lambda: _draw(across, up, title, points, theories),
        cells,
    )


def frontier(costs: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """Return the places of the pairs that no other pair beats: less in one of the two and not more in the other.

    In the order of the first of the two.
    """
    return tuple(
        place
        for place in sorted(range(len(costs)), key=lambda place: costs[place])
        if not any(_beats(other, costs[place]) for other in costs)
    )


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] <= other[1]


def _points(
    results: Results,
    across: Cost,
    up: Cost,
    by: tuple[str, ...] | None,
    where: Mapping[str, Level | Sequence[Level]] | None,
    reference: Mapping[str, Level],
) -> list[_Point]:
    cells = results.cells(*across, by, where)
    ups = {cell.identity: cell.estimate for cell in results.cells(*up, by, where)}
    cells = tuple(cell for cell in cells if cell.identity in ups)
    marked = [all(cell.levels.get(name) == level for name, level in reference.items()) for cell in cells]
    marked = [bool(reference) and one for one in marked]
    choices = [cell for cell, is_reference in zip(cells, marked, strict=True) if not is_reference]
    # Choices are named by what differs among them, and the reference by its levels, unless one factor tells all.
    named = choices if len(by or ()) != 1 else cells
    names = dict(zip((cell.identity for cell in named), cell_labels(named), strict=True))
    return [
        _Point(
            names.get(cell.identity, levels_text(reference)), is_reference, cell.estimate, ups[cell.identity]
        )
        for is_reference, cell in zip(marked, cells, strict=True)
    ]


def _chosen(points: Sequence[_Point]) -> list[_Point]:
    choices = [point for point in points if not point.is_reference]
    return [choices[place] for place in frontier([(one.x.median, one.y.median) for one in choices])]


def _draw(
    across: Cost, up: Cost, title: str, points: Sequence[_Point], theories: Sequence[Theory]
) -> Drawing:
    drawing, axes = canvas(title, height=4.0)
    chosen = _chosen(points)
    for theory, color in zip(theories, _THEORY_COLORS, strict=False):
        axes.plot(*zip(*theory.curve, strict=True), color=color, zorder=1.7, **PREDICTED_LINE)
    if len(chosen) > 1:
        # Stairs: between two cells of the frontier nothing is promised.
        axes.plot(
            np.repeat([one.x.median for one in chosen], 2)[1:],
            np.repeat([one.y.median for one in chosen], 2)[:-1],
            color=SERIES[0],
            linestyle=(0, (5, 2)),
            zorder=2,
        )
    for point in points:
        color = _color(point, point in chosen)
        if point.is_reference:
            axes.axvline(point.x.median, color=color, linewidth=0.9, zorder=1.5)
            axes.axhline(point.y.median, color=color, linewidth=0.9, zorder=1.5)
        _spans(axes, point, color)
        marker, size = ("*", 13) if point.is_reference else (MARKERS[0], 7)
        filled = point.is_reference or point in chosen
        axes.plot(
            point.x.median,
            point.y.median,
            marker=marker,
            markersize=size,
            color=color,
            fillstyle="full" if filled else "none",
            linestyle="",
            zorder=3,
        )
    _axis(axes, "x", across.metric, [end for one in points for end in _ends(one.x)])
    _axis(axes, "y", up.metric, [end for one in points for end in _ends(one.y)])
    legend(drawing, [*_handles(points, chosen), *_theory_handles(theories)])
    spots = [Spot(one.label, one.x.median, one.y.median, _color(one, one in chosen)) for one in points]
    name_points(drawing, axes, spots)
    return drawing


def _color(point: _Point, unbeaten: bool) -> str:
    return SERIES[1] if point.is_reference else SERIES[0] if unbeaten else MUTED


def _spans(axes: Axes, point: _Point, color: str) -> None:
    if point.x.low is not None and point.x.high is not None:
        axes.plot([point.x.low, point.x.high], [point.y.median] * 2, color=color, linewidth=1.2)
    if point.y.low is not None and point.y.high is not None:
        axes.plot([point.x.median] * 2, [point.y.low, point.y.high], color=color, linewidth=1.2)


def _ends(estimate: Estimate) -> list[float]:
    return [end for end in (estimate.low, estimate.median, estimate.high) if end is not None]


def _axis(axes: Axes, which: str, metric: str, values: Sequence[float]) -> None:
    low, high = min(values), max(values)
    unit = unit_of(metric)
    if 0 < low * _LOGARITHMIC_FROM_RATIO <= high:
        logarithmic_axis(axes, which, unit, low / 1.7, high * 2, words_of(metric))
    else:
        (axes.set_xlim if which == "x" else axes.set_ylim)(min(0, low), high * 1.2 or 1)
        number_axis(axes, which, unit, high, words_of(metric))


def _handles(points: Sequence[_Point], chosen: Sequence[_Point]) -> list[Line2D]:
    look: dict[str, Any] = {"linestyle": "", "marker": MARKERS[0]}
    handles = []
    if len(chosen) > 1:
        handles.append(
            Line2D([], [], color=SERIES[0], marker=MARKERS[0], ls=(0, (5, 2)), label="beaten by none")
        )
    if any(not point.is_reference and point not in chosen for point in points):
        handles.append(Line2D([], [], color=MUTED, fillstyle="none", **look, label="beaten by another"))
    handles += [
        Line2D([], [], color=SERIES[1], marker="*", markersize=11, label=point.label)
        for point in points
        if point.is_reference
    ]
    return handles


def _theory_handles(theories: Sequence[Theory]) -> list[Line2D]:
    return [
        Line2D([], [], color=color, label=theory.label, **PREDICTED_LINE)
        for theory, color in zip(theories, _THEORY_COLORS, strict=False)
    ]


def _in_words(across: Cost, up: Cost, points: Sequence[_Point]) -> str:
    def told(point: _Point) -> str:
        x = estimate_text(point.x, unit_of(across.metric))
        y = estimate_text(point.y, unit_of(up.metric))
        return f"{point.label or 'all trials'}: {x} and {y}"

    chosen = ", ".join(point.label for point in _chosen(points))
    best = f" Beaten by none: {chosen}." if chosen else ""
    return f"Points of {words_of(across.metric)} and {words_of(up.metric)}. {'; '.join(map(told, points))}.{best}"
