"""The workload line by line: what the ledger counted for each line, beside what memory_profiler read there."""

from collections.abc import Iterable
from dataclasses import dataclass

from toolkit.analysis.results import Series
from toolkit.store import Row

__all__ = ["Counted", "Line", "Sampled", "annotated", "hidden", "highest", "reused", "twofold"]


@dataclass(frozen=True, slots=True)
class Counted:
    """What the ledger counted for a line, in bytes: sums over its executions, and the highest of them.

    Attributes
    ----------
    calls : int
        How often it ran.
    made, freed : int
        Sums.
    held, peak : int
        The highest that was held after it, and while it ran.
    """

    calls: int
    made: int
    freed: int
    held: int
    peak: int


@dataclass(frozen=True, slots=True)
class Sampled:
    """What memory_profiler read for a line: the sum of its increments, in bytes, and how often it ran."""

    increment: int
    calls: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the workload; the last one stands for its return.

    Attributes
    ----------
    number : int or None
        In its file; None for the return.
    text : str
        As it stood in the script when the trial ran; empty for the return.
    counted : Counted or None
    sampled : Sampled or None
        None where the line did not run, or no such trial is there.
    """

    number: int | None
    text: str
    counted: Counted | None
    sampled: Sampled | None


def annotated(counted: tuple[Row, Series] | None, sampled: tuple[Row, Series] | None) -> tuple[Line, ...]:
    """Return the lines of a workload with the figures of two trials of one cell; empty where its text is unknown.

    Parameters
    ----------
    counted, sampled : tuple of Row and series, optional
        Of the measure ``lines``, and of ``profiled``. Each tells the number of its own first line: the function
        may have moved in its file between the two.
    """
    from_ledger = _by_place(counted, _COUNTED)
    from_profiler = _by_place(sampled, _SAMPLED)
    row, _ = counted or sampled or (None, None)
    source = row.conditions.get("workload_source") if row else None
    first = row.conditions.get("workload_first_line") if row else None
    if not isinstance(source, str) or not isinstance(first, int):
        return ()
    texts = source.removesuffix("\n").split("\n")
    lines = [
        Line(
            number=first + place,
            text=text,
            counted=Counted(*from_ledger[place]) if place in from_ledger else None,
            sampled=Sampled(*from_profiler[place]) if place in from_profiler else None,
        )
        for place, text in enumerate(texts)
    ]
    if None in from_ledger:
        lines.append(Line(None, "", Counted(*from_ledger[None]), None))
    return tuple(lines)


_COUNTED = ("line_calls_count", *(f"line_ledger_{one}_bytes" for one in ("made", "freed", "held", "peak")))
_SAMPLED = ("line_profiler_increment_bytes", "line_profiler_calls_count")


def _by_place(trial: tuple[Row, Series] | None, names: tuple[str, ...]) -> dict[int | None, list[int]]:
    """Return the figures by the place of their line in the function, from 0; None is the return."""
    if trial is None:
        return {}
    row, series = trial
    first = row.conditions.get("workload_first_line")
    if not isinstance(first, int) or any(name not in series for name in ("line_number", *names)):
        return {}
    return {
        (int(number) - first if number else None): [int(series[name][at]) for name in names]
        for at, number in enumerate(series["line_number"])
    }


def highest(lines: Iterable[Line]) -> Line | None:
    """Return the first of the lines that made arrays while which most was held, if any made some."""
    made = ((line, line.counted.peak) for line in lines if line.counted and line.counted.made)
    found = max(made, key=lambda one: one[1], default=None)
    return found[0] if found else None


def hidden(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return the lines that made arrays and freed as much or more, where memory_profiler says 0 or less."""
    return tuple(
        line
        for line in lines
        if line.sampled
        and line.counted
        and line.sampled.increment <= 0 < line.counted.made <= line.counted.freed
        and (line.counted.freed > line.counted.made or not line.sampled.increment)
    )


def reused(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return the lines that made more than they freed, where memory_profiler says 0.

    What they made took up pages that had stayed resident when they were freed.
    """
    return tuple(
        line
        for line in lines
        if line.sampled
        and line.counted
        and not line.sampled.increment
        and line.counted.made > line.counted.freed
    )


def twofold(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return the lines below 0 in memory_profiler's listing that freed no more than they made.

    Then the line before has stayed under the highest that was ever read at it, or memory was freed that the
    ledger does not follow.
    """
    return tuple(
        line
        for line in lines
        if line.sampled
        and line.sampled.increment < 0
        and line.counted
        and line.counted.freed <= line.counted.made
    )
