"""What the section of an experiment says of trials that it does not show, and of code that has changed since."""

from collections.abc import Iterator, Sequence

from toolkit.experiment import Experiment
from toolkit.report.units import levels_text
from toolkit.store import Contents, Plan, Row
from toolkit.trials.code import code_digest


def notes(name: str, contents: Contents, experiment: Experiment | None) -> tuple[str, ...]:
    """Return a note for each reason for which figures are left out, or are not those of the present script.

    Parameters
    ----------
    name : str
        Of the experiment.
    contents : Contents
        Of the store.
    experiment : Experiment or None
        As its script declares it now; None where it is not at hand.
    """
    return tuple(_notes(name, contents, experiment))


def _notes(name: str, contents: Contents, experiment: Experiment | None) -> Iterator[str]:
    plan = contents.plans[name]
    if experiment is not None and code_digest(experiment) != plan.code_digest:
        yield "What is shown is of earlier code: the script or the toolkit has changed since it ran."
    earlier = [row for row in contents.left_out if row.experiment == name]
    if earlier:
        yield f"Not shown: {_trials(earlier)} of other code than the last run's."
    others = [row for row in contents.rows if row.experiment == name and plan.differing(row)]
    if others:
        told = dict.fromkeys(_differing(plan, row) for row in others)
        yield f"Not shown: {_trials(others)} with other constants than the last run's: {'; '.join(told)}."


def _trials(rows: Sequence[Row]) -> str:
    return f"{len(rows)} trial{'s' if len(rows) > 1 else ''}"


def _differing(plan: Plan, row: Row) -> str:
    return levels_text(
        {name: "not set" if level is None else level for name, level in plan.differing(row).items()}
    )
