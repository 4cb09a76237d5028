"""Reading rows and telling the whole from the damaged."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from sys import intern
from types import MappingProxyType
from typing import Any, TypeAlias, cast

from toolkit.store import Attempt, BadStore, Damage, Plan, Row, Run, Setting
from toolkit.store.bounds import Names
from toolkit.store.cells import (
    check_description,
    check_levels,
    check_metrics,
    check_stored_conditions,
    check_words,
)
from toolkit.store.encoding import (
    Fingerprint,
    Packed,
    digest_of,
    fingerprint_of,
    one_line,
    without_surrogates,
)
from toolkit.store.schema import ATTEMPT_CELLS, RUN_CELLS, TRIAL_CELLS

__all__ = [
    "path_of",
    "read_attempts",
    "read_row",
    "read_rows",
    "read_runs",
    "read_series",
    "read_settings",
    "read_statuses",
]

_Check: TypeAlias = Callable[[Mapping[str, Any]], None]
#: The cells that hold levels, and repeat from trial to trial.
_LEVELS: Mapping[str, _Check] = {
    "factors": check_levels,
    "constants": check_levels,
    "conditions": check_stored_conditions,
}

#: The other cells that do so.
_REPEATED = ("experiment", "measure", "status", "code_digest")

_NONE = type(None)
#: The types that cells can have: a run may have no end, a trial and an attempt no exit code.
_RUN_TYPES = ((int, float, float, str, str), (int, float, _NONE, str, str))
_TRIAL_TYPES = tuple(
    (str, int, str, str, int, int, str, exit_code, str, str, str, str, str, str, float, float)
    for exit_code in (int, _NONE)
)
_ATTEMPT_TYPES = tuple((int, str, int, str, exit_code, str, float, float) for exit_code in (int, _NONE))

_SELECT_RUN = f"SELECT length(description) + length(plans), {', '.join(RUN_CELLS)}, digest FROM run"
_TRIAL_LENGTH = " + ".join(f"length({name})" for name in ("message", *_LEVELS, "metrics"))
_SELECT_TRIAL = f"SELECT {_TRIAL_LENGTH}, id, {', '.join(TRIAL_CELLS)}, digest FROM trial"
_SELECT_ATTEMPT = f"SELECT length(message), {', '.join(ATTEMPT_CELLS)}, digest FROM attempt"
_SELECT_KEYS = "SELECT id, key FROM trial INDEXED BY sqlite_autoindex_trial_1"
_SELECT_STATUSES = "SELECT length(key) + length(status), id, key, status FROM trial"
#: Few levels are told apart: all trials of a large grid have others, and only where they ran is asked for.
_SELECT_SETTINGS = (
    "SELECT DISTINCT length(conditions) + length(constants), run, experiment, code_digest, conditions, constants,"
    " CASE WHEN instr(factors, '\"python\":') THEN factors ELSE '{}' END"
    " FROM trial WHERE status = 'ok'"
)
_SELECT_SERIES = "SELECT length(name) + length(data), trial, name, dtype, count, data FROM series"

#: What fields are called that have another name than their column.
_FIELDS = {"trial": "key"}

#: Without a search for the white space that the store never writes.
_decode = json.JSONDecoder().raw_decode

#: Levels by the JSON they were read from: trials share them, so nobody may change them.
_Known = dict[tuple[_Check, str], Mapping[str, Any]]


def read_runs(connection: sqlite3.Connection) -> Iterator[Run | Damage]:
    """Yield every run in the order in which they began, or what is wrong with it."""
    for _, *cells, digest in _within(connection, f"{_SELECT_RUN} ORDER BY id"):
        run_id, started_at, ended_at, description, plans = cells
        try:
            _check(cells, {}, digest, _RUN_TYPES)
            told = _parsed(description)
            check_description(told)
            yield Run(
                id=run_id,
                started_at=started_at,
                ended_at=ended_at,
                description=MappingProxyType(told),
                plans=MappingProxyType({name: _plan(**one) for name, one in _parsed(plans).items()}),
            )
        except (TypeError, ValueError, RecursionError) as error:
            yield Damage(table="run", name=one_line(str(run_id)), reason=one_line(str(error)))


def _plan(code_digest: object, seed: object, constants: object) -> Plan:
    if not isinstance(code_digest, str) or type(seed) is not int or not isinstance(constants, dict):
        raise ValueError("holds a plan that is none")
    check_levels(constants)
    return Plan(code_digest=code_digest, seed=seed, constants=MappingProxyType(constants))


def read_rows(connection: sqlite3.Connection) -> Iterator[Row | Damage]:
    """Yield every trial in the order in which they were stored, or what is wrong with it.

    The bytes of every series are read, one at a time: the digest of a trial covers them.

    Raises
    ------
    BadStore
        When they have more names than a store may: see `schema.MOST_NAMES`.
    """
    fingerprints: defaultdict[object, dict[str, Fingerprint]] = defaultdict(dict)
    for _, key, name, dtype, count, data in _within(connection, _SELECT_SERIES):
        fingerprints[key][name] = fingerprint_of(dtype, count, data if type(data) is bytes else b"")
    known: _Known = {}
    seen, names = set(), Names(path_of(connection))
    for _, row_id, *cells in _within(connection, f"{_SELECT_TRIAL} ORDER BY id"):
        seen.add(row_id)
        row = _row(cells, fingerprints.get(cells[0], {}), known)
        if isinstance(row, Row):
            names.add_row(row)
        yield row
    names.check_table(len(seen))
    # A page that has lost rows looks whole; the index of keys lies on other pages.
    for row_id, key in connection.execute(_SELECT_KEYS):
        if row_id not in seen:
            yield Damage(table="trial", name=one_line(str(key)), reason="has gone")


def read_attempts(connection: sqlite3.Connection) -> Iterator[Attempt | Damage]:
    """Yield every earlier attempt in the order in which they were superseded, or what is wrong with it."""
    for _, *cells, digest in _within(connection, f"{_SELECT_ATTEMPT} ORDER BY id"):
        try:
            _check(cells, {}, digest, _ATTEMPT_TYPES)
            yield Attempt(
                **{_FIELDS.get(name, name): cell for name, cell in zip(ATTEMPT_CELLS, cells, strict=True)}
            )
        except (TypeError, ValueError) as error:
            yield Damage(table="attempt", name=one_line(str(cells[0])), reason=one_line(str(error)))


def read_statuses(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Yield the key of every trial and how it ended, as the file tells, without a look at its digest.

    Of a row that has gone the key alone is left, and its status is empty.
    """
    seen = set()
    for _, row_id, key, status in _within(connection, _SELECT_STATUSES):
        seen.add(row_id)
        yield str(key), str(status)
    for row_id, key in connection.execute(_SELECT_KEYS):
        if row_id not in seen:
            yield str(key), ""


