"""The results of one experiment, as its script's figures and findings see them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import pandas as pd

from toolkit.analysis import statistics
from toolkit.analysis.observing import Observed, Twin
from toolkit.analysis.statistics import Estimate
from toolkit.store import Row
from toolkit.store.encoding import Samples
from toolkit.store.read import frame
from toolkit.trials import MEASURES, Level, Measure

Series: TypeAlias = Mapping[str, Samples]


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of levels, and a metric's estimate in it.

    Attributes
    ----------
    levels : mapping of str to level
        Of the factors and constants that tell this cell from others.
    estimate : Estimate
        The median over the replicates with its interval, in the unit of the metric.
    trial : Row
        The one whose reading is nearest to the median: to take series and conditions from.
    keys : frozenset of str
        Of all its trials.
    estimated : bool
        Whether a reading is no more than the platform's best guess, as the resident set is outside of Linux.
    changed_by : tuple of Twin
        What the probes that took the readings are known to change in what they watch.
    """

    levels: Mapping[str, Level]
    estimate: Estimate
    trial: Row
    keys: frozenset[str]
    estimated: bool = False
    changed_by: tuple[Twin, ...] = ()

    @property
    def identity(self) -> tuple[tuple[str, Level], ...]:
        """The levels, as a key that a cell of another metric shares if it is the same combination."""
        return tuple(self.levels.items())


