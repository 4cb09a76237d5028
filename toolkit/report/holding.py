"""Why bytes are still held at the end, cell by cell."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from toolkit.analysis.results import Results
from toolkit.analysis.verdict import Verdict, verdicts
from toolkit.report import Column, Table
from toolkit.trials import Level, Measure

__all__ = ["held", "table"]

_READINGS: Mapping[str, Measure] = {
    "end_traced_bytes": "traced",
    "dropped_traced_bytes": "traced",
    "collected_traced_bytes": "traced",
    "cleared_traced_bytes": "traced",
    "end_rss_bytes": "resident",
    "collected_rss_bytes": "resident",
    "trimmed_rss_bytes": "resident",
}


class _Held(NamedTuple):
    levels: Mapping[str, Level]
    verdict: Verdict


def held(results: Results) -> tuple[_Held, ...]:
    """Return each verdict on each cell, from the medians of its readings; cells without all of them have none."""
    found = {
        metric: {cell.identity: cell.estimate.median for cell in results.cells(metric, measure)}
        for metric, measure in _READINGS.items()
    }
    return tuple(
        _Held(levels, verdict)
        for levels in results.combinations
        if all(tuple(levels.items()) in cells for cells in found.values())
        for verdict in verdicts(
            **{metric: round(cells[tuple(levels.items())]) for metric, cells in found.items()}
        )
    )


def table(results: Results, cells: Sequence[_Held], stem: str) -> Table:
    """Return the table of what each cell holds at the end beyond its result, and why."""
    return Table(
        stem=stem,
        title="Why bytes are still held at the end",
        columns=(
            *(Column(heading=name, name=name) for name in results.varying),
            Column(heading="verdict", name="verdict"),
            Column(heading="held", name="held_bytes", unit="bytes"),
            Column(heading="how that is known", name="known_by"),
        ),
        rows=tuple(
            (*one.levels.values(), one.verdict.kind, one.verdict.nbytes, one.verdict.sentence)
            for one in cells
        ),
    )