def read_settings(connection: sqlite3.Connection) -> Iterator[Setting]:
    """Yield where and of what code trials ended well, as the file tells, each setting once."""
    known: _Known = {}
    for _, run, experiment, code_digest, *texts in _within(connection, _SELECT_SETTINGS):
        try:
            conditions, constants, factors = (
                _shared(text, check, known)
                for text, check in zip(
                    texts, (check_stored_conditions, check_levels, check_levels), strict=True
                )
            )
        except (TypeError, ValueError, RecursionError):
            # Of a damaged row: it is no figure.
            continue
        yield Setting(
            run=run,
            experiment=experiment,
            code_digest=code_digest,
            conditions=conditions,
            constants=constants,
            factors=factors,
        )


def read_row(connection: sqlite3.Connection, key: str) -> tuple[Row | Damage, dict[str, Packed]] | None:
    """Return one trial, or what is wrong with it, and its series; None when there is no such trial."""
    stored = next(_within(connection, f"{_SELECT_TRIAL} WHERE key = ?", key), None)
    if stored is None:
        return None
    _, _, *cells = stored
    found = _within(connection, f"{_SELECT_SERIES} WHERE trial = ? ORDER BY name", key)
    series = {name: _packed(*packed) for _, _, name, *packed in found}
    return _row(cells, {name: packed.fingerprint for name, packed in series.items()}, {}), series


