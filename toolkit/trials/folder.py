"""The folder of a trial: what its processes tell each other, for as long as it runs."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.trials.descendants import Descendants
from toolkit.trials.marking import end_marked

__all__ = ["note_of", "sweep", "trial_folder"]

_PREFIX = "toolkit-trial-"


@contextmanager
def trial_folder() -> Iterator[Path]:
    """Make a folder among the temporary ones, locked while this process lives, and remove it after the block."""
    path, lock = _made()
    try:
        yield path
    except OSError as problem:
        # A write that finds no room does not say where.
        problem.filename = problem.filename or os.fspath(path)
        raise
    finally:
        _remove(path)
        os.close(lock)


def note_of(path: Path) -> Path:
    """Return the file in a trial's folder that tells of the descendants that were seen."""
    return path / "descendants"


def sweep() -> None:
    """End what is left of this user's trials whose supervisor was killed: nobody holds the locks of their folders.

    What such a trial had started is killed before its folder is removed. That is told by its marks, or, of what was
    seen of it, by its number together with the moment of its start: the number alone may have gone to a stranger.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # It is held, or another run sweeps as well.
        with suppress(OSError):
            lock = _open(path)
            try:
                if os.fstat(lock).st_uid == os.getuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    end_marked(path)
                    Descendants.noted(note_of(path)).end()
                    _remove(path)
            finally:
                os.close(lock)


def _made() -> tuple[Path, int]:
    # The folder itself is what is locked: a file in it would be gone before the folder is, and a supervisor that is
    # killed between the two would leave what nobody sweeps.
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        with suppress(FileNotFoundError):
            lock = _open(path)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return path, lock
            os.close(lock)
        # Another run swept it before it was locked.


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _remove(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except (OSError, RecursionError):
        # Folders nested deeper than this interpreter can follow, or files that came while it removed.
        subprocess.run(
            ["rm", "-rf", "--", path], check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
