"""How what was measured becomes a finding: judged or told to be absent, with the remarks that its cells ask for."""

from collections.abc import Iterable
from dataclasses import replace

from toolkit.analysis.observing import Twin
from toolkit.analysis.results import Cell
from toolkit.report import Finding
from toolkit.report.observers import remark

__all__ = ["absent", "flagged", "judged", "labelled"]


def judged(
    what: str, measured: str, expected: str, holds: bool, cells: Iterable[Cell], *, sentence: str = ""
) -> Finding:
    """Return a finding that confirms what was expected or deviates from it.

    Parameters
    ----------
    what : str
        The figure in question, in words.
    measured, expected : str
        What it is, and what it must be.
    holds : bool
        Whether the one is the other.
    cells : iterable of Cell
        On which it rests: where these are estimates it confirms and refutes nothing.
    sentence : str
        The whole of it, where it has more to say than the three.
    """
    made = Finding(
        sentence=sentence or f"{what}: {measured}; expected {expected}.",
        status="confirmed" if holds else "deviates",
        figure=what,
        expected=expected,
        measured=measured,
    )
    return labelled(made, cells)


def absent(what: str, expected: str) -> Finding:
    """Return the finding that the figure in question was not measured."""
    return Finding(
        sentence=f"{what}: not measured; the store holds no such trial.",
        status="observed",
        figure=what,
        expected=expected,
        measured="not measured",
    )


def labelled(made: Finding, cells: Iterable[Cell]) -> Finding:
    """Say of a finding that it rests on estimates, where it does: they confirm and refute nothing.

    And where the probes that took its figures change what they watch, say that.
    """
    cells = tuple(cells)
    made = flagged(made, [twin for cell in cells for twin in cell.changed_by])
    if not any(cell.estimated for cell in cells):
        return made
    measured = f"{made.measured} (estimate)" if made.measured else ""
    sentence = f"{made.sentence} These are estimates: the platform tells no exact resident set."
    return replace(made, sentence=sentence, status="observed", measured=measured)


def flagged(made: Finding, changed_by: Iterable[Twin]) -> Finding:
    """Mark a finding whose figures were taken by probes that change what they watch."""
    told = remark(changed_by)
    return replace(made, sentence=f"{made.sentence} {told}") if told else made