def read_series(connection: sqlite3.Connection) -> Iterator[tuple[object, object, Packed]]:
    """Yield the key of the trial, the name and the bytes of every series, as they lie in the file."""
    for _, key, name, *packed in _within(connection, _SELECT_SERIES):
        yield key, name, _packed(*packed)


def path_of(connection: sqlite3.Connection) -> str:
    """Return the path of the file that a connection is to; of a copy in memory none."""
    _, _, path = connection.execute("PRAGMA database_list").fetchone()
    return str(path)


def _within(connection: sqlite3.Connection, query: str, *values: str) -> Iterator[tuple[Any, ...]]:
    """Yield what a query finds, whose first column is a length: in all no more than the file holds.

    Raises
    ------
    BadStore
        When it is more. A forged file may use the same pages for many cells.
    """
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    left = pages * page_bytes
    for row in connection.execute(query, values):
        left -= row[0] or 0
        if left < 0:
            raise BadStore(f"{path_of(connection)}: its rows are larger than the file that holds them")
        yield row


def _row(cells: Sequence[Any], fingerprints: Mapping[str, Fingerprint], known: _Known) -> Row | Damage:
    *values, digest = cells
    try:
        _check(values, fingerprints, digest, _TRIAL_TYPES)
        fields = dict(zip(TRIAL_CELLS, values, strict=True))
        for name, check in _LEVELS.items():
            fields[name] = _shared(fields[name], check, known)
        for name in _REPEATED:
            fields[name] = intern(fields[name])
        fields["metrics"] = _checked(fields["metrics"], check_metrics)
        check_words(fields["measure"], fields["status"], fields["replicate"])
        return Row(**fields)
    except (TypeError, ValueError, RecursionError) as error:
        return Damage(table="trial", name=one_line(str(values[0])), reason=one_line(str(error)))


def _shared(text: str, check: _Check, known: _Known) -> Mapping[str, Any]:
    if (check, text) not in known:
        known[check, text] = _checked(text, check)
    return known[check, text]


def _checked(text: str, check: _Check) -> Mapping[str, Any]:
    mapping = _parsed(text)
    check(mapping)
    # One string of each name for all trials: a hundred thousand with a dozen metrics have a million otherwise.
    return MappingProxyType({intern(name): value for name, value in mapping.items()})


def _packed(dtype: Any, count: Any, data: Any) -> Packed:
    # A damaged cell may have any type. No series is empty, so the digest will tell.
    return Packed(dtype, count, data if isinstance(data, bytes) else b"")


def _check(
    cells: Sequence[object],
    fingerprints: Mapping[str, Fingerprint],
    digest: object,
    types: Collection[tuple[type, ...]],
) -> None:
    try:
        # Infinities and lone surrogates have no digest either.
        whole = digest_of(cells, fingerprints) == digest
    except (TypeError, ValueError):
        whole = False
    if not whole:
        raise ValueError("is not what was written")
    # Damage ends above; a file that somebody else wrote may have a digest that is right.
    if tuple(map(type, cells)) not in types:
        raise ValueError("has a cell of a type that the store does not write")


def _parsed(text: str) -> dict[str, Any]:
    value, end = _decode(text)
    if not isinstance(value, dict) or end != len(text):
        raise ValueError("holds JSON that is no mapping")
    # Only by such an escape can a lone surrogate come through JSON.
    if "\\u" in text:
        value = _printable(value)
    return cast("dict[str, Any]", value)


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, dict):
        return {without_surrogates(name): _printable(item) for name, item in value.items()}
    return value
