"""The folder of a trial: what its processes tell each other, for as long as it runs."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.trials.marking import end_marked

__all__ = ["sweep", "trial_folder"]

_PREFIX = "trial-"
_LOCK = "supervisor.lock"


@contextmanager
def trial_folder() -> Iterator[Path]:
    """Make a folder among the temporary ones, locked while this process lives, and remove it after the block."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name, Path(name, "new.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Under its name for all to see it is locked from the first.
        os.rename(lock.name, Path(name, _LOCK))
        try:
            yield Path(name)
        except OSError as problem:
            # A write that finds no room does not say where.
            problem.filename = problem.filename or name
            raise


def sweep() -> None:
    """End what is left of this user's trials whose supervisor was killed: nobody holds the locks of their folders.

    What such a trial had started is killed before its folder is removed. That is told by its mark alone: the
    number of a process may have gone to a stranger since.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            # The temporary folder is everybody's: to open a pipe that lies there would wait for ever.
            with open(path, opener=_open_at_once) as lock:
                status = os.fstat(lock.fileno())
                if stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    end_marked(path.parent)
                    shutil.rmtree(path.parent)
        except OSError:
            # It is held, or another run sweeps as well.
            continue


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
