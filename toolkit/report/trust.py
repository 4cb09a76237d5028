"""How far to trust a run: what is missing from it, what failed, on what it ran, and how much it wavers."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from toolkit.analysis.noise import Floor, noise_floor
from toolkit.analysis.observing import Observed
from toolkit.report import Column, Finding, Table, Trust, Value
from toolkit.report.observers import explanation
from toolkit.report.units import counted, number, text, unit_of
from toolkit.store import Contents, Row, Run
from toolkit.trials.host import OF_THE_INTERPRETER

__all__ = ["trust"]

#: What each measure is there for: the noise of a run is that of these.
_LEADING = {
    "resident": ("peak_rss_bytes", "resident peak"),
    "traced": ("peak_traced_bytes", "traced peak"),
    "timed": ("wall_seconds", "time"),
}
#: What makes another machine of one, in the words of a run's description and in those of people.
_MACHINE = {
    "host": "host",
    "cpu": "CPU",
    "cpu_count": "CPUs",
    "memory_bytes": "memory",
    "kernel": "kernel",
    "libc": "libc",
    "python": "Python",
    "numpy": "numpy",
}
_UNITS = {"memory_bytes": "bytes", "cpu_count": "count"}


def trust(contents: Contents, stems: Callable[[str], str], observed: Observed) -> Trust:
    """Return what a reader must know of a store before believing its figures.

    Parameters
    ----------
    contents : Contents
        Of the whole store.
    stems : callable
        Gives names of files that are unique in the report.
    observed : Observed
        What probes change in what they watch.
    """
    # Trials tell of a host only where a cluster gave them one.
    has_hosts = any("host" in row.conditions for row in contents.rows)
    facts = [name for name in _MACHINE if name != "host" or has_hosts]
    left_out, failures, noise, machines = (
        _left_out(contents),
        _failures(contents),
        _noise(contents.rows),
        _machines(contents, facts),
    )
    tables = (
        _table("Rows left out", ("table", "row", "why", "rows_count"), left_out, stems("trust-left-out")),
        _table(
            "Failed trials and earlier attempts, by kind",
            ("experiment", "status", "failed_count", "superseded_count", "trials_count"),
            failures,
            stems("trust-failures"),
        ),
        _table(
            "Noise floor: how far the first half of equal trials lies from the second, at most",
            ("experiment", "measure", "quantity", "cells_count", "readings_count", "floor_percent"),
            noise,
            stems("trust-noise"),
        ),
        _table(
            "Machines",
            (*facts, "boots_count", "runs_count", "trials_count"),
            # One alone stands under "Where it ran".
            machines if len(machines) > 1 else [],
            stems("trust-machines"),
        ),
    )
    return Trust(
        findings=(
            _integrity(contents),
            _failed(contents),
            _attempted(contents),
            *_cut_off(contents.runs),
            _wavering(noise),
            _alike(machines),
            *_repository(contents),
            *_disturbed(observed),
        ),
        tables=tuple(table for table in tables if table.rows),
    )


def _disturbed(observed: Observed) -> Iterator[Finding]:
    """Explain the mark beside figures of probes that change what they watch: once, here."""
    if told := explanation(observed.all_changing()):
        yield Finding(sentence=told)


def _integrity(contents: Contents) -> Finding:
    whole = len(contents.rows) + len(contents.left_out)
    told = (
        f"{number(whole, 0)} trials are what was written: the digest of each was checked, its series included"
    )
    if not contents.damaged:
        return Finding(sentence=f"The store is whole. All {told}.", status="confirmed")
    damaged = Counter(one.table for one in contents.damaged)
    lost = ", ".join(counted(count, table) for table, count in sorted(damaged.items()))
    return Finding(sentence=f"Rows of the store are damaged and left out: {lost}. {told}.", status="deviates")


def _failed(contents: Contents) -> Finding:
    total, kinds = len(contents.rows), Counter(row.status for row in contents.failed)
    if not kinds:
        return Finding(sentence=f"None of {counted(total, 'trial')} failed.", status="confirmed")
    told = ", ".join(f"{count} {status}" for status, count in kinds.most_common())
    return Finding(
        sentence=f"{kinds.total()} of {counted(total, 'trial')} failed and give no figures: {told}.",
        status="deviates",
    )


def _attempted(contents: Contents) -> Finding:
    again = contents.earlier_endings
    if not again:
        return Finding(sentence="No trial was tried twice.", status="confirmed")
    ways = Counter(
        (*again[row.key], row.status) for row in (*contents.rows, *contents.left_out) if row.key in again
    )
    told = [
        f"{counted(count, 'trial')} needed {len(way)} attempts ({', then '.join(way)})"
        for way, count in sorted(ways.items())
    ]
    if damaged := len(again) - ways.total():
        told.append(f"{counted(damaged, 'damaged row')} had attempts before")
    return Finding(sentence=f"Tried again: {'; '.join(told)}.")


def _cut_off(runs: Sequence[Run]) -> Iterator[Finding]:
    if cut_off := [run.id for run in runs if run.ended_at is None]:
        told = ", ".join(map(str, cut_off))
        yield Finding(
            sentence=f"{len(cut_off)} of {counted(len(runs), 'run')} did not come to the end, or goes on: {told}."
        )


def _wavering(noise: Sequence[tuple[Value, ...]]) -> Finding:
    floors = [row for row in noise if isinstance(row[-1], float)]
    if not floors:
        return Finding(sentence="No cell ran twice: how much figures waver is not known.", status="deviates")
    experiment, _, quantity, _, _, most = max(floors, key=lambda row: float(str(row[-1])))
    return Finding(
        sentence=f"Between the first and the second half of equal trials medians differ by up to "
        f"{number(float(str(most)))} %, in the {quantity} of {experiment}: a smaller difference between two of its "
        "cells tells nothing. Each experiment has its own such floor."
    )


def _alike(machines: Sequence[tuple[Value, ...]]) -> Finding:
    if len(machines) == 1:
        return Finding(sentence="All trials ran on one machine with one set-up.", status="confirmed")
    if not machines:
        return Finding(sentence="Where the trials ran is not known.", status="deviates")
    return Finding(sentence=f"Trials ran on {len(machines)} machines or set-ups.", status="deviates")


def _repository(contents: Contents) -> Iterator[Finding]:
    """Say in which states of the repository trials ran, where it is more than one."""
    ran = {row.run for row in contents.rows}
    described = [run.description for run in contents.runs if run.id in ran]
    commits = {one.get("git_commit") for one in described}
    changes = Counter(one.get("git_dirty") for one in described)
    if len(commits) > 1 or len(changes) > 1:
        names = {True: "some", False: "none", None: "unknown"}
        told = ", ".join(
            f"{word} in {counted(changes[state], 'run')}" for state, word in names.items() if changes[state]
        )
        yield Finding(
            sentence=f"Their runs saw the repository at {counted(len(commits - {None}), 'commit')}, with "
            f"uncommitted changes: {told}. The trials shown of one experiment are of one code all the same: its "
            "digest tells."
        )


def _left_out(contents: Contents) -> list[tuple[Value, ...]]:
    rows: list[tuple[Value, ...]] = [(one.table, one.name, one.reason, 1) for one in contents.damaged]
    other = Counter(row.experiment for row in contents.left_out)
    rows += [("trial", name, "of other code than the last run's", count) for name, count in other.items()]
    apart = Counter(row.experiment for row in contents.rows if contents.plans[row.experiment].differing(row))
    rows += [
        ("trial", name, "of other constants than the last run's", count) for name, count in apart.items()
    ]
    return rows


def _failures(contents: Contents) -> list[tuple[Value, ...]]:
    experiment_of = {row.key: row.experiment for row in (*contents.rows, *contents.left_out)}
    failed = Counter((row.experiment, row.status) for row in contents.failed)
    superseded = Counter(
        (experiment_of.get(key, "of a damaged row"), status)
        for key, statuses in contents.earlier_endings.items()
        for status in statuses
    )
    trials = Counter(row.experiment for row in contents.rows)
    return [
        (name, status, failed[name, status], superseded[name, status], trials[name])
        for name, status in sorted({*failed, *superseded})
    ]


def _noise(rows: Sequence[Row]) -> list[tuple[Value, ...]]:
    cells: defaultdict[tuple[str, str], defaultdict[object, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    # As they ran: the floor compares the first half of a cell's trials with the second.
    for row in sorted(rows, key=lambda row: row.started_at):
        metric, _ = _LEADING.get(row.measure, ("", ""))
        if row.status == "ok" and metric in row.metrics:
            cell = frozenset((name, repr(level)) for name, level in {**row.constants, **row.factors}.items())
            cells[row.experiment, row.measure][cell, row.seed].append(row.metrics[metric])
    table: list[tuple[Value, ...]] = []
    for (experiment, measure), found in sorted(cells.items()):
        alike = [readings for readings in found.values() if len(readings) > 1]
        floor = noise_floor(alike) or Floor()
        metric, quantity = _LEADING[measure]
        percent = None if floor.fraction is None else 100 * floor.fraction
        if floor.around_zero:
            apart = text(floor.around_zero, unit_of(metric))
            quantity += f" (around 0 up to {apart}, which is no percentage)"
        table.append((experiment, measure, quantity, len(alike), sum(map(len, alike)), percent))
    return table


def _machines(contents: Contents, facts: Sequence[str]) -> list[tuple[Value, ...]]:
    described = {run.id: run.description for run in contents.runs}
    alike: defaultdict[tuple[Value, ...], list[Row]] = defaultdict(list)
    for row in contents.rows:
        alike[_set_up(row, described.get(row.run, {}), facts)].append(row)
    return [
        (
            *set_up,
            len({str(described.get(row.run, {}).get("boot_id")) for row in rows}),
            len({row.run for row in rows}),
            len(rows),
        )
        for set_up, rows in alike.items()
    ]


def _set_up(row: Row, described: Mapping[str, Any], facts: Sequence[str]) -> tuple[Value, ...]:
    """Return on what a trial ran: by what it tells itself, where a cluster has many hosts."""
    # The interpreter that a level names is a factor like any other, and no other set-up.
    is_named = {**row.constants, **row.factors}.get("python", "this") != "this"
    own = {
        name: value for name, value in row.conditions.items() if not (is_named and name in OF_THE_INTERPRETER)
    }
    return tuple(_shown({**described, **own}, name) for name in facts)


def _shown(description: Mapping[str, Any], name: str) -> Value:
    value = description.get(name)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _table(title: str, names: Sequence[str], rows: Sequence[tuple[Value, ...]], stem: str) -> Table:
    return Table(stem=stem, title=title, columns=tuple(map(_column, names)), rows=tuple(rows))


def _column(name: str) -> Column:
    words, _, unit = name.rpartition("_")
    if unit == "percent":
        return Column(heading=words, name=name, unit="percent")
    if name in _UNITS or unit == "count":
        return Column(
            heading=_MACHINE.get(name, words.replace("_", " ")),
            name=name,
            unit="bytes" if unit == "bytes" else "count",
        )
    return Column(heading=_MACHINE.get(name, name), name=name)
