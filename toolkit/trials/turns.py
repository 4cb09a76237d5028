"""Turns: runs that share a host measure after one another, as they would measure each other otherwise."""

import fcntl
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

__all__ = ["Ended", "turn"]

#: Not the temporary folder, which clusters give every job anew: all runs of a user on a host have to meet here.
#: Where even this one is a job's own, a variable names another.
_PLACE = Path(os.environ.get("TOOLKIT_TURNS") or "/tmp")
_LOOK_SECONDS = 0.01
_SILENT_SECONDS = 5.0


class Ended(Exception):
    """Nobody wants the turn any more."""


@contextmanager
def turn(slots: int | None, ended: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Wait for a turn among all runs of this user on this host, and have it for the block.

    The locks are the operating system's, which frees them however a run ends.

    Parameters
    ----------
    slots : int or None
        None: alone. Otherwise beside at most `slots` - 1 others of those that do not ask to be alone either.
    ended : callable
        Asked while it waits.

    Raises
    ------
    Ended
        When `ended` says so before the turn has come.
    OSError
        When the locks of this user lie in the hands of another.
    """
    folder = _folder()
    with ExitStack() as held:
        # Whoever waits to be alone holds the door: those who come later cannot overtake without end.
        with _locked([folder / "door"], fcntl.LOCK_EX, ended):
            held.enter_context(
                _locked([folder / "host"], fcntl.LOCK_EX if slots is None else fcntl.LOCK_SH, ended)
            )
        if slots is not None:
            places = [folder / f"slot{number}" for number in range(slots)]
            held.enter_context(_locked(places, fcntl.LOCK_EX, ended))
        yield


def _folder() -> Path:
    folder = _PLACE / f"toolkit-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(
            0, "belongs to somebody else, and the locks of this user have to lie there", folder
        )
    return folder


@contextmanager
def _locked(paths: list[Path], mode: int, ended: Callable[[], bool]) -> Iterator[None]:
    """Hold one of the files."""
    began, told = time.monotonic(), False
    with ExitStack() as opened:
        files = [opened.enter_context(path.open("a")) for path in paths]
        while not any(_try(file.fileno(), mode) for file in files):
            if ended():
                raise Ended
            if not told and time.monotonic() - began > _SILENT_SECONDS:
                told = True
                warnings.warn("another run measures on this host: waiting for its trials", stacklevel=2)
            # Not within the call: a thread that waits in there can be neither told nor interrupted.
            time.sleep(_LOOK_SECONDS)
        yield


def _try(descriptor: int, mode: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        return True
    return False
