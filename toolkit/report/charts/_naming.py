"""Names beside points: each where it covers nothing, and where nobody takes it for the name of another point."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from toolkit.report.style import INK, PAPER

__all__ = ["Spot", "name_points"]

#: Where the near side of a name may be, from its point, in points of type: beside it, or farther with a line to it.
_BESIDE = [(x, y) for y in (9, -9, 0) for x in (7, -7)]
_FARTHER = [(x, y) for x in (10, -10, 26, -26, 48, -48) for y in (20, -20, 31, -31, 42, -42, 55, -55, 9, -9)]
#: What is bad about a place, from what must not be to what only looks better.
_OUTSIDE, _COVERS, _CROSSES, _MISTAKEN, _STRUCK, _FAR = 1e6, 1e4, 1e3, 300, 30, 1
#: In points of type: as near as this to another point a name seems to be that one's.
_NEAR, _NEAR_WITH_LINE, _MARKER = 9, 6, 5
#: Of each name so many places are tried with those of the others, and so many times.
_CHOICES, _ROUNDS = 24, 6


class Spot(NamedTuple):
    """A point in the units of the axes, its name, and the colour of the line to a name that stands farther off."""

    label: str
    x: float
    y: float
    color: str


@dataclass(frozen=True, eq=False)
class _Place:
    offset: tuple[int, int]
    box: Bbox
    leader: npt.NDArray[np.float64] | None
    """From the point to the name, as points close to each other."""


_Costly = tuple[float, _Place]


def name_points(drawing: Drawing, axes: Axes, spots: Sequence[Spot]) -> None:
    """Write each name beside its point, or farther off with a line to it where there is no room."""
    renderer = FigureCanvasAgg(drawing).get_renderer()  # type: ignore[no-untyped-call]
    drawing.draw_without_rendering()
    frame = axes.get_window_extent(renderer)
    at = axes.transData.transform([(spot.x, spot.y) for spot in spots])
    dot = drawing.dpi / 72
    # Of lines that are level or upright each piece is a box without width or without height.
    lines = [
        Bbox(np.array(ends)).padded(1)
        for line in axes.lines
        for ends in pairwise(line.get_transform().transform(line.get_xydata()))
    ]
    sizes = [_size(axes, spot, renderer) for spot in spots]
    places = [
        [_place(point, size, offset, dot) for offset in (*_BESIDE, *_FARTHER)]
        for point, size in zip(at, sizes, strict=True)
    ]
    best = [
        sorted(((_cost_alone(place, mine, at, frame, lines, dot), place) for place in some), key=_first)
        for mine, some in enumerate(places)
    ]
    for spot, (_, place) in zip(spots, _arranged([some[:_CHOICES] for some in best]), strict=True):
        _note(axes, spot, place.offset)


def _first(costly: _Costly) -> float:
    return costly[0]


def _arranged(choices: Sequence[Sequence[_Costly]]) -> list[_Costly]:
    """Return a place for each name, so that they are good together: the best of what several beginnings lead to."""
    clash = cache(_clash)

    def total(chosen: Sequence[_Costly]) -> float:
        return sum(map(_first, chosen)) + sum(
            clash(one[1], other[1]) for one, other in combinations(chosen, 2)
        )

    def settled(beginning: int) -> list[_Costly]:
        """Place the names in turn, then each again with all others in sight, until none moves."""
        order = [(beginning + step) % len(choices) for step in range(len(choices))]
        chosen: dict[int, _Costly] = {}
        for _ in range(_ROUNDS):
            before = dict(chosen)
            for mine in order:
                others = [place for name, (_, place) in chosen.items() if name != mine]
                chosen[mine] = min(
                    choices[mine], key=lambda one: one[0] + sum(clash(one[1], other) for other in others)
                )
            if chosen == before:
                break
        return [chosen[mine] for mine in range(len(choices))]

    return min((settled(beginning) for beginning in range(len(choices))), key=total)


def _place(
    point: npt.NDArray[np.float64], size: tuple[float, float], offset: tuple[int, int], dot: float
) -> _Place:
    width, height = size
    near = point + np.array(offset) * dot
    left = near[0] if offset[0] > 0 else near[0] - width
    box = Bbox.from_bounds(left, near[1] - height / 2, width, height).padded(1.5 * dot)
    return _Place(offset, box, None if offset in _BESIDE else np.linspace(point, near, 24))


def _cost_alone(
    place: _Place,
    mine: int,
    at: npt.NDArray[np.float64],
    frame: Bbox,
    lines: Sequence[Bbox],
    dot: float,
) -> float:
    """Return what a place costs whatever the others are: for what it covers, and whose name it seems to be."""
    box, leader = place.box, place.leader
    inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
    far = _distances(box, at) / dot
    # Points that lie upon each other share what is said of the place.
    others = [number for number, point in enumerate(at) if np.hypot(*(point - at[mine])) > _MARKER * dot]
    near = _NEAR if leader is None else _NEAR_WITH_LINE
    cost: float = 0.0 if inside else _OUTSIDE
    cost += _COVERS * sum(far[other] < _MARKER for other in others)
    cost += _MISTAKEN * sum(far[other] < near for other in others)
    cost += _STRUCK * sum(map(box.overlaps, lines))
    if leader is not None:
        cost += _FAR * float(np.hypot(*place.offset))
        cost += _CROSSES * sum(
            bool((np.hypot(*(leader - at[other]).T) < _MARKER * dot).any()) for other in others
        )
    return cost


def _clash(one: _Place, other: _Place) -> float:
    """Return what it costs that two names have these places."""
    cost = _COVERS * float(one.box.overlaps(other.box))
    cost += _CROSSES * (_goes_through(one.leader, other.box) + _goes_through(other.leader, one.box))
    if one.leader is not None and other.leader is not None:
        cost += _CROSSES * _cross(one.leader, other.leader)
    return cost


def _distances(box: Bbox, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    beyond = np.maximum(0, np.maximum(box.min - points, points - box.max))
    return np.asarray(np.hypot(beyond[:, 0], beyond[:, 1]))


def _goes_through(leader: npt.NDArray[np.float64] | None, box: Bbox) -> bool:
    return leader is not None and bool(((leader > box.min) & (leader < box.max)).all(axis=1).any())


def _cross(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> bool:
    def apart(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> bool:
        (x, y), first, last = a[-1] - a[0], b[0] - a[0], b[-1] - a[0]
        return bool((x * first[1] - y * first[0]) * (x * last[1] - y * last[0]) < 0)

    return apart(one, other) and apart(other, one)


def _size(axes: Axes, spot: Spot, renderer: object) -> tuple[float, float]:
    note = _note(axes, spot, _BESIDE[0])
    box = Text.get_window_extent(note, renderer)  # type: ignore[arg-type]
    note.remove()
    return box.width, box.height


def _note(axes: Axes, spot: Spot, offset: tuple[int, int]) -> Annotation:
    right = offset[0] > 0
    line = {"arrowstyle": "-", "color": spot.color, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4}
    note = axes.annotate(
        spot.label,
        (spot.x, spot.y),
        offset,
        textcoords="offset points",
        ha="left" if right else "right",
        va="center",
        fontsize=8.5,
        color=INK,
        arrowprops=None if offset in _BESIDE else {**line, "relpos": (0 if right else 1, 0.5)},
    )
    note.set_in_layout(False)
    # Where a line goes through it all the same, it stays legible.
    note.set_path_effects([withStroke(linewidth=2.5, foreground=PAPER)])
    return note