class Results:
    """What the trials of one experiment yielded.

    Parameters
    ----------
    experiment : str
        Its name.
    rows : sequence of Row
        Its trials, also those that failed.
    read_series : callable
        ``read_series(key)`` returns the series of a trial as arrays, by name.
    declared : mapping of str to sequence of levels, optional
        The factors and their levels in the order in which the script declares them, for the order of cells.
        Levels that it does not name come after those that it does.
    observed : Observed, optional
        What is known of the effect of probes on what they watch; nothing if left out.

    Attributes
    ----------
    rows, failed : tuple of Row
        The trials that ended well, which alone give numbers; and the others.
    factors, constants : tuple of str
        Their names.
    varying : tuple of str
        Those of both that have more than one level, factors first.
    measures : tuple of {"resident", "traced", "timed", "ledger", "lines", "profiled"}
        In which some trial ended well.
    observed : Observed
    """

    def __init__(
        self,
        experiment: str,
        rows: Sequence[Row],
        read_series: Callable[[str], Series],
        declared: Mapping[str, Sequence[Level]] | None = None,
        observed: Observed | None = None,
    ) -> None:
        self.experiment = experiment
        self.observed = observed or Observed()
        self.rows = tuple(row for row in rows if row.status == "ok")
        self.failed = tuple(row for row in rows if row.status != "ok")
        self._declared = declared or {}
        found = dict.fromkeys(name for row in rows for name in row.factors)
        self.factors = tuple(dict.fromkeys((*(name for name in self._declared if name in found), *found)))
        self.constants = tuple(dict.fromkeys(name for row in rows for name in row.constants))
        self._read_series = read_series
        # A report asks for the same cells again and again: for figures, findings and tables.
        self._cells: dict[tuple[str, str, tuple[str, ...], str], tuple[Cell, ...]] = {}
        self._levels = {name: self._levels_of(name) for name in (*self.factors, *self.constants)}
        self.varying = tuple(name for name, levels in self._levels.items() if len(levels) > 1)
        self.measures: tuple[Measure, ...] = tuple(
            measure for measure in MEASURES if any(row.measure == measure for row in self.rows)
        )

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row for each trial that ended well, as `toolkit.load` gives it."""
        return frame(self.rows)

    @cached_property
    def combinations(self) -> tuple[Mapping[str, Level], ...]:
        """The levels of what varies, for each combination that trials ran with, in the order of cells."""
        found = {tuple(_level(row, name) for name in self.varying) for row in self.rows}
        ordered = sorted(found, key=lambda levels: self._places(self.varying, levels))
        return tuple(dict(zip(self.varying, levels, strict=True)) for levels in ordered)

    def levels(self, name: str) -> tuple[Level, ...]:
        """Return the levels that trials ran with: numbers in order, others as they were declared."""
        self._check_names([name])
        return self._levels[name]

    def level(self, name: str, wanted: Level) -> Level:
        """Return `wanted` if some trial has that level of the factor or constant `name`; its last level if not."""
        levels = self.levels(name)
        return wanted if any(_same(level, wanted) for level in levels) else levels[-1]

    def cells(
        self,
        metric: str,
        measure: str,
        by: Iterable[str] | None = None,
        where: Mapping[str, Level | Sequence[Level]] | None = None,
    ) -> tuple[Cell, ...]:
        """Return the estimate of `metric` in each cell.

        Parameters
        ----------
        metric : str
            Its unit ends its name.
        measure : {"resident", "traced", "timed", "ledger", "lines", "profiled"}
            The kind of trials to take it from.
        by : iterable of str, optional
            The factors and constants that tell cells apart, in the order in which cells are sorted; whatever
            varies if left out.
        where : mapping of str to level or to a sequence of levels, optional
            The trials to take.

        Returns
        -------
        tuple of Cell
            Empty where no trial that ended well has the metric.

        Raises
        ------
        ValueError
            If trials of different levels would fall into one cell, or a name is no factor or constant.
        """
        names = self.varying if by is None else tuple(by)
        asked = (metric, measure, names, repr(where))
        if asked not in self._cells:
            self._cells[asked] = self._cells_of(metric, measure, names, where)
        return self._cells[asked]

    def _cells_of(
        self,
        metric: str,
        measure: str,
        names: tuple[str, ...],
        where: Mapping[str, Level | Sequence[Level]] | None,
    ) -> tuple[Cell, ...]:
        self._check_names(names)
        trials: dict[tuple[Level, ...], list[Row]] = {}
        for row in self.trials(measure, where):
            if metric in row.metrics:
                trials.setdefault(tuple(_level(row, name) for name in names), []).append(row)
        self._refuse_mixtures(trials.values())
        return tuple(
            _cell(
                metric,
                dict(zip(names, levels, strict=True)),
                trials[levels],
                self.observed.changed(trials[levels]),
            )
            for levels in sorted(trials, key=lambda levels: self._places(names, levels))
        )

    def at(self, metric: str, measure: str, /, **levels: Level) -> Estimate | None:
        """Return the estimate of `metric` in the one cell that has these levels; None if no trial has them.

        Raises
        ------
        ValueError
            If the levels fit several cells, or name no factor or constant.
        """
        cells = self.cells(metric, measure, by=(), where=levels)
        return cells[0].estimate if cells else None

    def readings(self, metric: str, measure: str, /, **levels: Level) -> tuple[float, ...]:
        """Return the reading of `metric`, in its unit, in each trial that has these levels, in the order they ran.

        The noise floor compares those that ran first with those that ran later.
        """
        rows = sorted(self.trials(measure, levels), key=lambda row: row.started_at)
        return tuple(row.metrics[metric] for row in rows if metric in row.metrics)

    def series(self, trial: Row) -> Series:
        """Return the series of a trial by name: metrics over time, those of one probe of one length."""
        return self._read_series(trial.key)

    def trials(
        self, measure: str, where: Mapping[str, Level | Sequence[Level]] | None = None
    ) -> tuple[Row, ...]:
        """Return the trials of a measure that ended well and have these levels, in the order of the store."""
        wanted = {
            name: [levels] if isinstance(levels, bool | int | float | str) else list(levels)
            for name, levels in (where or {}).items()
        }
        self._check_names(wanted)
        return tuple(
            row
            for row in self.rows
            if row.measure == measure
            and all(any(_same(_level(row, name), one) for one in levels) for name, levels in wanted.items())
        )

    def fixed(self, cells: Iterable[Cell]) -> dict[str, Level]:
        """Return what varies in the experiment, and is the same in all of these cells."""
        trials = [cell.trial for cell in cells]
        levels = {name: {repr(_level(row, name)) for row in trials} for name in self.varying}
        return {name: _level(trials[0], name) for name, found in levels.items() if len(found) == 1}

    def interpreters(self, measure: str) -> dict[Level, str]:
        """Return the version of Python behind each level of `python` that trials of a measure ran with.

        Empty where that is neither a factor nor a constant.
        """
        versions = {
            _level(row, "python"): str(row.conditions["python"])
            for row in self.rows
            if row.measure == measure and "python" in row.conditions
        }
        return {level: versions[level] for level in self._levels.get("python", ()) if level in versions}

    def _levels_of(self, name: str) -> tuple[Level, ...]:
        found = dict.fromkeys(_level(row, name) for row in self.rows)
        if all(isinstance(level, int | float) and not isinstance(level, bool) for level in found):
            return tuple(sorted(found))
        return tuple(dict.fromkeys((*(one for one in self._declared.get(name, ()) if one in found), *found)))

    def _check_names(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._levels:
                raise ValueError(f"{self.experiment} has no factor {name!r}, but {', '.join(self._levels)}")

    def _refuse_mixtures(self, groups: Iterable[Sequence[Row]]) -> None:
        for rows in groups:
            for name in self.varying:
                if len({repr(_level(row, name)) for row in rows}) > 1:
                    raise ValueError(
                        f"one cell would hold trials of {self.experiment} with different {name}: "
                        "name it in by, or choose a level in where"
                    )

    def _places(self, names: Sequence[str], levels: Sequence[Level]) -> tuple[int, ...]:
        return tuple(self._levels[name].index(level) for name, level in zip(names, levels, strict=True))


def _cell(
    metric: str, levels: Mapping[str, Level], rows: Sequence[Row], changed_by: tuple[Twin, ...]
) -> Cell:
    readings = [row.metrics[metric] for row in rows]
    estimate = statistics.median(readings)
    nearest = min(rows, key=lambda row: abs(row.metrics[metric] - estimate.median))
    # A trial tells whether all its probes are exact; the resident one alone ever is not.
    estimated = metric.endswith("_rss_bytes") and any(
        row.conditions.get("exact_probe") is False for row in rows
    )
    return Cell(levels, estimate, nearest, frozenset(row.key for row in rows), estimated, changed_by)


def _level(row: Row, name: str) -> Level:
    # A factor that came into the experiment later: older trials ran without it.
    return row.factors.get(name, row.constants.get(name, "not set"))


def _same(left: Level, right: Level) -> bool:
    # Python takes True for 1, but as levels they are two.
    return isinstance(left, bool) == isinstance(right, bool) and left == right
