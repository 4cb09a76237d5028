"""From the store to the report."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import cast

import toolkit.report.formats
from toolkit.analysis import observing
from toolkit.analysis.comparison import Comparison
from toolkit.analysis.observing import Observed
from toolkit.analysis.results import Results
from toolkit.experiment import Experiment
from toolkit.report import Document, Finding, Format, Section, facts, omissions, tables
from toolkit.report.appendix import GLOSSARY, methods
from toolkit.report.folder import replace_folder
from toolkit.report.names import unique_stems
from toolkit.report.observers import remark
from toolkit.report.sections import section
from toolkit.report.units import levels_text, number
from toolkit.store import Contents, Row, Run
from toolkit.store.read import read_store, series
from toolkit.trials import MEASURES

_TITLE = "What memory settings of an autograd engine cost"


def write_report(results_dir: str | Path, made: Document) -> Path:
    """Write a report in every format, and return the path of its page.

    Parameters
    ----------
    results_dir : path
        The report goes into its folder ``report``, in place of an earlier one.
    made : Document
        From `document`.

    Raises
    ------
    StoreUnwritable
        When the report cannot be written. An earlier one stays as it was.
    """
    files: dict[str, bytes] = {}
    for module in iter_modules(toolkit.report.formats.__path__):
        one = cast(Format, import_module(f"toolkit.report.formats.{module.name}"))
        files |= one.render(made)
    folder = Path(results_dir, "report")
    replace_folder(folder, files)
    return folder / "index.html"


def document(
    results_dir: str | Path,
    scripts: Mapping[str, Callable[[], Experiment]],
    only: Sequence[str] = (),
) -> Document:
    """Return the report of what a store holds, before it takes the shape of a format.

    The same store and scripts give the same bytes, wherever and whenever they are rendered.

    Parameters
    ----------
    results_dir : path
        The folder that holds ``results.db``.
    scripts : mapping of str to callable
        What loads the script of each experiment, by name, in the order of the sections; called for those alone
        of which the store holds trials. Experiments of the store that have no script come after them; no path
        that a store tells is ever imported.
    only : sequence of str
        The experiments to take, of those that the store holds; all if empty.

    Raises
    ------
    BadStore
        When the store is missing, damaged as a whole, foreign or of a newer version.
    """
    contents = read_store(results_dir)
    stems = unique_stems()
    required_stem, *_ = [stems(part) for part in ("required", "findings", "methods", "words")]
    found = dict.fromkeys(row.experiment for row in (*contents.rows, *contents.left_out))
    names = [name for name in only or dict.fromkeys((*scripts, *found)) if name in found]
    observed = _observed(contents)
    sections: list[Section] = []
    compared: list[tuple[str, Comparison]] = []
    for name in names:
        shown = _shown(name, contents)
        lacks: list[str] = []
        script = _loaded(scripts.get(name), lacks)
        declared = script.factors if script else None
        results = Results(name, shown, partial(series, results_dir), declared, observed)
        notes = omissions.notes(name, contents, script)
        one, its_comparisons = section(results, script, _runs_of(shown, contents), notes, stems, lacks)
        sections.append(one)
        compared += ((name, comparison) for comparison in its_comparisons)
    findings = (finding for one in sections for finding in one.findings)
    return Document(
        title=_TITLE,
        facts=_facts(contents),
        findings=tuple(_agreement(compared, observed)),
        required=tables.required(findings, required_stem),
        sections=tuple(sections),
        methods=methods(observed),
        glossary=GLOSSARY,
        notes=tuple(f"Left out: {damage}" for damage in contents.damaged),
    )


def _shown(name: str, contents: Contents) -> list[Row]:
    # Trials may differ in constants or the seed alone: one cell must not hold both.
    plan = contents.plans[name]
    return [row for row in contents.rows if row.experiment == name and not plan.differing(row)]


def _observed(contents: Contents) -> Observed:
    rows = _shown(observing.EXPERIMENT, contents) if observing.EXPERIMENT in contents.plans else []
    return Observed(observing.twins(Results(observing.EXPERIMENT, rows, lambda _: {})))


def _loaded(load: Callable[[], Experiment] | None, lacks: list[str]) -> Experiment | None:
    if load is None:
        return None
    try:
        return load()
    except (Exception, SystemExit) as problem:
        reason = problem.__cause__ or problem
        lacks.append(f"its script cannot be used: {type(reason).__name__}: {reason}")
        return None


def _runs_of(rows: Sequence[Row], contents: Contents) -> list[Run]:
    ids = {row.run for row in rows}
    return [run for run in contents.runs if run.id in ids]


def _facts(contents: Contents) -> tuple[tuple[str, str], ...]:
    if not contents.rows:
        return (("trials", "none of the newest code" if contents.left_out else "none yet"),)
    failed = len(contents.failed)
    well = f"{number(len(contents.rows) - failed, 0)} ended well"
    experiments = len({row.experiment for row in contents.rows})
    return (
        ("measured", facts.period(contents.rows)),
        ("trials", f"{well}, {number(failed, 0)} failed, of {experiments} experiments"),
        *facts.leading(_runs_of(contents.rows, contents)),
    )


def _agreement(compared: Sequence[tuple[str, Comparison]], observed: Observed) -> list[Finding]:
    """Say how well theory and measurement agree over all experiments, and where they agree least."""
    judged = [(name, one) for name, one in compared if one.off is not None]
    kinds = dict.fromkeys((one.measure, one.exact, one.allowance) for _, one in judged)
    findings = []
    for kind in sorted(kinds, key=lambda kind: (MEASURES.index(kind[0]), not kind[1])):
        alike = [(name, one) for name, one in judged if (one.measure, one.exact, one.allowance) == kind]
        holding = sum(bool(one.holds) for _, one in alike)
        name, worst = max(alike, key=lambda pair: abs(pair[1].off or 0))
        what = "exact predictions" if worst.exact else "predictions by a model"
        off = abs(worst.off or 0)
        where = f"{name} at {levels_text(worst.levels)}"
        furthest = f"; the furthest off is {number(off)}{worst.off_unit}, in {where}" if off else ""
        findings.append(
            Finding(
                sentence=f"{holding} of {len(alike)} {what} for {worst.measure} trials hold "
                f"{worst.allowance}{furthest}. {remark(observed.changing(worst.measure))}".rstrip(),
                status="confirmed" if holding == len(alike) else "deviates",
            )
        )
    return findings
