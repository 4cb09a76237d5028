"""The pages of program files, resident before the baseline.

A page of a library is read into the process when its code first runs. That moves the resident set by what the
workload happens to call first, not by what it holds.
"""

import ctypes
import sys
from pathlib import Path

_MADV_POPULATE_READ = 22  # linux/mman.h, since Linux 5.14


def populate_libraries() -> bool:
    """Make every page of the files that are mapped into this process resident (madvise(2), MADV_POPULATE_READ).

    Returns
    -------
    bool
        False where the platform cannot: the resident set may then grow by pages of code during the trial.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    done = True
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        # address range, permissions, offset, device, inode, path
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith("/") and fields[1].startswith("r"):
            start, end = (int(address, 16) for address in fields[0].split("-"))
            done &= libc.madvise(start, end - start, _MADV_POPULATE_READ) == 0
    return done
