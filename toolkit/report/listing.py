"""The listing of a workload line by line: exact bytes of the ledger beside what memory_profiler says."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from toolkit.analysis.lines import Line, annotated, hidden, highest, reused, twofold
from toolkit.analysis.results import Results
from toolkit.report import Column, Table, Value
from toolkit.report.observers import marked, remark
from toolkit.report.units import levels_text, number, text
from toolkit.store import Row
from toolkit.trials import Level, Measure

__all__ = ["listings"]

_LEDGER = (
    Column(heading="runs", name="line_calls_count", unit="count"),
    Column(heading="made", name="line_ledger_made_bytes", unit="bytes"),
    Column(heading="freed", name="line_ledger_freed_bytes", unit="bytes"),
    Column(heading="held after", name="line_ledger_held_bytes", unit="bytes"),
    Column(heading="most held", name="line_ledger_peak_bytes", unit="bytes"),
)
_PROFILER = (
    Column(
        heading="memory_profiler increment", name="line_profiler_increment_bytes", unit="bytes", signed=True
    ),
    Column(heading="its runs", name="line_profiler_calls_count", unit="count"),
)


def listings(results: Results, anchor: str, stems: Callable[[str], str]) -> Iterator[Table]:
    """Yield the listing of each cell that has a trial of the measure ``lines`` or ``profiled``."""
    for levels in results.combinations:
        counted, sampled = (_trial(results, measure, levels) for measure in ("lines", "profiled"))
        lines = annotated(
            (counted, results.series(counted)) if counted else None,
            (sampled, results.series(sampled)) if sampled else None,
        )
        if lines:
            changing = {
                measure: trial is not None and bool(results.observed.changed([trial]))
                for measure, trial in (("lines", counted), ("profiled", sampled))
            }
            yield Table(
                stem=stems(f"{anchor}-lines"),
                title=f"Line by line{': ' if levels else ''}{levels_text(levels)}",
                columns=(
                    Column(heading="line", name="line_number", unit="count"),
                    Column(heading="source", name="source", code=True),
                    *(_marked(_LEDGER, changing["lines"]) if counted else ()),
                    *(_marked(_PROFILER, changing["profiled"]) if sampled else ()),
                ),
                rows=tuple(_row(line, bool(counted), bool(sampled)) for line in lines),
                notes=(
                    *(_counted(lines, counted) if counted else ()),
                    *(_sampled(lines) if sampled else ()),
                    *_flags(
                        results, levels, *(["lines"] if counted else []), *(["profiled"] if sampled else [])
                    ),
                ),
            )


def _marked(columns: Sequence[Column], changing: bool) -> Sequence[Column]:
    return [replace(one, heading=marked(one.heading, changing)) for one in columns]


def _flags(results: Results, levels: Mapping[str, Level], *measures: str) -> tuple[str, ...]:
    trials = [trial for measure in measures for trial in results.trials(measure, levels)]
    told = remark(results.observed.changed(trials))
    return (told,) if told else ()


def _trial(results: Results, measure: Measure, levels: Mapping[str, Level]) -> Row | None:
    return next(iter(results.trials(measure, levels)), None)


def _row(line: Line, counted: bool, sampled: bool) -> tuple[Value, ...]:
    own, other = line.counted, line.sampled
    ledger = (own.calls, own.made, own.freed, own.held, own.peak) if own else (None,) * len(_LEDGER)
    profiler = (other.increment, other.calls) if other else (None,) * len(_PROFILER)
    return (
        line.number,
        line.text if line.number is not None else "(return)",
        *(ledger if counted else ()),
        *(profiler if sampled else ()),
    )


def _counted(lines: Sequence[Line], trial: Row) -> Iterator[str]:
    made = sum(line.counted.made for line in lines if line.counted)
    freed = sum(line.counted.freed for line in lines if line.counted)
    told = (
        f"The ledger, to the byte: {text(made, 'bytes')} of arrays made and {text(freed, 'bytes')} freed until "
        "the workload had returned"
    )
    most = highest(lines)
    if most and most.counted:
        told += f", at most {text(most.counted.peak, 'bytes')} held at a time, on line {most.number}"
    dropped, collected = (trial.metrics.get(f"lines_{one}_bytes", 0) for one in ("dropped", "collected"))
    if dropped > collected:
        told += f"; the collector then freed {text(dropped - collected, 'bytes')} that no line had"
    yield (
        f"{told}. Made and freed are sums over the runs of a line; held after it, and the most that was held while "
        "it ran, are the highest of them."
    )


def _sampled(lines: Sequence[Line]) -> Iterator[str]:
    listed = [line for line in lines if line.sampled]
    if not listed or not listed[0].sampled:
        return
    first = listed[0].sampled
    yield (
        f"memory_profiler reads the whole process: {text(first.increment, 'bytes')} were there when line "
        f"{listed[0].number} was over, which it shows as the increment of that line. Its LineProfiler ran the body "
        f"{_times(first.calls)}; its memory_usage((f, ...)) runs a body again that is over before the fifth "
        "reading, unless it is given max_iterations=1."
    )
    if unseen := hidden(lines):
        yield f"An increment is what a line leaves, not what it makes: {_each(unseen, _unseen)}."
    if taken := reused(lines):
        yield (
            "Pages that stayed resident when they were freed are taken up again without an increment: "
            f"{_each(taken, _unseen)}."
        )
    if again := twofold(lines):
        yield (
            f"Below 0 without a fall: {_each(again, _fallen)}. An increment is counted from the highest reading "
            "that the line before ever had, so that one fall counts in every later round; or what went is memory "
            "that the ledger does not follow."
        )


def _each(lines: Sequence[Line], told: Callable[[Line], str]) -> str:
    return "; ".join(f"on line {line.number} {told(line)}" for line in lines)


def _unseen(line: Line) -> str:
    assert line.counted and line.sampled
    says = text(line.sampled.increment, "bytes", signed=True)
    made, freed = (text(one, "bytes") for one in (line.counted.made, line.counted.freed))
    return f"memory_profiler says {says}, where {made} were made and {freed} freed"


def _fallen(line: Line) -> str:
    assert line.counted and line.sampled
    says = text(line.sampled.increment, "bytes")
    if not line.counted.freed:
        return f"memory_profiler says {says}, where nothing was freed"
    return f"memory_profiler says {says}, where no more was freed than made"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{number(count, 0)} times"
