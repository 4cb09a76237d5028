"""Two costs against each other: a point for each cell, and the frontier of those that no other cell beats."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

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
from toolkit.report.style import INK, MARKERS, MUTED, PAPER, PREDICTED_LINE, SERIES
from toolkit.report.units import estimate_text, levels_text, unit_of, words_of
from toolkit.trials import Level

__all__ = ["Cost", "Theory", "frontier", "pareto"]

_LOGARITHMIC_FROM_RATIO = 10
#: Neither that of the choices nor that of the reference.
_THEORY_COLORS = SERIES[2:]
#: Where a label may stand beside its point, in points of type, the best place first.
_PLACES = [(x, y) for distance in (9, 20, 31, 42) for y in (distance, -distance) for x in (6, -6)]


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
    if len(_chosen(points)) > 1:
        how += " The dashed line joins the cells that no other one beats in both."
    if len(points) > 1:
        apart = ": cells whose lines overlap are not told apart" if ends else ""
        how += f" Which beats which goes by medians{apart}."
    if any(point.is_reference for point in points):
        how += " The star and its lines are no choice among the others: they are held against it."
    if theories:
        how += " Wide and pale: what theory says."
    cells = (cell for cost in (across, up) for cell in results.cells(*cost, by, where))
    return explained(
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
    # Choices are named by what differs among them.
    names = dict(zip((cell.identity for cell in choices), cell_labels(choices), strict=True))
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
        color = SERIES[1] if point.is_reference else SERIES[0] if point in chosen else MUTED
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
    _label(drawing, axes, points)
    return drawing


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
            Line2D([], [], color=SERIES[0], marker=MARKERS[0], ls=(0, (5, 2)), label="the frontier")
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


def _label(drawing: Drawing, axes: Axes, points: Sequence[_Point]) -> None:
    """Write each name beside its point, at the first place where it covers no point, no other name and no line."""
    renderer = FigureCanvasAgg(drawing).get_renderer()  # type: ignore[no-untyped-call]
    drawing.draw_without_rendering()
    frame = axes.get_window_extent(renderer)
    spots = axes.transData.transform([(one.x.median, one.y.median) for one in points])
    # Every line is level or upright: each of its pieces is a box without width or without height.
    lines = [
        Bbox(np.array(ends)).padded(1)
        for line in axes.lines
        for ends in pairwise(line.get_transform().transform(line.get_xydata()))
    ]
    taken: list[Bbox] = []

    def box_at(point: _Point, place: tuple[int, int]) -> tuple[Annotation, Bbox]:
        note = _note(axes, point, place)
        note.update_positions(renderer)
        return note, Text.get_window_extent(note, renderer).padded(2)

    for point, spot in zip(points, spots, strict=True):
        others = [other for other in spots if tuple(other) != tuple(spot)]
        free: list[tuple[int, tuple[int, int]]] = []
        for place in _PLACES:
            note, box = box_at(point, place)
            note.remove()
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if (
                inside
                and not any(box.contains(*other) for other in others)
                and not any(map(box.overlaps, taken))
            ):
                free.append((sum(map(box.overlaps, lines)), place))
        # The first of those that the fewest lines go through.
        _, place = min(free, key=lambda one: one[0], default=(0, _PLACES[-1]))
        taken.append(box_at(point, place)[1])


def _note(axes: Axes, point: _Point, place: tuple[int, int]) -> Annotation:
    x, y = place
    note = axes.annotate(
        point.label,
        (point.x.median, point.y.median),
        place,
        textcoords="offset points",
        ha="left" if x > 0 else "right",
        va="center",
        fontsize=8.5,
        color=INK,
        # Far from its point a name needs a line to it.
        arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.6} if abs(y) > 9 else None,
    )
    note.set_in_layout(False)
    # Where a line goes through it all the same, it stays legible.
    note.set_path_effects([withStroke(linewidth=2.5, foreground=PAPER)])
    return note


def _in_words(across: Cost, up: Cost, points: Sequence[_Point]) -> str:
    def told(point: _Point) -> str:
        x = estimate_text(point.x, unit_of(across.metric))
        y = estimate_text(point.y, unit_of(up.metric))
        return f"{point.label or 'all trials'}: {x} and {y}"

    chosen = ", ".join(point.label for point in _chosen(points))
    best = f" No other beats: {chosen}." if chosen else ""
    return f"Points of {words_of(across.metric)} and {words_of(up.metric)}. {'; '.join(map(told, points))}.{best}"
