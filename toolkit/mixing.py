"""Figures of one store are of one kind of machine: others are not mixed in unless it is asked for."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from toolkit.grid import Grid
from toolkit.store import Earlier, Row, Run, Setting
from toolkit.store.read import read_store
from toolkit.trials import Trial
from toolkit.trials.host import MUST_AGREE, OF_THE_INTERPRETER
from toolkit.usage import UsageError

__all__ = ["refuse_another_environment"]


def refuse_another_environment(
    earlier: Earlier, description: Mapping[str, Any], grids: Sequence[Grid], results_dir: Path
) -> None:
    """Refuse to add to a store whose figures were taken where they cannot be compared with new ones.

    Parameters
    ----------
    earlier : Earlier
        What the store tells.
    description : mapping
        What the run tells of where it takes place.
    grids : sequence of Grid
        What it plans, of each experiment.
    results_dir : path
        The folder of the store.

    Raises
    ------
    UsageError
        Naming the first difference.
    """
    if _difference(earlier.settings, earlier.runs, description, grids) is None:
        return
    # A damaged row is no figure, and only a look at all of it tells which is.
    contents = read_store(results_dir)
    rows = [row for row in (*contents.rows, *contents.left_out) if row.status == "ok"]
    if found := _difference(rows, contents.runs, description, grids):
        name, before = found
        raise UsageError(
            f"{results_dir} holds figures taken with {name} {before}, and this is {name} {description[name]}: "
            "take another folder with --results, or allow both with --mix"
        )


def _difference(
    figures: Iterable[Setting | Row],
    runs: Sequence[Run],
    description: Mapping[str, Any],
    grids: Sequence[Grid],
) -> tuple[str, object] | None:
    """Return what must agree and does not, and what it was."""
    # Figures of code that neither is planned now nor was last are not shown beside the new ones.
    codes = {name: plan.code_digest for run in runs for name, plan in run.plans.items()}
    codes |= {trial.experiment: trial.code_digest for grid in grids for trial in islice(grid, 1)}
    described = {run.id: run.description for run in runs}
    any_here = any(_runs_in_its_interpreter(trial, description) for trial in chain.from_iterable(grids))
    for figure in figures:
        is_shown = codes.get(figure.experiment, figure.code_digest) == figure.code_digest
        if not is_shown or figure.run not in described:
            continue
        there = _runs_in_its_interpreter(figure, described[figure.run])
        for name in MUST_AGREE:
            if name in OF_THE_INTERPRETER and not (any_here and there):
                continue
            # The hosts of a cluster may be of several kinds: there the trial itself tells.
            before = figure.conditions.get(name, described[figure.run].get(name))
            if before != description[name]:
                return name, before
    return None


def _runs_in_its_interpreter(trial: Trial | Row | Setting, description: Mapping[str, Any]) -> bool:
    """Whether a trial of the run that `description` tells of runs in the interpreter that does the run."""
    # One that names its interpreter has it among its levels: nobody takes its figures for another's. A version
    # names one without its patch release.
    version, _, _ = str(description.get("python", "")).rpartition(".")
    return {**trial.constants, **trial.factors}.get("python", "this") in ("this", version)
