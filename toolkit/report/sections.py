"""The section of one experiment."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from toolkit.analysis.comparison import Comparison, compare
from toolkit.analysis.results import Results
from toolkit.analysis.statistics import CONFIDENCE, coverage
from toolkit.experiment import Experiment
from toolkit.report import (
    Failure,
    Figure,
    Picture,
    Section,
    Table,
    facts,
    general,
    holding,
    listing,
    observers,
    tables,
)
from toolkit.report.drawing import picture
from toolkit.report.units import counted, level_text, levels_text, text
from toolkit.store import Row, Run
from toolkit.trials import MEASURES, Measure
from toolkit.trials.measuring import probes_of, watchers_of

Made = TypeVar("Made")

_MESSAGE_LINES, _LINE_LETTERS = 15, 500


def section(
    results: Results,
    experiment: Experiment | None,
    runs: Sequence[Run],
    omitted: Sequence[str],
    stems: Callable[[str], str],
    lacking: Sequence[str] = (),
) -> tuple[Section, tuple[Comparison, ...]]:
    """Return the section of an experiment, and its comparisons with the predictions.

    Parameters
    ----------
    results : Results
        Of trials with one set of constants, none if all were left out.
    experiment : Experiment or None
        None where its script is not at hand, or cannot be used.
    runs : sequence of Run
        Those that the trials belong to.
    omitted : sequence of str
        What is told of trials that are not shown.
    stems : callable
        Gives names of files that are unique in the report.
    lacking : sequence of str
        What its script could not give so far.
    """
    anchor = stems(results.experiment)
    title, *question = _paragraphs(experiment.question) if experiment else [results.experiment]
    notes: list[str] = []
    lacks = list(lacking)
    if experiment is None:
        missing = "" if lacks else "Its script was not found: name it to `toolkit report`. "
        notes.append(f"{missing}The figures are those that every experiment can have.")
    notes += omitted
    notes += _skipped(results, runs)
    findings = tuple(_made(experiment.findings if experiment else None, results, lacks))
    pictures = tuple(_pictures(_figures(experiment, results, lacks), anchor, stems, lacks))
    compared = compare(results)
    made = Section(
        anchor=anchor,
        experiment=results.experiment,
        title=title,
        question=tuple(question),
        method=_method(results),
        machine=facts.machine(runs),
        findings=findings,
        pictures=pictures,
        tables=(
            *tables.comparisons(compared, f"{anchor}-predictions", stems),
            *_compositions(results, anchor, stems),
            *_held(results, anchor, stems),
            *listing.listings(results, anchor, stems),
            *([tables.medians(results, stems(f"{anchor}-medians"))] if results.rows else ()),
        ),
        failures=tuple(_failure(row) for row in results.failed),
        notes=(*(f"{lack[0].upper()}{lack[1:]}" for lack in lacks), *notes),
        lacks=tuple(lacks),
        commands=facts.commands(results.experiment, runs),
    )
    return made, compared


def _compositions(results: Results, anchor: str, stems: Callable[[str], str]) -> Iterator[Table]:
    if "ledger" in results.measures and (
        table := tables.composition(results, stems(f"{anchor}-composition"))
    ):
        yield table


def _held(results: Results, anchor: str, stems: Callable[[str], str]) -> Iterator[Table]:
    cells = holding.held(results)
    if cells:
        yield holding.table(results, cells, stems(f"{anchor}-held"))


def _paragraphs(question: str) -> list[str]:
    title, _, rest = question.partition("\n")
    return [title, *(" ".join(part.split()) for part in rest.split("\n\n") if part.strip())]


def _figures(experiment: Experiment | None, results: Results, lacks: list[str]) -> Iterator[Figure]:
    """Yield the figures of a script, and those of the ledger that it has none of; the general ones without any."""
    if experiment is None or experiment.figures is None:
        yield from _made(general.figures, results, lacks)
        return
    names = set()
    for figure in _made(experiment.figures, results, lacks):
        names.add(figure.name)
        yield figure
    if "ledger" in results.measures:
        others = _made(general.composition, results, lacks)
        yield from (figure for figure in others if figure.name not in names)


def _made(
    make: Callable[[Results], Iterable[Made]] | None, results: Results, lacks: list[str]
) -> Iterator[Made]:
    """Yield what a script's function yields; where it raises, tell that and yield no more."""
    if make is None or not results.rows:
        return
    try:
        yield from make(results)
    except (Exception, SystemExit) as problem:
        lacks.append(_told(f"{make.__name__} of {results.experiment} ended early", problem))


