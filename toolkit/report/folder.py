"""A folder that is replaced as a whole or not at all."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from toolkit.store import StoreUnwritable


def replace_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a new folder and put it in the place of `folder`.

    Parameters
    ----------
    folder : path
        Replaced with all that it holds, if it is there; the folder above it is made if need be.
    files : mapping of str to bytes
        Contents by path, relative to `folder`, with slashes.

    Raises
    ------
    StoreUnwritable
        When the disk is full or may not be written to. What was there before stays as it was.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # In the same place, because a folder can only be moved at one stroke within a file system.
        with tempfile.TemporaryDirectory(prefix=".report-", dir=folder.parent) as workshop:
            new, old = Path(workshop, "new"), Path(workshop, "old")
            for path, contents in files.items():
                target = new / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(contents)
            _exchange(new, folder, old)
    except OSError as error:
        raise StoreUnwritable(f"{folder}: {error.strerror or error}") from error


def _exchange(new: Path, folder: Path, old: Path) -> None:
    if folder.is_symlink() or folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
