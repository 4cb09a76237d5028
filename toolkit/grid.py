"""The trials of an experiment: every cell that this machine can run, in every measure, as often as asked for."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution

from toolkit.experiment import Experiment
from toolkit.trials import MEASURES, Level, Measure, Trial
from toolkit.trials.allocating import obstacle_to_malloc
from toolkit.trials.environment import is_version, obstacle_to_version
from toolkit.usage import UsageError, reason_of

__all__ = ["Design", "Grid"]


@dataclass(frozen=True)
class Design:
    """The levels of an experiment under one profile.

    Attributes
    ----------
    experiment : Experiment
    factors : mapping of str to tuple of levels
    constants : mapping of str to level
    measures : tuple of {"resident", "traced", "timed", "ledger", "lines", "profiled"}
    replicates : mapping of measure to int
        How often each cell is run; once in a measure that is not named.
    """

    experiment: Experiment
    factors: Mapping[str, tuple[Level, ...]]
    constants: Mapping[str, Level]
    measures: tuple[Measure, ...]
    replicates: Mapping[Measure, int]

    def cells(self) -> Iterator[tuple[int, dict[str, Level], Measure]]:
        """Yield the place of each cell among all that could be, the cell, and each measure that is wanted of it.

        Raises
        ------
        UsageError
            When ``where`` fails for a cell.
        """
        if self.lacking():
            return
        skipped = self.skipped()
        for place, levels in enumerate(itertools.product(*self.factors.values())):
            cell = dict(zip(self.factors, levels, strict=True))
            if skipped and any(
                f"{name}={level}" in skipped for name, level in {**self.constants, **cell}.items()
            ):
                continue
            for measure in MEASURES:
                if measure in self.measures and self._wants(cell, measure):
                    yield place, cell, measure

    def cell(self, place: int) -> dict[str, Level]:
        """Return the cell at that place: the levels of the last factor change fastest."""
        chosen: list[Level] = []
        for levels in reversed([*self.factors.values()]):
            place, which = divmod(place, len(levels))
            chosen.append(levels[which])
        return dict(zip(self.factors, reversed(chosen), strict=True))

    def lacking(self) -> dict[str, str]:
        """Return why no trial of the experiment can run here, under "all trials", if so."""
        obstacle = next(filter(None, map(_obstacle_to_package, self.experiment.requires)), "")
        return {"all trials": obstacle} if obstacle else {}

    def skipped(self) -> dict[str, str]:
        """Return the levels that this machine cannot run, as "factor=level", each with the reason."""
        reasons = {
            f"malloc={level}": obstacle_to_malloc(str(level)) for level in self._levels("malloc", "default")
        } | {
            f"python={level}": obstacle_to_version(str(level))
            for level in self._levels("python", "this")
            if is_version(level)
        }
        asked = [f"{name}={level}" for name, levels in self.factors.items() for level in levels]
        for level in asked:
            if package := self.experiment.needs.get(level):
                reasons[level] = _obstacle_to_package(package)
        return {level: reason for level, reason in reasons.items() if reason}

    def _levels(self, name: str, default: Level) -> tuple[Level, ...]:
        return self.factors.get(name, (self.constants.get(name, default),))

    def _wants(self, cell: Mapping[str, Level], measure: Measure) -> bool:
        where = self.experiment.where
        if where is None:
            return True
        try:
            return bool(where({"measure": measure, **self.constants, **cell}))
        except Exception as problem:
            raise UsageError(
                f"{self.experiment.name}: where fails for {cell}: {reason_of(problem)}"
            ) from problem


@cache
def _obstacle_to_package(package: str) -> str:
    """Return why what a package brings is not here, and what would change that; nothing where it is installed."""
    try:
        distribution(package)
    except PackageNotFoundError:
        return f"not installed here; the Python package {package} brings it"
    return ""


class Grid:
    """The trials of a design, made anew each time they are iterated over, or one by its number.

    Parameters
    ----------
    design : Design
        Its levels and measures, checked.
    digest : str
        Of its code.
    replicates : int or None
        How often each cell is run in each measure, in place of the design's numbers.

    Raises
    ------
    UsageError
        When ``where`` fails for a cell.
    """

    def __init__(self, design: Design, digest: str, replicates: int | None = None) -> None:
        self._experiment, self._design, self._digest = design.experiment, design, digest
        # To find the script is to ask the file system: once is enough for a million trials.
        self._name, self._script = self._experiment.name, str(self._experiment.script)
        self._repeats = {
            measure: replicates or design.replicates.get(measure, 1) for measure in design.measures
        }
        self._most_repeats = max(self._repeats.values())
        # Every cell is looked at once before anything runs: what fails for one of them fails here.
        self._length = sum(self._repeats[measure] for *_, measure in design.cells())

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Trial]:
        for _, trial in self.numbered():
            yield trial

    @property
    def span(self) -> int:
        """What the numbers of all trials are below."""
        cells = math.prod(map(len, self._design.factors.values()))
        return cells * len(MEASURES) * self._most_repeats

    def numbered(self) -> Iterator[tuple[int, Trial]]:
        """Yield every trial with its number, in rising order; cells that are left out leave gaps."""
        for place, cell, measure in self._design.cells():
            first = (place * len(MEASURES) + MEASURES.index(measure)) * self._most_repeats
            for replicate in range(self._repeats[measure]):
                yield first + replicate, self._trial(cell, measure, replicate)

    def trial(self, number: int) -> Trial:
        """Return the trial that `numbered` gives that number."""
        rest, replicate = divmod(number, self._most_repeats)
        place, measure = divmod(rest, len(MEASURES))
        return self._trial(self._design.cell(place), MEASURES[measure], replicate)

    def _trial(self, cell: Mapping[str, Level], measure: Measure, replicate: int) -> Trial:
        return Trial(
            experiment=self._name,
            script=self._script,
            factors=cell,
            constants=self._design.constants,
            measure=measure,
            replicate=replicate,
            seed=self._experiment.seed,
            deadline_seconds=self._experiment.deadline_seconds,
            code_digest=self._digest,
            memory_limit_bytes=self._experiment.memory_limit_bytes,
        )
