"""Why bytes are still held at the end, cell by cell, and how long garbage waits before it is freed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from toolkit.analysis.reclamation import reclamation
from toolkit.analysis.results import Results
from toolkit.analysis.verdict import Verdict, verdicts
from toolkit.report import Column, Finding, Table
from toolkit.report.observers import marked, remark
from toolkit.report.units import level_text, levels_text, number, text
from toolkit.trials import Level, Measure

__all__ = ["held", "latency", "table"]

_READINGS: Mapping[str, Measure] = {
    "end_traced_bytes": "traced",
    "dropped_traced_bytes": "traced",
    "collected_traced_bytes": "traced",
    "unfrozen_traced_bytes": "traced",
    "cleared_traced_bytes": "traced",
    "end_rss_bytes": "resident",
    "dropped_rss_bytes": "resident",
    "collected_rss_bytes": "resident",
    "trimmed_rss_bytes": "resident",
}
#: Told only where the platform can copy a process.
_TOTAL = "cleared_traced_total_bytes"


class _Held(NamedTuple):
    levels: Mapping[str, Level]
    verdict: Verdict


def held(results: Results) -> tuple[_Held, ...]:
    """Return each verdict on each cell, from the medians of its readings; cells without all of them have none."""
    found = {
        metric: {cell.identity: cell.estimate.median for cell in results.cells(metric, measure)}
        for metric, measure in {**_READINGS, _TOTAL: "traced"}.items()
    }
    return tuple(
        _Held(levels, verdict)
        for levels in results.combinations
        if all(tuple(levels.items()) in found[metric] for metric in _READINGS)
        for verdict in verdicts(
            **{
                metric: round(cells[tuple(levels.items())])
                for metric, cells in found.items()
                if tuple(levels.items()) in cells
            }
        )
    )


def table(results: Results, cells: Sequence[_Held], stem: str) -> Table:
    """Return the table of what each cell holds at the end beyond its result, and why."""
    measures = dict.fromkeys(_READINGS.values())
    trials = [trial for measure in measures for trial in results.trials(measure)]
    told = remark(results.observed.changed(trials))
    return Table(
        stem=stem,
        title="Why bytes are still held at the end",
        columns=(
            *(Column(heading=name, name=name) for name in results.varying),
            Column(heading="verdict", name="verdict"),
            Column(heading=marked("held", bool(told)), name="held_bytes", unit="bytes"),
            Column(heading="how that is known", name="known_by"),
        ),
        rows=tuple(
            (*one.levels.values(), one.verdict.kind, one.verdict.nbytes, _known_by(one.verdict))
            for one in cells
        ),
        notes=tuple(filter(None, [_counted_twice(cells), told])),
    )


def _counted_twice(cells: Sequence[_Held]) -> str:
    """Return what must be known where a cell has both garbage and pages that its allocator kept of it; else ""."""
    garbage, retained = (
        [one.levels for one in cells if one.verdict.kind == kind]
        for kind in ("garbage awaiting collection", "retained by the allocator")
    )
    if not any(levels in garbage for levels in retained):
        return ""
    return (
        "Garbage is counted by what is traced, what the allocator retains by resident pages: where it keeps the "
        "pages of garbage that was collected, the same bytes have both rows, which do not add up."
    )


def _known_by(verdict: Verdict) -> str:
    if not verdict.beyond_bytes:
        return verdict.sentence
    beyond = text(verdict.beyond_bytes, "bytes")
    return f"{verdict.sentence}, which gave back {beyond} more that were resident before the workload"


def latency(results: Results, *, iterations: int, **levels: Level) -> Finding:
    """Say how long the garbage of a loop waited that leaves one graph of cycles in each iteration.

    Parameters
    ----------
    results : Results
    iterations : int
        Of the loop.
    **levels
        Of the cell beside it.
    """
    (cell,) = results.cells("wall_seconds", "timed", (), {**levels, "iterations": iterations}) or (None,)
    if cell is None:
        return Finding(sentence="How long garbage waits: no timed trial of that loop is here.")
    series = results.series(cell.trial)
    steps, generations = (series.get(f"collection_{name}", ()) for name in ("step", "generation"))
    told = reclamation([int(step) for step in steps], [int(one) for one in generations], iterations)
    each = cell.estimate.median / iterations
    freed = (
        f"{told.freed_count} of the graphs of {iterations} iterations are freed within the loop: they wait for "
        f"{number(told.median_iterations)} iterations in the median (some "
        f"{text(told.median_iterations * each, 'seconds')}, estimated from the mean time of an iteration), for "
        f"{number(told.max_iterations)} at most"
        if told.freed_count
        else f"none of the graphs of {iterations} iterations is freed within the loop"
    )
    waiting = (
        f"{told.waiting_count} still wait at the end, the longest for "
        f"{level_text(told.longest_waiting_iterations)} iterations so far"
        if told.waiting_count
        else "none still waits at the end"
    )
    return Finding(sentence=f"With {levels_text({**levels, 'iterations': iterations})}, {freed}; {waiting}.")
