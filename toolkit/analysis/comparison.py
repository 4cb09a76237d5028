"""Measured against predicted, cell by cell."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from toolkit.analysis.noise import READING_ERROR_PAGES, USUAL_PAGE_BYTES, resolution
from toolkit.analysis.observing import Twin
from toolkit.analysis.predictions import Deviation, page_rounded
from toolkit.analysis.results import Cell, Results
from toolkit.analysis.statistics import Estimate
from toolkit.store import Row
from toolkit.trials import Level, Measure

#: An exact prediction of the resident set holds within what its readings may be off. Below the array size given,
#: the pages that arrays share with other things count for too much to claim anything.
RESIDENT_CLAIM_FROM_ARRAY_BYTES = 800_000

#: An exact prediction of traced bytes holds within this many arrays, or within so many bytes where that is more:
#: beside those that it counts only small ones are traced, such as those that numpy makes of constants, of 8 bytes
#: each.
TRACED_TOLERANCE_ARRAYS = 0.002
TRACED_TOLERANCE_BYTES = 112

#: A model that does not say itself how far off it may be.
MODEL_TOLERANCE_PERCENT = 10.0

_ELEMENT_BYTES = 8

#: The prediction of each metric that theory speaks of; of any other metric it is ``predicted_METRIC``.
_PREDICTIONS: Mapping[str, str] = {
    "peak_rss_bytes": "predicted_peak_bytes",
    "peak_traced_bytes": "predicted_peak_bytes",
    "end_rss_bytes": "predicted_end_bytes",
    "end_traced_bytes": "predicted_end_bytes",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of one cell beside what theory says of it.

    Attributes
    ----------
    levels : mapping of str to level
        The cell.
    measure : {"resident", "traced", "timed"}
    metric : str
    measured : Estimate
        In the unit of the metric.
    predicted : float
        In the unit of the metric.
    exact : bool
        False where the prediction is a model that is right within some percent.
    basis : str
        The formula; empty where it was not recorded.
    array_bytes : int or None
        The data of one array, S.
    page_bytes : int
        One page of the machine that measured.
    keys : frozenset of str
        Of the cell's trials.
    estimated : bool
        Whether what was measured is an estimate, of which nothing may be claimed.
    changed_by : tuple of Twin
        As in `Cell`.
    resolution_bytes : float
        How far the readings may be off, which is 0 for those that are exact.
    elements : int or None
        The numbers in one array; None where the cell has no arrays of one size.
    exception : Deviation or None
        Why the measurement may lie further off than others, and how far.
    farthest : float or None
        Of an exact prediction, how far its trial that is farthest off lies above its own prediction: a median would
        hide it.
    """

    levels: Mapping[str, Level]
    measure: Measure
    metric: str
    measured: Estimate
    predicted: float
    exact: bool
    basis: str
    array_bytes: int | None
    page_bytes: int
    keys: frozenset[str]
    estimated: bool = False
    changed_by: tuple[Twin, ...] = ()
    resolution_bytes: float = 0.0
    elements: int | None = None
    exception: Deviation | None = None
    farthest: float | None = None

    @property
    def deviation(self) -> float:
        """The median measured less what was predicted, in the unit of the metric; or `farthest`."""
        return self.measured.median - self.predicted if self.farthest is None else self.farthest

    @property
    def deviation_pages(self) -> float | None:
        """The deviation in pages; None for a metric that is not in bytes."""
        return self.deviation / self.page_bytes if self.metric.endswith("_bytes") else None

    @property
    def deviation_arrays(self) -> float | None:
        """The deviation in arrays, S; None where S is not known or the metric is not in bytes."""
        if not self.array_bytes or self.deviation_pages is None:
            return None
        return self.deviation / self.array_bytes

    @property
    def predicted_arrays(self) -> tuple[int, int] | None:
        """How many arrays the prediction is, and how many bytes each takes; None where it is no whole number."""
        if not self.array_bytes or not self.metric.endswith("_bytes"):
            return None
        each = (
            page_rounded(self.array_bytes, self.page_bytes)
            if self.measure == "resident"
            else self.array_bytes
        )
        count, beyond = divmod(self.predicted, each)
        return None if beyond else (int(count), each)

    @property
    def deviation_percent(self) -> float | None:
        """The deviation in percent of the prediction; None where that is 0."""
        return 100 * self.deviation / self.predicted if self.predicted else None

    @property
    def off(self) -> float | None:
        """The deviation in the unit in which it is judged; None where nothing may be claimed."""
        return self._yardstick[0]

    @property
    def off_unit(self) -> str:
        """The unit of `off`, to be written after the number: " pages", " S", " %", or "" for counts."""
        return self._yardstick[2]

    @property
    def allowance(self) -> str:
        """How far off a prediction of this kind may be, in words; or why nothing may be claimed."""
        off, tolerance, unit, why = self._yardstick
        if off is None:
            return f"no claim: {why}"
        return f"within {tolerance:.3g}{unit}" if tolerance else "exactly"

    @property
    def holds(self) -> bool | None:
        """Whether the prediction holds within what may be claimed for it; None where nothing may."""
        off, tolerance, *_ = self._yardstick
        return None if off is None else abs(off) <= tolerance

    @property
    def agreement(self) -> str:
        """`holds`, in words and with the number that it rests on."""
        if self.holds is False and self.off is not None:
            return f"off by {abs(self.off):.3g}{self.off_unit}"
        return "equal" if self.off == 0 and not self.off_unit else self.allowance

    @property
    def accounted_percent(self) -> float | None:
        """How far off the cause that the prediction names may move it; None where it names none.

        To the whole arrays of which it tells comes what is beside arrays: small objects, and errors of readings.
        """
        if self.exception is None:
            return None
        if not self.predicted or self.deviation_pages is None:
            return self.exception.percent
        beside = self._traced_tolerance_bytes
        if self.measure == "resident":
            beside += max(READING_ERROR_PAGES * self.page_bytes, self.resolution_bytes)
        return self.exception.percent + 100 * beside / self.predicted

    @property
    def _yardstick(self) -> tuple[float | None, float, str, str]:
        """The deviation, what is allowed, and their unit; where the deviation is None, why."""
        if self.estimated:
            return None, 0, "", "an estimate on this platform"
        if not self.exact:
            accounted = self.accounted_percent
            tolerance = MODEL_TOLERANCE_PERCENT if accounted is None else accounted
            return self.deviation_percent, tolerance, " %", "the model predicts nothing"
        if self.deviation_pages is None:
            return self.deviation, 0, "", ""
        if self.measure == "resident":
            small = (self.array_bytes or 0) < RESIDENT_CLAIM_FROM_ARRAY_BYTES
            pages = None if small else self.deviation_pages
            tolerance = max(READING_ERROR_PAGES, self.resolution_bytes / self.page_bytes)
            return pages, tolerance, " pages", "small arrays"
        arrays = self._traced_tolerance_bytes / (self.array_bytes or 1)
        return self.deviation_arrays, arrays, " S", "array size unknown"

    @property
    def _traced_tolerance_bytes(self) -> float:
        return max(TRACED_TOLERANCE_ARRAYS * (self.array_bytes or 0), TRACED_TOLERANCE_BYTES)


