"""How long the collector stopped the program, run by run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from toolkit.analysis.results import Results
from toolkit.report import Figure, style
from toolkit.report.charts._canvas import (
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

_SERIES = ("collection_step", "collection_generation", "collection_pause_seconds")
#: Most collections are short: beside a long one they would all lie on the axis.
_LOGARITHMIC_FROM_RATIO = 10


class _Pauses(NamedTuple):
    label: str
    steps: npt.NDArray[np.float64]
    generations: npt.NDArray[np.float64]
    seconds: npt.NDArray[np.float64]


def pauses(
    results: Results,
    *,
    name: str,
    title: str,
    caption: str = "",
    measure: str = "timed",
    by: Iterable[str] | None = None,
    where: Mapping[str, Level | Sequence[Level]] | None = None,
) -> Figure:
    """Draw each run of the collector at its iteration, as high as it was long.

    Parameters
    ----------
    results : Results
    name, title, caption : str
        Of the figure. The caption is followed by what the marks mean.
    measure : {"resident", "traced", "timed"}
        Of each cell that trial is drawn whose longest pause is nearest to the cell's median. Timed ones alone
        run in the plain environment.
    by, where : optional
        As in `Results.cells`.
    """
    cells = results.cells("gc_pause_max_seconds", measure, by, where)
    drawn = [
        _Pauses(label, *(np.asarray(series[one], dtype=np.float64) for one in _SERIES))
        for label, _, series in with_series(results, cells, _SERIES[-1])
    ]
    if not drawn:
        return missing(name, title, caption, f"{measure} trial in which the collector ran here")
    how = " One trial of each cell. A mark is a run of the collector, its shape the generation collected."
    idle = len(cells) - len(drawn)
    if idle:
        how += f" In {idle} of {len(cells)} cells the collector never ran."
    return explained(
        results,
        name,
        title,
        caption + how,
        _in_words(drawn, idle),
        lambda: _draw(title, drawn, unnamed_factor(cells)),
        cells,
    )


def _draw(title: str, drawn: Sequence[_Pauses], factor: str) -> Drawing:
    drawing, axes = canvas(title)
    handles = []
    for place, some in enumerate(drawn):
        # Open marks for every second cell: the colour alone would not tell it.
        look: dict[str, Any] = {
            "color": style.SERIES[place % len(style.SERIES)],
            "fillstyle": "none" if place % 2 else "full",
            "linestyle": "",
        }
        for generation in range(3):
            here = some.generations == generation
            axes.plot(some.steps[here], some.seconds[here], marker=style.MARKERS[generation], **look)
        handles.append(Line2D([], [], marker="o", **look, label=some.label or "collection"))
    for generation in sorted({int(one) for some in drawn for one in some.generations}):
        shape: dict[str, Any] = {"marker": style.MARKERS[generation], "color": style.MUTED, "linestyle": ""}
        handles.append(Line2D([], [], **shape, label=f"generation {generation}"))
    least, most = min(some.seconds.min() for some in drawn), max(some.seconds.max() for some in drawn)
    if 0 < least * _LOGARITHMIC_FROM_RATIO <= most:
        logarithmic_axis(axes, "y", "seconds", least / 1.5, most * 1.5, "pause")
    else:
        axes.set_ylim(0, most * 1.1)
        number_axis(axes, "y", "seconds", most, "pause")
    axes.set_xlim(left=min(0, *(some.steps.min() for some in drawn)))
    iteration_axis(axes)
    legend(drawing, handles, factor)
    return drawing


def _in_words(drawn: Sequence[_Pauses], idle: int) -> str:
    told = [
        f"{some.label or 'all trials'}: {len(some.seconds)} collections, "
        f"the longest {text(float(some.seconds.max()), 'seconds')}"
        for some in drawn
    ]
    if idle:
        told.append(f"in {idle} other cells the collector never ran")
    return f"Pauses of the collector over iterations. {'; '.join(told)}."
