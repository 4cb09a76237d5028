"""Figures that every experiment can have: for those that draw none of their own, or whose script is not here."""

from collections.abc import Iterator

from toolkit.analysis.results import Results
from toolkit.report import Figure
from toolkit.report.charts.bars import bars
from toolkit.report.charts.roles import roles
from toolkit.report.charts.timeline import timeline
from toolkit.report.charts.waiting import waiting
from toolkit.report.charts.waterfall import waterfall

#: More lines than this cannot be told apart.
_MOST_LINES = 6


def figures(results: Results) -> Iterator[Figure]:
    """Yield what the trials of an experiment allow: peaks, times, what is held at the end, on the way and why."""
    found = {(row.measure, metric) for row in results.rows for metric in row.metrics}
    for metric, measure, title in (
        ("peak_rss_bytes", "resident", "Resident peak of each cell"),
        ("peak_traced_bytes", "traced", "Traced peak of each cell"),
        ("wall_seconds", "timed", "Time of each cell"),
    ):
        if (measure, metric) in found:
            yield bars(results, metric, measure, name=metric, title=title)
    if ("resident", "trimmed_rss_bytes") in found:
        yield waiting(results, name="waiting", title="What each cell holds at the end")
    resident = results.trials("resident")
    looped = bool(resident) and "event_rss_bytes" in results.series(resident[0])
    if looped and len(results.combinations) <= _MOST_LINES:
        yield timeline(results, name="timeline", title="Resident bytes over iterations")
    yield from composition(results)


def composition(results: Results) -> Iterator[Figure]:
    """Yield of what memory consists, event by event where the ledger followed it, and what lies under a peak."""
    if "ledger" in results.measures:
        yield roles(results, name="roles", title="Bytes of each role, from event to event")
    title = "What lies between the arrays of the peak and its resident pages"
    steps = waterfall(results, name="waterfall", title=title)
    if steps.draw:
        yield steps