def allowances(compared: Iterable[Comparison]) -> str:
    """Return how far off predictions that make a claim may be, in words: from least to most where they differ.

    Parameters
    ----------
    compared : iterable of Comparison
    """
    words: defaultdict[str, dict[float, str]] = defaultdict(dict)
    for one in compared:
        _, tolerance, unit, _ = one._yardstick
        words[unit if tolerance else "exactly"][tolerance] = one.allowance
    told = []
    for unit, one_kind in words.items():
        least, most = min(one_kind), max(one_kind)
        alike = one_kind[least] == one_kind[most]
        told.append(one_kind[least] if alike else f"within {least:.3g} to {most:.3g}{unit}")
    return " or ".join(told)


def compare(results: Results) -> tuple[Comparison, ...]:
    """Return the comparison of every cell, measure and metric that has both a reading and a prediction."""
    rows = {row.key: row for row in results.rows}
    return tuple(
        _comparison(cell, [rows[key] for key in cell.keys], predicted, metric, measure)
        for metric in metrics_with_predictions(results)
        for measure in results.measures
        for cell, predicted in with_predictions(results, metric, measure)
        if predicted is not None
    )


def with_predictions(
    results: Results,
    metric: str,
    measure: str,
    by: Iterable[str] | None = None,
    where: Mapping[str, Level | Sequence[Level]] | None = None,
) -> tuple[tuple[Cell, float | None], ...]:
    """Return what `Results.cells` returns, each cell with what was predicted for it, in the same unit."""
    by = None if by is None else tuple(by)
    predicted = {
        cell.identity: cell.estimate.median
        for cell in results.cells(prediction_of(metric), measure, by, where)
    }
    return tuple((cell, predicted.get(cell.identity)) for cell in results.cells(metric, measure, by, where))


