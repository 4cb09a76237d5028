"""The host: what the figures of a trial depend on beside its levels and its code."""

import gc
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from toolkit.trials.environment import can_fix_addresses, variables

__all__ = ["MUST_AGREE", "OF_THE_INTERPRETER", "host_facts", "host_name"]

#: Figures of hosts that differ in one of these are not compared unless it is asked for.
MUST_AGREE = ("python", "numpy", "libc", "kernel", "cpu", "page_bytes", "transparent_hugepages", "machine")
#: Those that say nothing of a trial whose levels name an interpreter.
OF_THE_INTERPRETER = ("python", "numpy")


def host_name() -> str:
    """Return how this host calls itself."""
    return platform.node() or "unnamed host"


def host_facts() -> dict[str, Any]:
    """Return what figures taken by this interpreter on this host depend on, as JSON can hold it."""
    return {
        "host": host_name(),
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
