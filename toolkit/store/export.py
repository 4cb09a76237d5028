"""Results for other programs: CSV for spreadsheets, Parquet for data frames, JSON for everything else."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pandas as pd

from toolkit.store import StoreUnwritable
from toolkit.store.workshop import workshop

__all__ = ["FORMATS", "export", "harmless"]

#: What spreadsheets take for the beginning of a formula, also in the forms of East Asian and small type:
#: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = r"[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]"
#: What a program may take away before it looks, and the apostrophe, so that one in front can be told from ours.
_UNSEEN = r"(?:['\x00-\x08\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2060\ufeff]|[^\S\t\r\n])"
#: Where a cell begins, also for a program that splits at semicolons or tabs and does not heed our quotes. From one
#: such place it looks no further than the next: a text of line breaks alone takes no longer than another.
_RISKY = re.compile(rf"(?:\A|(?<=[;\t\r\n]))(?={_UNSEEN}*{_FORMULA})|\A(?='*[\t\r\n])")


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
        "csv": RFC 4180 in UTF-8, for spreadsheets, which would run some texts: see `harmless`. Numbers stay as
        they are.
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
    """Return a value as it is, or with apostrophes where a spreadsheet would run a text as a formula.

    An apostrophe goes in front of a text that begins with a formula, be it behind spaces and what is not seen, or
    with a tab or a line break; and in front of a formula behind a semicolon, tab or line break within the text,
    where other settings of a spreadsheet let a cell begin. A formula begins with ``=``, ``+``, ``-`` or ``@``, of
    any width. To have the text back, take one apostrophe away from each of these places that has one: it is ours,
    because one that was there before got another.
    """
    return _RISKY.sub("'", value) if isinstance(value, str) else value


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
