"""A place to make a file or a folder in, until it takes the place of an earlier one: at one stroke or not at all.

A command that is killed leaves its workshop behind. The next one removes it, and puts back what had already been
taken from its place.
"""

import ctypes
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

__all__ = ["replace_folder", "tidy", "workshop"]

_PREFIX = ".unfinished-"
#: Where a folder lies that has been taken from its place, under its own name.
_TAKEN = "taken"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
#: What a file system, a kernel or a sandbox answers that does not exchange.
_NO_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP)


@contextmanager
def workshop(folder: Path) -> Iterator[Path]:
    """Make a folder within `folder`, and remove it after the block; remove those of commands that were killed.

    In the same place, because only within a file system can anything be moved at one stroke.

    Raises
    ------
    OSError
        When `folder` is missing, full or may not be written to.
    """
    tidy(folder)
    with ExitStack() as held:
        path = _made(folder, held)
        try:
            yield path
        finally:
            _close(path)


def tidy(folder: Path) -> None:
    """Remove the workshops in `folder` whose commands were killed, and put back what they had taken.

    What cannot be removed stays: whoever needs the folder will find out.
    """
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError), _locked(path):
            _close(path)


def replace_folder(new: Path, folder: Path, within: Path) -> None:
    """Put a new folder in the place of `folder`; what was there, if anything, is in the workshop `within` then.

    A process that is killed leaves the one or the other in its place. Where the file system cannot exchange two
    folders, there may be neither for a moment, and `tidy` puts the earlier one back.
    """
    if not os.path.lexists(folder):
        new.rename(folder)
        return
    if _exchange(new, folder):
        return
    (within / _TAKEN).mkdir()
    try:
        folder.rename(within / _TAKEN / folder.name)
        new.rename(folder)
    except BaseException:
        _put_back(within)
        raise


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change places at one stroke; return whether it was possible here."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # glibc from 2.28 on
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), os.fspath(other))


def _made(folder: Path, held: ExitStack) -> Path:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
        # Where a network file system locks no folders, leftovers are left to people.
        with suppress(OSError):
            held.enter_context(_locked(path))
        # Another command may have tidied up before it was locked.
        if path.exists():
            return path


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a workshop; the operating system lets go of it however this process ends."""
    if os.name != "posix":
        raise OSError(errno.ENOSYS, "no locks of folders here")
    import fcntl

    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(lock).st_uid != os.getuid():
            raise PermissionError(errno.EPERM, "belongs to somebody else", os.fspath(path))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


def _close(path: Path) -> None:
    _put_back(path)
    shutil.rmtree(path)


def _put_back(path: Path) -> None:
    with suppress(FileNotFoundError):
        for taken in (path / _TAKEN).iterdir():
            place = path.parent / taken.name
            if not os.path.lexists(place):
                taken.rename(place)
