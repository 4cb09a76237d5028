"""The factor `malloc`: which allocator serves a trial, and whether this machine has it."""

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

__all__ = ["MALLOC_LEVELS", "Allocator", "malloc_variables", "obstacle_to_malloc"]


@dataclass(frozen=True, kw_only=True)
class Allocator:
    """What a level asks for.

    Attributes
    ----------
    variables : mapping of str to str
        That glibc's malloc (mallopt(3)) or Python reads.
    library : str
        That takes the place of glibc's malloc, as the linker names it; empty for none.
    package : str
        Of Debian, which brings the library.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    library: str = ""
    package: str = ""


#: The levels of the factor.
MALLOC_LEVELS = {
    # Left to itself glibc raises its mmap threshold when a large block is freed, and later arrays come from a
    # heap that it keeps: the resident set then depends on history. A threshold that is set stays as it is.
    # The other two keep the free top of the heap too small for an array of 64 KiB, which would be put there.
    "fixed": Allocator(
        variables={
            "MALLOC_MMAP_THRESHOLD_": "65536",
            "MALLOC_TRIM_THRESHOLD_": "32768",
            "MALLOC_TOP_PAD_": "4096",
        }
    ),
    "default": Allocator(),
    # The largest mmap threshold that glibc takes; the heap grows in large steps and is never given back.
    "heap": Allocator(
        variables={
            "MALLOC_MMAP_THRESHOLD_": "33554432",
            "MALLOC_TRIM_THRESHOLD_": "4000000000",
            "MALLOC_TOP_PAD_": "268435456",
        }
    ),
    "python": Allocator(variables={"PYTHONMALLOC": "malloc"}),
    "jemalloc": Allocator(library="jemalloc", package="libjemalloc2"),
    "mimalloc": Allocator(library="mimalloc", package="libmimalloc2.0"),
    "tcmalloc": Allocator(library="tcmalloc_minimal", package="libtcmalloc-minimal4"),
}

#: Where libraries are when the linker's cache does not tell.
_FOLDERS = (
    f"/usr/lib/{platform.machine()}-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib64",
    "/usr/local/lib",
)


def malloc_variables(level: str) -> dict[str, str]:
    """Return the environment variables by which a trial gets the allocator of a level.

    Raises
    ------
    FileNotFoundError
        When its library is not here.
    """
    allocator = MALLOC_LEVELS[level]
    if not allocator.library:
        return dict(allocator.variables)
    found = _found(allocator.library)
    if not found:
        raise FileNotFoundError(obstacle_to_malloc(level))
    return {**allocator.variables, "LD_PRELOAD": found}


def obstacle_to_malloc(level: str) -> str:
    """Return why no trial can have this level here, and what would change that; nothing if one can."""
    allocator = MALLOC_LEVELS[level]
    if not allocator.library or _found(allocator.library):
        return ""
    if sys.platform != "linux":
        return "only Linux can put it in the place of malloc (LD_PRELOAD)"
    return f"no lib{allocator.library}.so here; Debian's package {allocator.package} brings it"


@cache
def _found(library: str) -> str:
    """Return what LD_PRELOAD takes for a library; nothing where there is none."""
    if sys.platform != "linux":
        return ""
    # Here, as it loads much: a trial is told its allocator, and looks for none.
    import ctypes.util

    if known := ctypes.util.find_library(library):
        return known
    paths = (path for folder in _FOLDERS for path in sorted(Path(folder).glob(f"lib{library}.so*")))
    return str(next(paths, ""))
