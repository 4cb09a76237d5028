"""A folder of files, written as a whole or not at all."""

from collections.abc import Mapping
from pathlib import Path

from toolkit.store import StoreUnwritable
from toolkit.store.workshop import replace_folder, workshop


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
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
        with workshop(folder.parent) as place:
            new = place / "new"
            for path, contents in files.items():
                target = new / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(contents)
            replace_folder(new, folder, place)
    except OSError as error:
        raise StoreUnwritable(f"{folder}: {error.strerror or error}") from error
