"""Of what the memory consists: bytes by role, stacked over the events of the engine, with the phases below."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Patch

from toolkit.analysis.comparison import prediction_of
from toolkit.analysis.results import Results
from toolkit.probes.ledger import PHASES, ROLES
from toolkit.report import Figure, style
from toolkit.report.charts._canvas import (
    array_bytes_of,
    explained,
    legend,
    missing,
    number_axis,
    panels,
    with_series,
)
from toolkit.report.units import text
from toolkit.trials import Level

#: More than this cannot be told apart across the width of a figure.
_MOST_EVENTS = 400
_MOST_PANELS = 4
#: The part of the width that the name of a phase needs.
_NAME_SHARE = 0.14
_PANEL_INCHES = 2.3
_LEGEND_INCHES = 1.1

_AREAS: dict[str, dict[str, Any]] = {
    role: {"facecolor": style.SERIES[place], "hatch": style.HATCHES[place % 2], "edgecolor": style.PAPER}
    for role, place in zip(ROLES, (3, 0, 2, 4, 1, 5), strict=True)
}
_STRIPS: dict[str, dict[str, Any]] = {
    "forward": {"facecolor": style.GRID, "edgecolor": style.GRID},
    "backward": {"facecolor": style.MUTED, "edgecolor": style.MUTED},
    "release": {"facecolor": style.PAPER, "edgecolor": style.MUTED, "hatch": "xxxx"},
}


class _Panel(NamedTuple):
    label: str
    events: npt.NDArray[np.int64]
    held: npt.NDArray[np.int64]
    phases: npt.NDArray[np.int64]
    peak: float

    @property
    def totals(self) -> npt.NDArray[np.int64]:
        return np.asarray(self.held.sum(axis=0), dtype=np.int64)

    @property
    def highest(self) -> int:
        """The last of the highest events, as in the ledger's own account of its peak."""
        at_events = np.where(self.phases == PHASES.index("release"), -1, self.totals)
        return len(self.events) - 1 - int(at_events[::-1].argmax())


def roles(
    results: Results,
    *,
    name: str,
    title: str,
    caption: str = "",
    by: Iterable[str] | None = None,
    where: Mapping[str, Level | Sequence[Level]] | None = None,
) -> Figure:
    """Draw the logical bytes of each role over the events of the engine, a panel for each cell.

    Parameters
    ----------
    results : Results
    name, title, caption : str
        Of the figure. The caption is followed by what the marks mean.
    by, where : optional
        As in `Results.cells`. The first four cells are drawn.
    """
    by = None if by is None else tuple(by)
    cells = results.cells("ledger_peak_bytes", "ledger", by, where)
    drawn = cells[:_MOST_PANELS]
    made = [
        _panel(label, series, cell.trial.metrics["ledger_peak_bytes"])
        for label, cell, series in with_series(results, drawn, "event_phase")
    ]
    if not made:
        return missing(name, title, caption, "ledger trial with arrays here")
    array_bytes = _array_bytes(results, where or {})
    how = " One trial of each cell, read at every event of the core; the strip below tells the phase."
    how += " A view counts as the whole array that it is a view of."
    how += f" Triangle: the peak, of which {'; '.join(_at_peak(panel, array_bytes) for panel in made)}."
    if len(cells) > len(drawn):
        how += f" The first {len(drawn)} of {len(cells)} cells."
    return explained(
        results, name, title, caption + how, _in_words(made), lambda: _draw(title, made, array_bytes), drawn
    )


def _array_bytes(results: Results, where: Mapping[str, Level | Sequence[Level]]) -> int | None:
    """Return S, which theory knows: it speaks of traced trials, and those may have other levels in some factors."""
    shared = {name: levels for name, levels in where.items() if results.trials("traced", {name: levels})}
    return array_bytes_of(results.cells(prediction_of("peak_traced_bytes"), "traced", None, shared))


def _panel(label: str, series: Mapping[str, npt.NDArray[np.generic]], peak: float) -> _Panel:
    held = np.array([series[f"event_{role}_bytes"] for role in ROLES], dtype=np.int64)
    kept = _highest_of_each(held.sum(axis=0))
    return _Panel(label, kept, held[:, kept], np.asarray(series["event_phase"], dtype=np.int64)[kept], peak)