def metrics_with_predictions(results: Results) -> tuple[str, ...]:
    """Return the metrics that have predictions: theory's, then those for which a script recorded its own."""
    recorded = dict.fromkeys(name for row in results.rows for name in row.metrics)
    others = (name.removeprefix("predicted_") for name in recorded if name.startswith("predicted_"))
    metrics = dict.fromkeys((*_PREDICTIONS, *others))
    return tuple(metric for metric in metrics if metric in recorded and prediction_of(metric) in recorded)


def prediction_of(metric: str) -> str:
    """Return the name of the metric that holds the prediction of `metric`."""
    return _PREDICTIONS.get(metric, f"predicted_{metric}")


def _comparison(
    cell: Cell, rows: Sequence[Row], predicted: float, metric: str, measure: Measure
) -> Comparison:
    conditions = cell.trial.conditions
    array_bytes = conditions.get("prediction_array_bytes")
    exact = bool(conditions.get("prediction_exact", True))
    deviations = [
        row.metrics[metric] - row.metrics[prediction_of(metric)]
        for row in rows
        if prediction_of(metric) in row.metrics
    ]
    return Comparison(
        levels=cell.levels,
        measure=measure,
        metric=metric,
        measured=cell.estimate,
        predicted=predicted,
        exact=exact,
        basis=_basis(metric, conditions),
        array_bytes=None if array_bytes is None else int(array_bytes),
        page_bytes=int(conditions.get("page_bytes", USUAL_PAGE_BYTES)),
        keys=cell.keys,
        estimated=cell.estimated,
        changed_by=cell.changed_by,
        resolution_bytes=resolution(metric, rows),
        elements=_elements(cell, array_bytes),
        exception=_exception(conditions),
        # A store from elsewhere may have the reading in one trial and its prediction in another.
        farthest=max(deviations, key=abs, default=None) if exact else None,
    )


def _basis(metric: str, conditions: Mapping[str, Level]) -> str:
    name = "end" if metric.startswith("end_") else metric
    return str(conditions.get(f"prediction_basis_{name}", conditions.get("prediction_basis", "")))


def _elements(cell: Cell, array_bytes: Level | None) -> int | None:
    # A factor n need not count the numbers of an array: it may be the side of a matrix.
    if array_bytes is not None:
        return int(array_bytes) // _ELEMENT_BYTES
    n = {**cell.trial.constants, **cell.trial.factors}.get("n")
    return int(n) if isinstance(n, int | float) else None


def _exception(conditions: Mapping[str, Level]) -> Deviation | None:
    cause, percent = (conditions.get(f"prediction_exception{one}") for one in ("", "_percent"))
    return Deviation(percent=float(percent), cause=str(cause)) if cause and percent is not None else None
