"""What every kind of chart stands on: axes with human units, a legend beside the data, labels of cells."""

import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.font_manager import findfont, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from toolkit.analysis.results import Cell, Results, Series
from toolkit.analysis.statistics import Estimate
from toolkit.report import Figure, Unit
from toolkit.report.names import code_apart
from toolkit.report.observers import remark
from toolkit.report.units import POWERS_FROM, levels_text, number, power_text, scale

#: More cannot be told apart on a page.
MOST_BARS = 40

_WIDTH_INCHES = 5.6
_LEGEND_CHARACTERS = 78
_TITLE_CHARACTERS = 66
_LABEL_CHARACTERS = 64
_ROW_CHARACTERS = 30
#: With fewer powers of ten than these an axis shows numbers between them.
_FEW_POWERS = 4


def canvas(title: str, height: float = 3.5) -> tuple[Drawing, Axes]:
    """Return a drawing of `height` inches and its axes, under a title that says what is seen."""
    drawing = _titled(title, height)
    return drawing, drawing.add_subplot()


def panels(title: str, count: int, height: float) -> tuple[Drawing, list[tuple[Axes, Axes]]]:
    """Return a drawing of `height` inches with `count` axes, one above the other, and a strip below each."""
    drawing = _titled(title, height)
    axes = drawing.subplots(2 * count, 1, squeeze=False, height_ratios=[10, 1] * count)[:, 0]
    layout = drawing.get_layout_engine()
    assert isinstance(layout, ConstrainedLayoutEngine)
    layout.set(hspace=0, h_pad=0.02)
    return drawing, list(zip(axes[::2], axes[1::2], strict=True))


def _titled(title: str, height: float) -> Drawing:
    drawing = Drawing(figsize=(_WIDTH_INCHES, height), layout="constrained")
    # What is code in a text is a word like any other in a drawing.
    words = "".join(part for part, _ in code_apart(shown(title, 400)))
    heading = drawing.suptitle(
        textwrap.fill(words, _TITLE_CHARACTERS), x=0.01, ha="left", weight="bold", size=10.5
    )
    heading.set_linespacing(1.25)
    return drawing


def missing(name: str, title: str, caption: str, what: str) -> Figure:
    """Return a figure that cannot be drawn, because the store holds no `what`."""
    alt = f"Not drawn: the store holds no {what}."
    return Figure(name=name, title=title, caption=caption, alt=alt, draw=None)


def explained(
    results: Results,
    name: str,
    title: str,
    caption: str,
    alt: str,
    draw: Callable[[], Drawing],
    cells: Iterable[Cell],
) -> Figure:
    """Return a figure whose caption ends with what must be known of `cells`, which it shows.

    That is which factors of the experiment have one level here, whether readings are estimates, and whether the
    probes that took them change what they watch.
    """
    cells = tuple(cells)
    if fixed := results.fixed(cells):
        caption += f" All with {levels_text(fixed)}."
    if any(cell.estimated for cell in cells):
        caption += " The readings are estimates: the platform tells no exact resident set."
    caption = f"{caption} {remark(twin for cell in cells for twin in cell.changed_by)}"
    return Figure(name=name, title=title, caption=caption.strip(), alt=alt, draw=draw)


def ends_of(estimates: Iterable[Estimate]) -> str:
    """Return what the line through a mark spans, as a caption says it; nothing where there is no such line."""
    kinds = {one.is_interval for one in estimates if one.low is not None}
    return " or ".join(
        word for word, here in (("interval", True in kinds), ("range", False in kinds)) if here
    )


def with_series(results: Results, cells: Sequence[Cell], needed: str) -> Iterator[tuple[str, Cell, Series]]:
    """Yield the label, the cell and the series of the trial that stands for it, where it has the one `needed`."""
    for label, cell in zip(cell_labels(cells), cells, strict=True):
        series = results.series(cell.trial)
        if len(series.get(needed, ())):
            yield label, cell, series


def number_axis(
    axes: Axes, which: str, unit: Unit, largest: float, label: str, array_bytes: int | None = None
) -> None:
    """Give an axis human units; where the size of an array is given, count arrays on the side opposite.

    Parameters
    ----------
    which : {"x", "y"}
    unit : str
        Of the numbers drawn.
    largest : float
        The largest number drawn, in `unit`.
    label : str
        What is drawn.
    array_bytes : int or None
        S, in bytes.
    """
    size, name = scale(unit, largest)
    axis = axes.xaxis if which == "x" else axes.yaxis
    # One notation on an axis: all are powers where one may be, up to the tick beyond the largest number.
    is_power = axis.get_scale() == "log" and 10 * largest / size >= POWERS_FROM
    told = power_text if is_power else _tick
    axis.set_major_formatter(FuncFormatter(lambda value, _: told(value / size)))
    axis.set_label_text(f"{label} ({name})" if name else label)
    if unit == "bytes" and axis.get_scale() == "linear":
        # Round numbers of the unit shown: round numbers of bytes are none.
        axis.set_major_locator(_ScaledLocator(size))
    if array_bytes and unit == "bytes":
        convert = (lambda value: value / array_bytes, lambda arrays: arrays * array_bytes)
        second = (
            axes.secondary_xaxis("top", convert) if which == "x" else axes.secondary_yaxis("right", convert)
        )
        counted = second.xaxis if which == "x" else second.yaxis
        counted.set_label_text("arrays (S)")
        counted.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def logarithmic_axis(axes: Axes, which: str, unit: Unit, low: float, high: float, label: str) -> None:
    """Make an axis logarithmic from `low` to `high`, both above 0, each tick a round number with its own unit.

    Parameters
    ----------
    which : {"x", "y"}
    unit, label : str
        As for `number_axis`.
    """
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    base = 4 if unit == "bytes" else 10
    powers = range(math.floor(math.log(low, base)), math.ceil(math.log(high, base)) + 1)
    between = (1, 2, 5) if base == 10 and len(powers) < _FEW_POWERS else (1,)
    # Each number with its own unit: no single one suits all.
    ticks = [float(base) ** power * part for power in powers for part in between]
    axis.set_ticks(ticks, [_with_unit(tick, unit) for tick in ticks])
    axis.set_minor_locator(NullLocator())
    axis.set_label_text(label)
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)


