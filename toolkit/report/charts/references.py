"""Objects and the references among them, panels side by side: why something is alive."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Polygon

from toolkit.report import Figure, style
from toolkit.report.charts._canvas import canvas, legend, shown
from toolkit.retention import Diagram
from toolkit.retention.layout import Box, Layout, Line, Words, layout
from toolkit.retention.svg import arrow_head

_STRONG: Final[dict[str, Any]] = {"color": style.SERIES[0], "linestyle": "-"}
_WEAK: Final[dict[str, Any]] = {"color": style.SERIES[1], "linestyle": (0, (4, 2.5))}
_POINTS_PER_INCH = 72
#: How large, of the size they have by themselves, boxes and words are where there is room.
_LARGEST = 0.8
#: So wide are the panels together; `canvas` makes drawings so wide.
_WIDTH_INCHES = 5.4


class Panel(NamedTuple):
    """One of the diagrams of a figure.

    Attributes
    ----------
    heading : str
    diagram : Diagram
        Its title and notes are left out: heading and footing stand for them.
    footing : str
        A line below.
    """

    heading: str
    diagram: Diagram
    footing: str = ""


def references(
    panels: Callable[[], Sequence[Panel]], *, name: str, title: str, caption: str, alt: str
) -> Figure:
    """Draw diagrams of references side by side: strong ones as solid lines, weak ones dashed.

    Parameters
    ----------
    panels : callable
        Returns the panels, from left to right; called when the figure is drawn.
    name, title, caption, alt : str
        Of the figure. The caption is followed by what the marks mean.
    """
    how = " Arrows lead from the holder to what it holds; solid: strong reference, dashed: weak reference."
    return Figure(
        name=name,
        title=title,
        caption=(caption + how).strip(),
        alt=alt,
        draw=lambda: _draw(title, panels()),
    )


def _draw(title: str, panels: Sequence[Panel]) -> Drawing:
    placed = [layout(Diagram(panel.diagram.rows, panel.diagram.edges)) for panel in panels]
    scale = min(_WIDTH_INCHES / sum(one.width for one in placed), _LARGEST / _POINTS_PER_INCH)
    height = max(one.height for one in placed)
    drawing, axes = canvas(title, height * scale + 1.9)
    axes.remove()
    across = [one.width for one in placed]
    for one, panel, place in zip(
        placed, panels, drawing.subplots(1, len(panels), squeeze=False, width_ratios=across)[0], strict=True
    ):
        _draw_panel(place, one, panel, height, scale)
    strong = Line2D([], [], **_STRONG, label="strong reference")
    weak = Line2D([], [], **_WEAK, label="weak reference")
    legend(drawing, [strong, weak])
    return drawing


def _draw_panel(axes: Axes, placed: Layout, panel: Panel, height: float, scale: float) -> None:
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(0, placed.width)
    axes.set_ylim(height, 0)
    axes.set_title(shown(panel.heading), fontsize=9.5, loc="center")
    axes.text(0.5, -0.01, shown(panel.footing), transform=axes.transAxes, ha="center", va="top", fontsize=9)
    for line in placed.lines:
        _draw_line(axes, line)
    for box in placed.boxes:
        _draw_box(axes, box, scale)
    for line in placed.lines:
        if line.words:
            _write(axes, line.words, scale, style.INK)


def _draw_line(axes: Axes, line: Line) -> None:
    look = _STRONG if line.edge.strong else _WEAK
    *head, foot = arrow_head(line.points)
    xs, ys = zip(*line.points[:-1], foot, strict=True)
    axes.plot(xs, ys, linewidth=1.3, **look)
    axes.add_patch(Polygon(head, closed=True, facecolor=look["color"], linewidth=0, zorder=3))


def _draw_box(axes: Axes, box: Box, scale: float) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (box.x, box.y),
            box.width,
            box.height,
            boxstyle="round,pad=0,rounding_size=5",
            facecolor=style.PAPER,
            edgecolor=style.MUTED if box.node.number else style.INK,
            linewidth=0.9 if box.node.number else 1.8,
            zorder=4,
        )
    )
    for words in box.words:
        _write(axes, words, scale, style.INK if words.weight == "bold" else style.MUTED)


def _write(axes: Axes, words: Words, scale: float, color: str) -> None:
    axes.text(
        words.x,
        words.y,
        shown(words.text),
        family="DejaVu Sans Mono",
        fontsize=words.size * scale * _POINTS_PER_INCH,
        weight=words.weight,
        ha={"start": "left", "middle": "center", "end": "right"}[words.anchor],
        va="baseline",
        color=color,
        zorder=5,
    )
