"""What a probe changes in what it watches: a loop that it watches beside the same loop that nothing watches.

The twins run in the experiment `observer_effect`; a store in which it never ran knows nothing of any probe.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.store import Row
from toolkit.trials import Level
from toolkit.trials.collecting import policy_of
from toolkit.trials.measuring import probe_names, probes_of

if TYPE_CHECKING:
    from toolkit.analysis.results import Results

__all__ = ["BARE", "EXPERIMENT", "Observed", "Twin", "left_to_collector", "twins"]

#: The experiment, the level of its factor `watcher` that watches nothing, and the metrics of its loop.
EXPERIMENT = "observer_effect"
BARE = "bare"
_COLLECTIONS, _PEAK, _ALLOWED = "loop_collections_count", "loop_peak_bytes", "loop_peak_tolerance_bytes"


@dataclass(frozen=True, slots=True, eq=False)
class Twin:
    """A loop that is watched, beside the one that is not.

    Attributes
    ----------
    watcher : str
        The name of a probe, or of another tool.
    levels : mapping of str to level
        What else tells this loop from others.
    collections_count, bare_collections_count : float
        How often the collector ran: medians, watched and not.
    peak_bytes, bare_peak_bytes : float
        The resident peak: medians, watched and not.
    allowed_bytes : float
        How far the peaks may lie apart though nothing was changed.
    """

    watcher: str
    levels: Mapping[str, Level]
    collections_count: float
    bare_collections_count: float
    peak_bytes: float
    bare_peak_bytes: float
    allowed_bytes: float

    @property
    def higher_bytes(self) -> float:
        """How much higher the loop peaks for being watched."""
        return self.peak_bytes - self.bare_peak_bytes

    @property
    def changes(self) -> bool:
        """Whether the watcher changes how often the collector runs, or the peak."""
        more = self.collections_count - self.bare_collections_count
        return more != 0 or abs(self.higher_bytes) > self.allowed_bytes


def twins(results: "Results") -> tuple[Twin, ...]:
    """Return each watched loop that has a bare twin, from the results of `EXPERIMENT`."""
    if not results.rows or "watcher" not in results.factors:
        return ()
    by = [name for name in results.varying if name != "watcher"]
    medians = {
        metric: {
            cell.identity: cell.estimate.median for cell in results.cells(metric, "timed", ["watcher", *by])
        }
        for metric in (_COLLECTIONS, _PEAK, _ALLOWED)
    }
    found = []
    for identity in medians[_PEAK]:
        (_, watcher), *others = identity
        bare = (("watcher", BARE), *others)
        if watcher != BARE and all(bare in cells and identity in cells for cells in medians.values()):
            found.append(
                Twin(
                    watcher=str(watcher),
                    levels=dict(others),
                    collections_count=medians[_COLLECTIONS][identity],
                    bare_collections_count=medians[_COLLECTIONS][bare],
                    peak_bytes=medians[_PEAK][identity],
                    bare_peak_bytes=medians[_PEAK][bare],
                    allowed_bytes=medians[_ALLOWED][bare],
                )
            )
    return tuple(found)


class Observed:
    """What a store knows of the effect of probes on what they watch.

    Parameters
    ----------
    found : sequence of Twin
        Empty where the store knows nothing.
    """

    def __init__(self, found: Sequence[Twin] = ()) -> None:
        self._twins = tuple(found)

    def of(self, watcher: str) -> tuple[Twin, ...]:
        """Return the twins of a probe or tool: none where nothing is known of it, those that differ if any do."""
        mine = tuple(twin for twin in self._twins if twin.watcher == watcher)
        return tuple(twin for twin in mine if twin.changes) or mine[:1]

    def changing(self, measure: str) -> tuple[Twin, ...]:
        """Return the twins that differ, of the probes that take part in a measure."""
        return tuple(twin for probe in probes_of(measure) for twin in self.of(probe) if twin.changes)

    def all_changing(self) -> tuple[Twin, ...]:
        """Return the twins that differ, of all probes that take part in measures."""
        return tuple(twin for probe in probe_names() for twin in self.of(probe) if twin.changes)

    def changed(self, rows: Iterable[Row]) -> tuple[Twin, ...]:
        """Return the twins that differ, of the probes that took these trials: those that can differ."""
        measures = dict.fromkeys(row.measure for row in rows if left_to_collector(row))
        return tuple(dict.fromkeys(twin for measure in measures for twin in self.changing(measure)))

    def unknown(self, measure: str) -> tuple[str, ...]:
        """Return the probes of a measure of which it is not known what they change."""
        return tuple(probe for probe in sorted(probes_of(measure)) if not self.of(probe))


def left_to_collector(row: Row) -> bool:
    """Return whether Python's own collector decides over the figures of a trial.

    It does where cycles are garbage and it runs by itself; not where theory is exact, which knows no collector.
    """
    levels, exact = {**row.constants, **row.factors}, row.conditions.get("prediction_exact")
    has_garbage = levels.get("references", "weak") == "strong" or exact is False
    return has_garbage and exact is not True and policy_of(levels.get("gc", "default")).automatic
