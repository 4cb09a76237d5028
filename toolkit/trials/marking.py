"""The mark: every process of a trial carries what tells the trial's folder, so that none is left behind.

A process group can be left, and the number of a process that has ended comes to mean another one. What stands in
the environment of a process is handed on to whatever it starts, and nobody else has it. So are its limits, which
another environment, another session and a second fork leave as they are. One of them limits nothing:
``RLIMIT_LOCKS``, which Linux has kept without a use since 2.4.25 (getrlimit(2)). A number of the trial's own stands
there.
"""

import os
import resource
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeAlias

from toolkit.trials.killing import kill_all, stat_of

__all__ = ["bear", "end_marked", "mark", "number_of"]

_NAME = "TOOLKIT_TRIAL"
_RLIMIT_LOCKS = 10  # asm-generic/resource.h
#: Above what anybody sets by hand.
_LEAST = 1 << 62

#: What stands in the environment, and what among the limits.
_Marks: TypeAlias = tuple[bytes, bytes]


def mark(folder: Path) -> dict[str, str]:
    """Return the variable that marks the processes of the trial with this folder."""
    return {_NAME: folder.name}


def number_of(folder: Path) -> int:
    """Return the number that marks the processes of the trial with this folder."""
    # Here, because the child of a trial loads this file as well, and has no need of it.
    from hashlib import blake2b

    return _LEAST + int.from_bytes(blake2b(folder.name.encode(), digest_size=7).digest(), "big")


def bear(number: int) -> bool:
    """Mark this process, and whatever it starts from now on, with a number.

    Returns
    -------
    bool
        Whether it is marked: another system has no such limit, and one that was set lower stays.
    """
    if sys.platform != "linux":
        return False
    try:
        resource.setrlimit(_RLIMIT_LOCKS, (number, number))
    except (OSError, ValueError):
        return False
    return True


def end_marked(folder: Path) -> None:
    """Kill every process that carries a mark of this folder, and wait until they have gone.

    One that was given another environment is found by its limits. What has changed both is not found. It works on
    Linux from 5.3 on; elsewhere it does nothing.
    """
    if sys.platform == "linux":
        wanted = _wanted(folder)
        kill_all(lambda: _carrying(wanted))


def _wanted(folder: Path) -> _Marks:
    return f"{_NAME}={folder.name}".encode(), f" {number_of(folder)} ".encode()


def _carrying(wanted: _Marks) -> Iterator[tuple[int, Callable[[], bool]]]:
    own = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != own and _carries(int(name), wanted):
            yield int(name), partial(_carries, int(name), wanted)


def _carries(process_id: int, wanted: _Marks) -> bool:
    variable, limit = wanted
    if variable in _read(process_id, "environ").split(b"\0"):
        return True
    # What has ended keeps its limits, unlike its environment, until its parent asks for it.
    if limit not in _read(process_id, "limits"):
        return False
    stat = stat_of(process_id)
    return stat is not None and not stat.has_ended


def _read(process_id: int, name: str) -> bytes:
    try:
        with open(f"/proc/{process_id}/{name}", "rb") as told:
            return told.read()
    except OSError:
        # It has gone, or belongs to somebody else.
        return b""
