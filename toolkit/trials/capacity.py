"""The memory that this machine can spare: of the machine, and of the control groups that this process is in."""

from collections.abc import Iterator
from pathlib import Path

import psutil

__all__ = ["available_bytes", "mebibytes", "spare_bytes"]

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
#: Of ten parts that are available, trials may take nine: the rest of the machine is to go on.
_PARTS, _OF = 9, 10


def spare_bytes() -> int:
    """Return how much memory trials may take in all: nine tenths of what is available now."""
    return available_bytes() * _PARTS // _OF


def available_bytes(groups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> int:
    """Return how much memory can be taken now without pushing anything out: what the tightest limit leaves.

    Parameters
    ----------
    groups, membership : path
        Where control groups are mounted, and what tells to which of them this process belongs.
    """
    return max(0, min([psutil.virtual_memory().available, *_left_in_groups(groups, membership)]))


def mebibytes(count: int) -> str:
    """Return bytes for people, as limits are told: in MiB, and from 10,000 MiB on in GiB."""
    return f"{count / 2**20:,.1f} MiB" if count < 10_000 * 2**20 else f"{count / 2**30:,.1f} GiB"


def _left_in_groups(groups: Path, membership: Path) -> Iterator[int]:
    """Yield what each limit on a control group leaves, from the group of this process up to the root.

    Linux, Documentation/admin-guide/cgroup-v2.rst (memory.max, memory.current) and cgroup-v1/memory.rst
    (memory.limit_in_bytes, memory.usage_in_bytes). Pages of files that nobody uses count as free in both.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            root, limit_name, usage_name, reclaimable = (
                groups,
                "memory.max",
                "memory.current",
                "inactive_file",
            )
        elif "memory" in controllers.split(","):
            root, limit_name = groups / "memory", "memory.limit_in_bytes"
            usage_name, reclaimable = "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        # Inside a container the group may be mounted as the root, and its path tell of the host.
        inside = root / path.lstrip("/")
        for folder in (inside, *inside.parents):
            if folder == root.parent:
                break
            left = _left_in(folder, limit_name, usage_name, reclaimable)
            if left is not None:
                yield left


def _left_in(folder: Path, limit_name: str, usage_name: str, reclaimable: str) -> int | None:
    try:
        limit = int((folder / limit_name).read_text())
        usage = int((folder / usage_name).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        # There is no such file, or it says "max".
        return None
    return limit - usage + int(stat.get(reclaimable, 0))