def _with_unit(value: float, unit: Unit) -> str:
    # A power of ten that was computed may lie a hair below the unit that it is.
    size, name = scale(unit, value * (1 + 1e-9))
    return f"{value / size:.3g} {name}".rstrip()


class _ScaledLocator(MaxNLocator):
    """Ticks at round numbers of a unit that is `size` of the numbers drawn."""

    def __init__(self, size: float) -> None:
        super().__init__(nbins=7, steps=[1, 2, 2.5, 5, 10])
        self._size = size

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        return [tick * self._size for tick in super().tick_values(vmin / self._size, vmax / self._size)]


def bar_rows(axes: Axes, rows: Sequence[int], cells: Sequence[Cell]) -> None:
    """Name the rows of horizontal bars after their cells."""
    labels = ["\n".join(_wrapped(label)[:2]) for label in cell_labels(cells)]
    axes.set_yticks(rows, labels, fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_ylim(-0.7, len(cells) - 0.3)


def _wrapped(label: str) -> list[str]:
    # Between two factors if it can be, for a level may have spaces.
    lines = [""]
    for factor in label.split(", "):
        if lines[-1] and len(lines[-1]) + len(factor) + 2 > _ROW_CHARACTERS:
            lines.append("")
        lines[-1] += f", {factor}" if lines[-1] else factor
    return [line if len(line) <= _ROW_CHARACTERS else f"{line[: _ROW_CHARACTERS - 1]}…" for line in lines]


def iteration_axis(axes: Axes, step: str = "iteration") -> None:
    """Count whole iterations, or what a step of the loop is called, along the x axis."""
    axes.set_xlabel(step)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def beside_bar(axes: Axes, end: float, row: int, label: str) -> None:
    """Write a number beside the end of a horizontal bar."""
    axes.annotate(label, (end, row), (5, 0), textcoords="offset points", va="center", fontsize=8.5)


def legend(drawing: Drawing, handles: Sequence[Artist], title: str = "") -> None:
    """Explain marks by their labels, below the axes where no data are; one mark alone explains itself.

    The title says of what factor the labels are levels, where they do not.
    """
    labels = [str(handle.get_label()) for handle in handles]
    if len(labels) > 1:
        columns = max(1, min(len(labels), _LEGEND_CHARACTERS // (max(map(len, labels)) + 8)))
        drawing.legend(
            handles,
            labels,
            loc="outside lower left",
            ncols=columns,
            fontsize=9,
            title=title or None,
            title_fontsize=9,
            alignment="left",
        )


def cell_labels(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return a name for each cell, made of the levels in which the cells differ.

    The levels alone where only one factor differs and its levels are words; else "factor=level".
    """
    names = _differing(cells)
    if name := unnamed_factor(cells):
        return tuple(shown(str(cell.levels[name])) for cell in cells)
    return tuple(shown(levels_text({name: cell.levels[name] for name in names})) for cell in cells)


def unnamed_factor(cells: Sequence[Cell]) -> str:
    """Return the factor that the names of cells leave out, for they are its levels; "" where they name factors."""
    names = _differing(cells)
    words = len(names) == 1 and all(isinstance(cell.levels[names[0]], str) for cell in cells)
    return names[0] if words else ""


def _differing(cells: Sequence[Cell]) -> list[str]:
    return [
        name
        for name in (cells[0].levels if cells else ())
        if len({repr(cell.levels[name]) for cell in cells}) > 1
    ]


def shown(label: str, characters: int = _LABEL_CHARACTERS) -> str:
    """Return a label cut to so many characters, with a mark for those that a drawing cannot show."""
    if len(label) > characters:
        label = f"{label[: characters - 1]}…"
    return "".join(
        c if c.isprintable() and ord(c) in _glyphs() else "\N{REPLACEMENT CHARACTER}" for c in label
    )


def array_bytes_of(cells: Iterable[Cell]) -> int | None:
    """Return S if it is known and the same in all cells."""
    sizes = {cell.trial.conditions.get("prediction_array_bytes") for cell in cells}
    size = sizes.pop() if len(sizes) == 1 else None
    return None if size is None else int(size)


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def _tick(value: float) -> str:
    if abs(value) >= 1e4:
        return number(value, 0)
    return f"{value:,.4g}".replace("-", "\N{MINUS SIGN}")
