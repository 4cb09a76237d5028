"""The results of one experiment, as its script's figures and findings see them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit.analysis import statistics
from toolkit.analysis.statistics import Estimate
from toolkit.trials import Level

Series: TypeAlias = Mapping[str, npt.NDArray[np.int64] | npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of levels, and a metric's estimate in it.

    Attributes
    ----------
    levels : mapping of str to level
        Of the factors, and of the constants that vary.
    estimate : Estimate
        The median over the replicates with its interval, in the unit of the metric.
    key : str
        Of the trial whose reading is nearest to the median: the one to take a series from.
    conditions : mapping of str to level
        Of that trial.
    """

    levels: Mapping[str, Level]
    estimate: Estimate
    key: str
    conditions: Mapping[str, Level]


@dataclass(frozen=True)
class Results:
    """What the trials of one experiment yielded.

    Attributes
    ----------
    experiment : str
        Its name.
    rows : DataFrame
        A row a trial, also of those that failed: the columns measure, replicate, status, exit_code and key,
        and one for each factor, constant and metric.
    factors, constants : tuple of str
        The names of the columns that hold them.
    conditions : mapping of str to mapping
        Under what each trial ran, by its key.
    read_series : callable
        ``read_series(key)`` returns the series of a trial as arrays, by name.
    """

    experiment: str
    rows: pd.DataFrame
    factors: tuple[str, ...]
    constants: tuple[str, ...] = ()
    conditions: Mapping[str, Mapping[str, Level]] = field(default_factory=dict)
    read_series: Callable[[str], Series] = lambda _: {}

    @property
    def frame(self) -> pd.DataFrame:
        """The rows whose numbers count: those of trials that ended well."""
        return self.rows[self.rows["status"] == "ok"]

    @property
    def failed(self) -> pd.DataFrame:
        """The rows of the trials that failed."""
        return self.rows[self.rows["status"] != "ok"]

    @property
    def varying(self) -> tuple[str, ...]:
        """The factors, and after them the constants, that have more than one level."""
        return tuple(name for name in (*self.factors, *self.constants) if len(self.levels(name)) > 1)

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures that some trial ended well in."""
        return tuple(dict.fromkeys(self.frame["measure"]))

    def levels(self, factor: str) -> tuple[Level, ...]:
        """Return the levels of a factor or constant: numbers in order, others in the order of the rows."""
        levels = tuple(dict.fromkeys(_plain(level) for level in self.frame[factor] if not pd.isna(level)))
        return tuple(sorted(levels)) if all(_is_number(level) for level in levels) else levels

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
            A column; its unit ends its name.
        measure : {"resident", "traced", "timed"}
            The kind of trials to take it from.
        by : iterable of str, optional
            The factors and constants that tell cells apart, in the order in which cells are sorted; whatever
            varies if left out.
        where : mapping of str to level or to a sequence of levels, optional
            The rows to take, by column.

        Returns
        -------
        tuple of Cell
            Empty where no trial that ended well has the metric.

        Raises
        ------
        ValueError
            If trials of different levels would fall into one cell, or a name is no factor or constant.
        """
        rows = self._select(measure, where or {})
        names = tuple(self.varying if by is None else by)
        self._check_names(names)
        if metric not in rows:
            return ()
        rows = rows[rows[metric].notna()]
        self._refuse_mixture(rows, names)
        groups: dict[tuple[Level, ...], list[int]] = {}
        for position, levels in enumerate(zip(*(rows[name] for name in names), strict=True)):
            groups.setdefault(tuple(_plain(level) for level in levels), []).append(position)
        if not names and len(rows):
            groups[()] = list(range(len(rows)))
        order = sorted(groups, key=lambda levels: self._rank(names, levels))
        return tuple(self._cell(metric, names, levels, rows.iloc[groups[levels]]) for levels in order)

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
        """Return the reading of `metric` in each trial that has these levels, in the unit of the metric."""
        rows = self._select(measure, levels)
        return tuple(float(reading) for reading in rows[metric].dropna()) if metric in rows else ()

    def series(self, measure: str, /, **levels: Level) -> Series:
        """Return the series of the first trial that has these levels (`replicate` may be among them).

        Returns
        -------
        mapping of str to array
            Metrics over time by name, those of one probe of one length; empty if no trial has these levels.
        """
        rows = self._select(measure, levels).sort_values("replicate", kind="stable")
        return self.read_series(str(rows["key"].iloc[0])) if len(rows) else {}

    def _select(self, measure: str, where: Mapping[str, Level | Sequence[Level]]) -> pd.DataFrame:
        self._check_names(name for name in where if name != "replicate")
        rows = self.frame
        rows = rows[rows["measure"] == measure]
        for name, wanted in where.items():
            levels = [wanted] if isinstance(wanted, bool | int | float | str) else list(wanted)
            rows = rows[[any(_same(_plain(level), one) for one in levels) for level in rows[name]]]
        return rows

    def _check_names(self, names: Iterable[str]) -> None:
        known = (*self.factors, *self.constants)
        for name in names:
            if name not in known:
                raise ValueError(f"{self.experiment} has no factor {name!r}, but {', '.join(known)}")

    def _refuse_mixture(self, rows: pd.DataFrame, names: tuple[str, ...]) -> None:
        for other in self.varying:
            if other in names:
                continue
            first: dict[tuple[object, ...], object] = {}
            for *levels, level in zip(*(rows[name] for name in names), rows[other], strict=True):
                if not _same(_plain(first.setdefault(tuple(levels), level)), _plain(level)):
                    raise ValueError(
                        f"one cell would hold trials of {self.experiment} with different {other}: "
                        f"name it in by, or choose a level in where"
                    )

    def _rank(self, names: tuple[str, ...], levels: tuple[Level, ...]) -> tuple[int, ...]:
        return tuple(
            next((rank for rank, known in enumerate(self.levels(name)) if _same(known, level)), -1)
            for name, level in zip(names, levels, strict=True)
        )

    def _cell(
        self, metric: str, names: tuple[str, ...], levels: tuple[Level, ...], rows: pd.DataFrame
    ) -> Cell:
        readings = rows[metric].astype(float).to_numpy()
        estimate = statistics.median(readings)
        key = str(rows["key"].iloc[int(np.argmin(np.abs(readings - estimate.median)))])
        return Cell(dict(zip(names, levels, strict=True)), estimate, key, self.conditions.get(key, {}))


def _plain(level: object) -> Level:
    """Return a level as Python has it: a frame gives back scalars of numpy, which are no bool and no int."""
    return level.item() if isinstance(level, np.generic) else level  # type: ignore[return-value]


def _is_number(level: Level) -> bool:
    return isinstance(level, int | float) and not isinstance(level, bool)


def _same(left: Level, right: Level) -> bool:
    # Python takes True for 1, but as levels they are two.
    return isinstance(left, bool) == isinstance(right, bool) and left == right