def _pictures(
    figures: Iterable[Figure], anchor: str, stems: Callable[[str], str], lacks: list[str]
) -> Iterator[Picture]:
    for figure in figures:
        try:
            yield picture(figure, stems(f"{anchor}-{figure.name}"))
        except (Exception, SystemExit) as problem:
            lacks.append(_told(f"the figure {figure.name} of {anchor} could not be drawn", problem))


def _told(what: str, problem: BaseException) -> str:
    return f"{what}: {type(problem).__name__}: {problem}"


def _skipped(results: Results, runs: Sequence[Run]) -> Iterator[str]:
    measured = {f"{name}={level}" for name in results.varying for level in results.levels(name)}
    for level, reason in facts.skipped(results.experiment, runs).items():
        # Another run, in which it was there, may have measured it since.
        if level not in measured:
            yield f"Skipped {level}: {reason}."


def _method(results: Results) -> tuple[tuple[str, str], ...]:
    rows = (*results.rows, *results.failed)
    if not rows:
        return ()
    varied = [f"{name}: {', '.join(map(level_text, results.levels(name)))}" for name in results.varying]
    fixed = {name: results.levels(name)[0] for name in results.factors if len(results.levels(name)) == 1}
    constants = {**rows[0].constants, **fixed}
    return (
        ("varied", "; ".join(varied) or "nothing"),
        *((("held constant", levels_text(constants)),) if constants else ()),
        ("trials", _counted(Counter(row.measure for row in rows))),
        ("replicates of a cell", _replicated(results.rows) or "none that ended well"),
        ("probes", "; ".join(f"{name}: {', '.join(_probes(name))}" for name in results.measures)),
        (
            "observer effect",
            "; ".join(f"{name}: {observers.state(results.observed, name)}" for name in results.measures),
        ),
        ("when", facts.period(rows)),
        *_conditions(results.rows),
    )


def _probes(measure: Measure) -> tuple[str, ...]:
    return (*probes_of(measure), *watchers_of(measure))


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[measure]} {measure}" for measure in MEASURES if counts[measure])


def _replicated(rows: Iterable[Row]) -> str:
    """Return how many replicates cells have, how many cells have so many, and what an interval over them covers."""
    of_cells: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        of_cells[row.measure][levels_text(row.factors)] += 1
    told = []
    for measure in (one for one in MEASURES if one in of_cells):
        cells_with = Counter(of_cells[measure].values())
        for count, cells in sorted(cells_with.items()):
            here = f" in {cells} cell{'s' * (cells > 1)}" if len(cells_with) > 1 else ""
            told.append(f"{count} {measure}{here} ({_coverage(count)})")
    return ", ".join(told)


def _coverage(count: int) -> str:
    covers = coverage(count)
    if not covers:
        return "no intervals"
    kind = "intervals cover" if covers >= CONFIDENCE else "ranges cover"
    return f"{kind} the median with {text(100 * covers, 'percent')}"


def _conditions(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Yield under what trials ran, and where that differs, how many ran under what."""
    for name in dict.fromkeys(name for row in rows for name in row.conditions):
        if name.startswith(("prediction_", "workload_")):
            continue
        counts = Counter(level_text(row.conditions[name]) for row in rows if name in row.conditions)
        told = (
            counts
            if len(counts) == 1
            else (f"{level} in {counted(count, 'trial')}" for level, count in counts.items())
        )
        yield name.replace("_", " "), ", ".join(told)


def _failure(row: Row) -> Failure:
    return Failure(
        trial=f"{levels_text(row.factors)} ({row.measure}, replicate {row.replicate})".lstrip(),
        status=row.status,
        exit_code=row.exit_code,
        message="\n".join(_shortened(row.message.splitlines())),
    )


def _shortened(lines: list[str]) -> list[str]:
    """Return the first line, which says why, and the last ones; of each no more than anybody reads."""
    some = lines if len(lines) <= _MESSAGE_LINES else [lines[0], "...", *lines[2 - _MESSAGE_LINES :]]
    return [f"{line[:_LINE_LETTERS]}..." if len(line) > _LINE_LETTERS else line for line in some]
