"""From the store to the report."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import cast

import toolkit.report.formats
from toolkit.analysis import observing
from toolkit.analysis.agreement import agreements
from toolkit.analysis.comparison import Comparison
from toolkit.analysis.observing import Observed
from toolkit.analysis.results import Results
from toolkit.experiment import Experiment
from toolkit.report import (
    Document,
    Finding,
    Format,
    Section,
    agreement,
    facts,
    omissions,
    tables,
    trust,
)
from toolkit.report.appendix import GLOSSARY, methods
from toolkit.report.folder import write_folder
from toolkit.report.names import unique_stems
from toolkit.report.observers import remark
from toolkit.report.sections import section
from toolkit.report.units import counted, levels_text, number
from toolkit.store import Contents, Row, Run
from toolkit.store.read import read_store, series
from toolkit.trials import MEASURES, Measure

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
    write_folder(folder, files)
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
    parts = ("required", "exceptions", "pairs", "answers", "theory", "machine", "methods", "words", "trust")
    required_stem, exceptions_stem, pairs_stem, *_ = [stems(part) for part in parts]
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
    pairs, too_small = agreements(compared)
    summed_up = agreement.finding(pairs, too_small)
    theory = (*([summed_up] if summed_up else []), *_agreement(compared))
    findings = (finding for one in sections for finding in one.findings)
    machine = facts.machine(_runs_of(contents.rows, contents))
    return Document(
        title=_TITLE,
        summary=_summary(contents),
        findings=theory,
        exceptions=agreement.exceptions(pairs, exceptions_stem),
        pairs=agreement.pairs_table(pairs, pairs_stem),
        required=tables.required((*theory, *findings), required_stem),
        sections=tuple(replace(one, machine=()) if one.machine == machine else one for one in sections),
        facts=machine,
        methods=methods(observed),
        glossary=GLOSSARY,
        notes=_warnings(contents),
        trust=trust.trust(contents, stems, observed),
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


def _summary(contents: Contents) -> str:
    if not contents.rows:
        return f"Trials: {'none of the newest code' if contents.left_out else 'none yet'}."
    failed, experiments = len(contents.failed), len({row.experiment for row in contents.rows})
    well = f"{number(len(contents.rows) - failed, 0)} ended well"
    where = facts.leading(_runs_of(contents.rows, contents))
    return (
        f"Measured {facts.period(contents.rows)}; experiments: {experiments}; of their trials {well}, "
        f"{number(failed, 0)} failed. {where}"
    )


def _warnings(contents: Contents) -> tuple[str, ...]:
    if not contents.damaged:
        return ()
    rows = counted(len(contents.damaged), "damaged row")
    return (f"Left out: {rows} of the store, listed where this report says how far to trust this run.",)


def _agreement(compared: Sequence[tuple[str, Comparison]]) -> list[Finding]:
    """Say how well theory and measurement agree over all experiments, and where they agree least."""
    claimed = [(name, one) for name, one in compared if one.off is not None]
    if not claimed:
        return []
    silent = Counter(one.allowance for _, one in compared if one.off is None)
    beside = "".join(f"; {count} make {why}" for why, count in sorted(silent.items()))
    all_holding = sum(bool(one.holds) for _, one in claimed)
    kinds = dict.fromkeys(_kind(one) for _, one in claimed)
    findings = [
        Finding(
            sentence=f"All {len(compared)} predictions, each held to what it claims: "
            f"{all_holding} of {len(claimed)} hold{beside}. By kind of claim:",
            status="confirmed" if all_holding == len(claimed) else "deviates",
        )
    ]
    for kind in sorted(kinds, key=lambda kind: (MEASURES.index(kind[0]), not kind[1])):
        alike = [(name, one) for name, one in claimed if _kind(one) == kind]
        holding = sum(bool(one.holds) for _, one in alike)
        name, worst = max(alike, key=lambda pair: abs(pair[1].off or 0))
        what = "exact predictions" if worst.exact else "predictions by a model"
        off = abs(worst.off or 0)
        where = f"{name} at {levels_text(worst.levels)}"
        furthest = f"; the furthest off is {number(off)}{worst.off_unit}, in {where}" if off else ""
        findings.append(
            Finding(
                sentence=f"{holding} of {len(alike)} {what} for {worst.measure} trials hold "
                f"{kind[2]}{furthest}. {remark(twin for _, one in alike for twin in one.changed_by)}".rstrip(),
                status="confirmed" if holding == len(alike) else "deviates",
            )
        )
    return findings


def _kind(one: Comparison) -> tuple[Measure, bool, str]:
    return one.measure, one.exact, one.allowance if one.exact else "within what each allows"
