"""The result that a child hands back: magic, length, SHA-256 and JSON. Nothing that could run is ever read."""

import hashlib
import json
import os
import stat
import struct
from pathlib import Path
from typing import Any

from toolkit.trials.metric import MOST_METRICS, check_metric

_MAGIC = b"toolkit result 1"
_HEADER = struct.Struct(f">{len(_MAGIC)}sQ32s")
#: Far more than the rooms of all probes can fill.
_MOST_BYTES = 256 << 20


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

    A trial may have put anything in its place: nothing is followed, waited for or taken on trust.

    Raises
    ------
    BadResult
        When there is nothing, or it is not what a child hands back.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise BadResult("the trial ended without a result") from None
    except OSError as problem:
        raise BadResult(f"the result cannot be read: {problem.strerror}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise BadResult("the result is no ordinary file")
        if found.st_size > _MOST_BYTES:
            raise BadResult(f"the result has {found.st_size} bytes, and one may have {_MOST_BYTES}")
        with open(descriptor, "rb", closefd=False) as file:
            result = unpack_result(file.read(_MOST_BYTES))
    finally:
        os.close(descriptor)
    try:
        _check(result)
    except (KeyError, TypeError, ValueError) as problem:
        raise BadResult(f"the result is not one of a trial: {problem}") from None
    return result


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
    try:
        result = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise BadResult("the result is no JSON") from None
    if not isinstance(result, dict):
        raise BadResult("the result is no JSON object")
    return result


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _check(result: dict[str, Any]) -> None:
    """Refuse what no child hands back, and no store can hold."""
    if "failure" in result:
        for name in ("failure", "message"):
            _check_kind(name, result[name], str)
        return
    for name in ("began", "ended"):
        _check_kind(name, result[name], int, float)
    for name in ("metrics", "series", "conditions"):
        _check_kind(name, result[name], dict)
    for name, value in result["metrics"].items():
        check_metric(name, value)
    for name, values in result["series"].items():
        _check_kind(name, values, list)
        for value in values:
            check_metric("", value)
    for name, value in result["conditions"].items():
        _check_kind(name, value, str, bool, int, float)
        if type(value) is int or type(value) is float:
            check_metric("", value)
    # Here, because the child, which writes results, has no need of it.
    from toolkit.trials.conditions import check_conditions

    check_conditions(result["conditions"])
    if len(result["metrics"]) > MOST_METRICS:
        raise ValueError(f"it has {len(result['metrics'])} metrics, and one may have {MOST_METRICS}")


def _check_kind(name: str, value: object, *kinds: type) -> None:
    if type(value) not in kinds:
        raise TypeError(f"{name} is of the type {type(value).__name__}")
