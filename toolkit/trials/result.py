"""The result that a child hands back: magic, length, SHA-256 and JSON. Nothing that could run is ever read."""

import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any

_MAGIC = b"toolkit result 1"
_HEADER = struct.Struct(f">{len(_MAGIC)}sQ32s")


class BadResult(ValueError):
    """A result is missing, cut short or damaged."""


def pack_result(result: dict[str, Any]) -> bytes:
    """Return `result` as it is handed back.

    Raises
    ------
    ValueError
        When it holds a number that JSON does not have: NaN or an infinity.
    """
    body = json.dumps(result, allow_nan=False).encode()
    return _HEADER.pack(_MAGIC, len(body), hashlib.sha256(body).digest()) + body


def write_result(path: Path, frame: bytes) -> None:
    """Write what `pack_result` returned whole or not at all.

    Raises
    ------
    OSError
        When there is no room for it. What could be written stays beside it, and takes what room there was.
    """
    partial = path.with_suffix(".partial")
    partial.write_bytes(frame)
    os.replace(partial, path)


def read_result(path: Path) -> dict[str, Any]:
    """Read what `write_result` wrote.

    Raises
    ------
    BadResult
        When there is nothing, or it is not what was written.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadResult("the trial ended without a result") from None
    return unpack_result(content)


def unpack_result(content: bytes) -> dict[str, Any]:
    """Return what `pack_result` packed.

    Raises
    ------
    BadResult
        When it is not what was packed.
    """
    if len(content) < _HEADER.size:
        raise BadResult("the result is cut short")
    magic, length, digest = _HEADER.unpack_from(content)
    body = content[_HEADER.size :]
    if magic != _MAGIC or length != len(body) or digest != hashlib.sha256(body).digest():
        raise BadResult("the result is damaged")
    result: dict[str, Any] = json.loads(body)
    return result
