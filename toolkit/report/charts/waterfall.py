"""From logical bytes to the resident set: a bar for each step between two readings of a peak."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Patch

from toolkit.analysis.predictions import page_rounded
from toolkit.analysis.reconciliation import Reconciliation, reconcile
from toolkit.analysis.results import Cell, Results
from toolkit.report import Figure
from toolkit.report.charts._canvas import canvas, cell_labels, explained, legend, missing, number_axis
from toolkit.report.style import HATCHES, INK, MUTED, PAPER, SERIES
from toolkit.report.units import number, text
from toolkit.trials import Level

_MOST_CELLS = 3
#: From this size on malloc maps an array by itself under the level "fixed" (toolkit/trials/allocating.py).
_MAPPED_FROM_BYTES = 64 << 10


class _Peak(NamedTuple):
    cell: Cell
    label: str
    told: Reconciliation


def waterfall(
    results: Results,
    *,
    name: str,
    title: str,
    caption: str = "",
    by: Iterable[str] | None = None,
    where: Mapping[str, Level | Sequence[Level]] | None = None,
) -> Figure:
    """Draw what stands between the logical bytes of a peak and its resident set, step by step.

    The logical bytes are the ledger's where it was run, else the prediction. Array data is traced, and malloc and
    the kinds of pages are read, at the highest event of a trial. What is traced then and not among the logical
    bytes is named by nothing: it counts as residual. Predicted temporaries that live inside an operation are none
    of it, as far as the traced peak lies above the highest event.

    Parameters
    ----------
    results : Results
    name, title, caption : str
        Of the figure. The caption is followed by what the marks mean, and by the residual.
    by, where : optional
        As in `Results.cells`.

    Returns
    -------
    Figure
        Of at most 3 cells.
    """
    names = None if by is None else tuple(by)
    found = list(islice(_peaks(results, names, where), _MOST_CELLS + 1))
    more, found = len(found) > _MOST_CELLS, found[:_MOST_CELLS]
    if not found:
        return missing(name, title, caption, "cell with resident and traced trials and logical bytes here")
    labels = cell_labels([cell for cell, _ in found])
    peaks = [_Peak(cell, label, told) for (cell, told), label in zip(found, labels, strict=True)]
    how = " Bars: the step from one reading to the next, beyond the logical bytes; lines: readings."
    if any(part.name == "malloc in use" for peak in peaks for part in peak.told.parts):
        how += " Malloc counts small blocks that lie on pages which were resident before: the reserve."
    else:
        how += " The reading of malloc is left out: the C library of this machine does not tell it."
    if more:
        how += f" The first {_MOST_CELLS} cells alone."
    residuals = ", ".join(map(_residual, peaks))
    return explained(
        results,
        name,
        title,
        f"{caption}{how} Residual, of the peak: {residuals}.",
        _in_words(peaks),
        lambda: _draw(title, peaks),
        [
            *(peak.cell for peak in peaks),
            *results.cells("peak_traced_bytes", "traced", names, where),
            *results.cells("ledger_peak_bytes", "ledger", names, where),
        ],
    )


def _peaks(
    results: Results, by: Sequence[str] | None, where: Mapping[str, Level | Sequence[Level]] | None
) -> Iterator[tuple[Cell, Reconciliation]]:
    def cells(metric: str, measure: str) -> dict[object, Cell]:
        return {cell.identity: cell for cell in results.cells(metric, measure, by, where)}

    traced = cells("peak_traced_bytes", "traced")
    accounts = cells("ledger_peak_bytes", "ledger")
    predictions = cells("predicted_peak_bytes", "traced")
    for identity, cell in cells("heap_anonymous_rss_bytes", "resident").items():
        if identity not in traced:
            continue
        trial = traced[identity].trial
        series = results.series(trial)
        peak = int(trial.metrics["peak_traced_bytes"])
        data = int(series["event_traced_bytes"].max()) if "event_traced_bytes" in series else peak
        if identity in accounts:
            # The ledger reads at events too, and knows nothing of what lives between them.
            logical, temporary = accounts[identity].trial.metrics["ledger_peak_bytes"], 0
        elif identity in predictions:
            logical, temporary = predictions[identity].trial.metrics["predicted_peak_bytes"], peak - data
        else:
            continue
        metrics = cell.trial.metrics
        heap = metrics.get("heap_in_use_bytes")
        yield (
            cell,
            reconcile(
                logical_bytes=int(logical),
                temporary_bytes=temporary,
                traced_bytes=data,
                rounding_bytes=_rounding(cell, data),
                heap_bytes=None if heap is None else int(heap),
                anonymous_bytes=int(metrics["heap_anonymous_rss_bytes"]),
                file_bytes=int(metrics["heap_file_rss_bytes"]),
                rss_bytes=int(metrics["peak_rss_bytes"]),
            ),
        )


def _rounding(cell: Cell, traced_bytes: int) -> int | None:
    """Return what arrays of one size take beyond their data where malloc maps each by itself; else None."""
    size = int(cell.trial.conditions.get("prediction_array_bytes", 0))
    levels = {**cell.trial.constants, **cell.trial.factors}
    if size < _MAPPED_FROM_BYTES or levels.get("malloc", "fixed") != "fixed":
        return None
    return traced_bytes // size * (page_rounded(size) - size)


def _draw(title: str, peaks: Sequence[_Peak]) -> Drawing:
    # A step that one of the cells lacks has its row all the same.
    names = list(dict.fromkeys(part.name for peak in peaks for part in peak.told.parts[:-1]))
    names.append(peaks[0].told.parts[-1].name)
    drawing, axes = canvas(title, height=1.3 + (0.08 + 0.17 * len(peaks)) * len(names))
    height = 0.8 / len(peaks)
    ends = [0.0]
    for place, peak in enumerate(peaks):
        level = 0
        start = peak.told.parts[0].nbytes
        for part in peak.told.parts:
            row = len(names) - 1 - names.index(part.name) + 0.4 - (place + 0.5) * height
            if part.is_reading:
                level = part.nbytes - start
                axes.plot([level, level], [row - height / 2, row + height / 2], color=INK, linewidth=2.2)
                # The readings differ in digits that a rounded number does not show.
                label = f"{number(part.nbytes / 1024, 1)} KiB"
            else:
                look: dict[str, Any] = {
                    "facecolor": SERIES[place],
                    "hatch": HATCHES[place],
                    "edgecolor": PAPER,
                }
                axes.barh(row, part.nbytes, left=level, height=height * 0.86, **look)
                label = text(part.nbytes, "bytes", signed=True)
                level += part.nbytes
            end = level if part.is_reading else max(level, level - part.nbytes)
            axes.annotate(
                label,
                (end, row),
                (5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=INK if part.is_reading else MUTED,
            )
            ends.append(level)
    low, high = min(ends), max(ends)
    width = high - low or 1
    axes.set_xlim(low - 0.06 * width, high + 0.36 * width)
    axes.set_yticks(range(len(names) - 1, -1, -1), names, fontsize=8.5)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    number_axis(axes, "x", "bytes", max(abs(low), abs(high)), "beyond the logical bytes")
    legend(
        drawing,
        [
            Patch(facecolor=SERIES[place], hatch=HATCHES[place], edgecolor=PAPER, label=peak.label)
            for place, peak in enumerate(peaks)
        ],
    )
    return drawing


def _in_words(peaks: Sequence[_Peak]) -> str:
    def told(peak: _Peak) -> str:
        parts = (
            f"{part.name} {text(part.nbytes, 'bytes', signed=not part.is_reading)}"
            for part in peak.told.parts
        )
        return f"{peak.label or 'the trial'}: {', '.join(parts)}; residual {_residual(peak)}"

    return f"Steps from logical bytes to the resident peak. {'. '.join(map(told, peaks))}."


def _residual(peak: _Peak) -> str:
    residual = text(peak.told.residual_bytes, "bytes", signed=True)
    arrays = text(peak.told.unaccounted_bytes, "bytes", signed=True)
    of_arrays = f", {arrays} of it arrays in no account" if peak.told.unaccounted_bytes else ""
    return f"{residual} ({number(peak.told.residual_percent)} %{of_arrays})"
