"""Who runs what where: what a run's figures depend on beside its trials."""

import gc
import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from toolkit import __version__
from toolkit.trials.environment import can_fix_addresses, variables

__all__ = ["MUST_AGREE", "OF_THE_INTERPRETER", "describe"]

#: Figures of runs that differ in one of these are not compared unless it is asked for.
MUST_AGREE = ("python", "numpy", "libc", "kernel", "cpu", "page_bytes", "transparent_hugepages", "machine")

#: Those of them that say nothing of a trial whose levels name an interpreter.
OF_THE_INTERPRETER = ("python", "numpy")

_ROOT = Path(__file__).resolve().parents[1]


def describe() -> dict[str, Any]:
    """Return what this run's figures depend on, as JSON can hold it."""
    changes = _git("status", "--porcelain")
    return {
        "toolkit": __version__,
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": None if changes is None else bool(changes),
        "lock_sha256": _digest(_ROOT / "requirements.lock"),
        "python": platform.python_version(),
        "python_build": f"{platform.python_implementation()} {' '.join(platform.python_build())}",
        "gc_thresholds": list(gc.get_threshold()),
        "numpy": np.__version__,
        "psutil": psutil.__version__,
        "libc": " ".join(platform.libc_ver()).strip(),
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cpu_count": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "swap_bytes": psutil.swap_memory().total,
        "page_bytes": os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096,
        "transparent_hugepages": _read(Path("/sys/kernel/mm/transparent_hugepage/enabled")),
        "governor": _read(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else [],
        "boot_id": _read(Path("/proc/sys/kernel/random/boot_id")),
        "fixed_addresses": can_fix_addresses(),
        "memory_environment": variables("resident", {}),
        "timed_environment": variables("timed", {}),
        "platform": sys.platform,
    }


def _git(*arguments: str) -> str | None:
    """Return what git answers; None where it does not, which is no sign of a clean folder."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(_ROOT), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _cpu() -> str:
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
