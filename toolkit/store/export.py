"""Results for other programs: CSV for spreadsheets, Parquet for data frames, JSON for everything else."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pandas as pd

from toolkit.store import StoreUnwritable
from toolkit.store.workshop import workshop

__all__ = ["FORMATS", "export", "harmless"]


def export(frame: pd.DataFrame, path: str | Path, format: str) -> None:
    """Write a frame that `load` gave to a file, whole or not at all.

    Integers stay exact and floats come back bit for bit in every format; what is NA is empty in CSV and null
    elsewhere.

    Parameters
    ----------
    frame : DataFrame
        From `load` or `frame`.
    path : path
        Replaced if it is there. Its folder has to be there.
    format : {"csv", "parquet", "json"}
        "csv": RFC 4180 in UTF-8, for spreadsheets. They would run a text that begins with ``=``, ``+``,
        ``-``, ``@``, a tab or a line break as a formula: it gets an apostrophe in front. Numbers stay as they
        are.
        "parquet": with the types of the frame; a column of labels mixed with numbers is text.
        "json": a list with an object per row.

    Raises
    ------
    ValueError
        When `format` is none of these.
    StoreUnwritable
        When the file cannot be written. One that was there before stays as it was.
    """
    if format not in FORMATS:
        raise ValueError(f"{format!r} is no format; the formats are {', '.join(FORMATS)}")
    path = Path(path)
    try:
        with workshop(path.parent) as place:
            with open(place / path.name, "wb") as file:
                FORMATS[format](frame, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(place / path.name, path)
    except OSError as error:
        raise StoreUnwritable(f"{path}: {error.strerror or error}") from error


def _csv(frame: pd.DataFrame, file: IO[bytes]) -> None:
    # Only text: a column of numbers that passes through here could come out as floats.
    labels = {column: frame[column].map(harmless) for column in _labelled(frame)}
    guarded = frame.assign(**labels).rename(columns=harmless)
    # With this end of lines a line break of either kind within a text is quoted; with \n alone, \r is not.
    guarded.to_csv(file, index=False, encoding="utf-8", lineterminator="\r\n")


def _labelled(frame: pd.DataFrame) -> list[str]:
    return [column for column in frame.columns if frame[column].dtype in ("string", "object")]


def harmless(value: Any) -> Any:
    """Return a value as it is, or with an apostrophe in front where a spreadsheet would run it as a formula."""
    risky = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    return f"'{value}" if risky else value


def _parquet(frame: pd.DataFrame, file: IO[bytes]) -> None:
    mixed = {column: "string" for column in frame if frame[column].dtype == "object"}
    frame.astype(mixed).to_parquet(file, engine="pyarrow", index=False)


def _json(frame: pd.DataFrame, file: IO[bytes]) -> None:
    # Not to_json of pandas, which rounds floats.
    columns = [[None if pd.isna(value) else value for value in frame[column].tolist()] for column in frame]
    rows = [dict(zip(frame.columns, values, strict=True)) for values in zip(*columns, strict=True)]
    file.write(json.dumps(rows, ensure_ascii=False, indent=1, allow_nan=False).encode())


#: What writes each format.
FORMATS: dict[str, Callable[[pd.DataFrame, IO[bytes]], None]] = {
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
}