def _highest_of_each(totals: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the places of the events to draw: all of them, or the highest of each of some hundred groups."""
    groups = np.array_split(np.arange(len(totals)), min(len(totals), _MOST_EVENTS))
    return np.array([group[totals[group].argmax()] for group in groups], dtype=np.int64)


def _draw(title: str, made: Sequence[_Panel], array_bytes: int | None) -> Drawing:
    drawing, rows = panels(title, len(made), _LEGEND_INCHES + _PANEL_INCHES * len(made))
    largest = max(int(panel.totals.max()) for panel in made)
    for panel, (axes, strip) in zip(made, rows, strict=True):
        _draw_areas(axes, panel)
        axes.set_ylim(0, largest * 1.18 or 1)
        axes.set_title(panel.label, fontsize=9.5)
        number_axis(axes, "y", "bytes", largest, "logical bytes", array_bytes)
        _draw_phases(strip, panel)
    rows[-1][1].set_xlabel("event of the engine")
    used = [role for place, role in enumerate(ROLES) if any(panel.held[place].any() for panel in made)]
    phases = [
        name for place, name in enumerate(PHASES) if any((panel.phases == place).any() for panel in made)
    ]
    handles: list[Artist] = [Patch(**_AREAS[role], label=_words_of(role)) for role in used]
    handles += [Patch(**_STRIPS[name], label=f"phase: {name}") for name in phases]
    legend(drawing, handles)
    return drawing


def _draw_areas(axes: Axes, panel: _Panel) -> None:
    edges = _edges(panel.events)
    floor = np.zeros(len(panel.events), dtype=np.int64)
    for role, held in zip(ROLES, panel.held, strict=True):
        if held.any():
            axes.stairs(floor + held, edges, baseline=floor, fill=True, linewidth=0, **_AREAS[role])
        floor = floor + held
    axes.stairs(floor, edges, color=style.INK, linewidth=0.9)
    at = (edges[panel.highest] + edges[panel.highest + 1]) / 2
    axes.plot([at], [floor.max() * 1.03], "v", color=style.INK, markersize=5, clip_on=False)
    left = at < edges[0] + (edges[-1] - edges[0]) / 2
    axes.annotate(
        f"peak {text(panel.peak, 'bytes')}",
        (at, floor.max() * 1.03),
        (7 if left else -7, 3),
        textcoords="offset points",
        ha="left" if left else "right",
        va="bottom",
        fontsize=8.5,
    )
    axes.set_xlim(edges[0], edges[-1])
    axes.tick_params(axis="x", labelbottom=False, length=0)


def _draw_phases(strip: Axes, panel: _Panel) -> None:
    edges = _edges(panel.events)
    starts = np.flatnonzero(np.r_[True, panel.phases[1:] != panel.phases[:-1]])
    for start, end in zip(starts, [*starts[1:], len(panel.phases)], strict=True):
        name = PHASES[panel.phases[start]]
        left, right = edges[start], edges[end]
        strip.barh(0, right - left, left=left, height=1, linewidth=0.5, **_STRIPS[name])
        if right - left > _NAME_SHARE * (edges[-1] - edges[0]):
            color = style.PAPER if name == "backward" else style.INK
            strip.text((left + right) / 2, 0, name, ha="center", va="center", fontsize=8.5, color=color)
    strip.set_xlim(edges[0], edges[-1])
    strip.set_ylim(-0.5, 0.5)
    strip.set_yticks([])
    strip.grid(visible=False)
    strip.spines[["left", "bottom"]].set_visible(False)


def _edges(events: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return where the columns of events begin and end, counted from 1, the middle of the first."""
    middles = (events[1:] + events[:-1]) / 2 + 1
    return np.concatenate([[events[0] + 0.5], middles, [events[-1] + 1.5]])


def _words_of(role: str) -> str:
    return "saved tensor" if role == "saved" else role


def _at_peak(panel: _Panel, array_bytes: int | None) -> str:
    """Return of what the peak of a panel consists, the largest part first: in arrays, where all have one size."""
    held = panel.held[:, panel.highest]
    parts = (
        f"{_words_of(ROLES[role])} "
        + (text(int(held[role]) / array_bytes, "S") if array_bytes else text(int(held[role]), "bytes"))
        for role in np.argsort(-held, kind="stable")
        if held[role]
    )
    return f"{panel.label or 'all trials'}: {' + '.join(parts) or 'nothing'}"


def _in_words(made: Sequence[_Panel]) -> str:
    told = []
    for panel in made:
        at = panel.highest
        parts = [
            f"{text(int(held[at]), 'bytes')} {_words_of(role)}"
            for role, held in zip(ROLES, panel.held, strict=True)
            if held[at]
        ]
        phase = PHASES[panel.phases[at]]
        told.append(
            f"{panel.label or 'all trials'}: peak {text(panel.peak, 'bytes')} ({phase}), "
            f"of it {', '.join(parts) or 'nothing'}"
        )
    return f"Areas of logical bytes by role over events. {'; '.join(told)}."
