"""The tables as CSV: raw values, with the unit in the name of the column."""

import csv
import io
from collections.abc import Iterator

from toolkit.analysis.statistics import Estimate
from toolkit.report import Column, Document, Table, Value
from toolkit.store.export import harmless


def render(document: Document) -> dict[str, bytes]:
    """Return a file for each table."""
    tables = [table for section in document.sections for table in section.tables]
    tables += [one for one in (document.required, document.exceptions, document.pairs) if one]
    tables += document.trust.tables if document.trust else ()
    return {f"tables/{table.stem}.csv": _csv(table).encode("utf-8", "backslashreplace") for table in tables}


def _csv(table: Table) -> str:
    estimated = [
        any(isinstance(row[place], Estimate) for row in table.rows) for place in range(len(table.columns))
    ]
    file = io.StringIO()
    # With \n alone, a \r within a text would not be quoted.
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(
        name
        for column, is_estimate in zip(table.columns, estimated, strict=True)
        for name in _names(column, is_estimate)
    )
    for row in table.rows:
        writer.writerow(
            cell
            for value, is_estimate in zip(row, estimated, strict=True)
            for cell in _cells(value, is_estimate)
        )
    return file.getvalue()


def _names(column: Column, is_estimate: bool) -> Iterator[str]:
    name = harmless(column.name)
    yield name
    if is_estimate:
        stem, underscore, unit = name.rpartition("_")
        for end in ("low", "high"):
            yield f"{stem}_{end}_{unit}" if underscore and column.unit else f"{name}_{end}"
        yield f"{name}_readings_count"


def _cells(value: Value, is_estimate: bool) -> Iterator[str | int | float | None]:
    if isinstance(value, Estimate):
        yield from (_short(value.median), _short(value.low), _short(value.high), value.count)
    elif isinstance(value, str):
        yield harmless(value)
    else:
        yield _short(value)
    if is_estimate and not isinstance(value, Estimate):
        yield from (None, None, None)


def _short(value: float | None) -> int | float | None:
    """Return a whole number as one: medians of bytes are floats, and bytes have no fraction."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
