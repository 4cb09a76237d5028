"""Experiment: the declaration that a script makes."""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

from toolkit.trials import MEASURES, Level, Measure

if TYPE_CHECKING:
    from toolkit.analysis.predictions import Prediction
    from toolkit.analysis.results import Results
    from toolkit.report import Figure, Finding

__all__ = ["LEAST_MEMORY_BYTES", "Experiment", "check_repeats"]

#: What a trial takes before its arrays: some 95 MiB, and in the traced measure as much again for its copy.
LEAST_MEMORY_BYTES = 256 << 20
#: A year: what systems take for the time until something is to happen ends somewhere beyond.
_LONGEST_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True)
class Experiment:
    """One question: a workload, the factors that are varied, and what is drawn and said of the outcome.

    The docstring of the script's module is the question: its first line is shown as the title.

    Attributes
    ----------
    workload : callable
        ``workload(trial, **levels_and_constants)``. What it returns is held alive until the readings at the end
        are taken. A factor named like a toggle of `Config` sets that toggle; `gc`, `malloc`, `python` and
        `engine` set the environment of the trial; every other factor reaches the workload by keyword.
    factors : mapping of str to sequence of levels
        Every combination is a cell.
    constants : mapping of str to level
        Given to the workload beside the factors.
    measures : sequence of {"resident", "traced", "timed", "ledger", "lines", "profiled"}
        The kinds of trial that each cell gets; the first three unless it asks for others.
    replicates : mapping of measure to int
        How often each cell is run in each measure.
    profiles : mapping of str to mapping
        What the profiles "smoke", "default" and "full" change: levels of factors, constants, "measures" or
        "replicates".
    needs : mapping of str to str
        The package that a level cannot do without, by "factor=level". A level whose package is not installed is
        skipped, and the run and the report name the package.
    requires : sequence of str
        The packages that no trial can do without. Where one is not installed the experiment is skipped, and the run
        names the package.
    where : callable, optional
        ``where(cell)`` is false for a cell to leave out; `cell` maps factors and constants to levels, and
        "measure" to the measure in question: a cell may be left out of some and not of others.
    predict : callable, optional
        ``predict(cell, interpreter)`` returns a `Prediction`, or None where theory has no answer. `interpreter`
        maps "python" to the version, "gc_threshold0" to "gc_threshold2" to the collector's thresholds and, after a
        trial, "gc_count_at_start" to how many young objects it had counted before the workload began.
    figures : callable, optional
        ``figures(results)`` yields `Figure` objects. Heavy imports belong inside the function. Without it the
        report draws what the trials allow; with it, beside these figures, what a ledger tells.
    findings : callable, optional
        ``findings(results)`` yields `Finding` objects: sentences with numbers. The first is the answer to the
        question, which opens the report.
    deadline_seconds : float
        After which one trial is ended.
    memory_limit_bytes : int, optional
        Of resident memory, beyond which one trial is ended; never more than the machine can spare for each of
        the trials that run at once, which is the limit where none is given.
    seed : int
        Of the random generator that workloads are given.
    """

    workload: Callable[..., object]
    factors: Mapping[str, Sequence[Level]]
    constants: Mapping[str, Level] = field(default_factory=dict)
    measures: Sequence[Measure] = ("resident", "traced", "timed")
    replicates: Mapping[Measure, int] = field(
        default_factory=lambda: {"resident": 3, "traced": 1, "timed": 5},
    )
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    needs: Mapping[str, str] = field(default_factory=dict)
    requires: Sequence[str] = ()
    where: Callable[[Mapping[str, Level]], bool] | None = None
    predict: "Callable[[Mapping[str, Level], Mapping[str, Level]], Prediction | None] | None" = None
    figures: "Callable[[Results], Iterable[Figure]] | None" = None
    findings: "Callable[[Results], Iterable[Finding]] | None" = None
    deadline_seconds: float = 120.0
    memory_limit_bytes: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not inspect.isfunction(inspect.unwrap(self.workload)):
            kind = type(self.workload).__name__
            raise TypeError(f"a workload is a function that the script defines, not a {kind}")
        if type(self.seed) is not int or not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is a whole number from 0 on, of at most 63 bits, and not {self.seed!r}")
        if (
            type(self.deadline_seconds) not in (int, float)
            or not 0 < self.deadline_seconds <= _LONGEST_SECONDS
        ):
            longest = f"{_LONGEST_SECONDS:,} seconds"
            raise ValueError(
                f"deadline_seconds is above 0 and at most {longest}, and not {self.deadline_seconds!r}"
            )
        if self.memory_limit_bytes is not None and (
            type(self.memory_limit_bytes) is not int or self.memory_limit_bytes < LEAST_MEMORY_BYTES
        ):
            raise ValueError(
                f"memory_limit_bytes is a whole number from {LEAST_MEMORY_BYTES:,} on, and not "
                f"{self.memory_limit_bytes!r}"
            )
        if isinstance(self.requires, str):
            raise ValueError(f"requires is a list of packages, as in [{self.requires!r}]")
        check_repeats(self.measures, self.replicates)

    @property
    def script(self) -> Path:
        """The script that made this declaration."""
        return Path(_undecorated(self.workload).__code__.co_filename).resolve()

    @property
    def name(self) -> str:
        """The name everywhere: that of the script without its ending."""
        return self.script.stem

    @property
    def question(self) -> str:
        """The docstring of the script."""
        return (_undecorated(self.workload).__globals__.get("__doc__") or "").strip() or self.name

    def main(self) -> None:
        """Run this experiment as ``toolkit run SCRIPT`` does, with the options of the command line; then exit."""
        from toolkit.cli import main

        main(["run", str(self.script), *sys.argv[1:]])


def check_repeats(measures: Sequence[object], replicates: Mapping[Any, object]) -> None:
    """Refuse what is no choice of measures, or no number of replicates for each.

    Raises
    ------
    ValueError
        Naming what is valid.
    """
    known = ", ".join(MEASURES)
    if isinstance(measures, str) or not measures:
        raise ValueError(f"measures is a list of one or more of {known}, and not {measures!r}")
    for measure in (*measures, *replicates):
        if measure not in MEASURES:
            raise ValueError(f"unknown measure {measure!r}; there are {known}")
    for measure, count in replicates.items():
        if type(count) is not int or count < 1:
            raise ValueError(f"{measure} takes 1 replicate or more, and not {count!r}")


def _undecorated(workload: Callable[..., object]) -> FunctionType:
    # Decorators know nothing of the script.
    return cast(FunctionType, inspect.unwrap(workload))
