"""Ctrl-C while a command is still being loaded, which is most of what a short one does: it ends in silence.

Importing this sees to it, and so it is imported before all else.
"""

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

__all__ = ["INTERRUPTED", "leave"]

#: The exit code of what Ctrl-C, SIGTERM or SIGHUP has ended.
INTERRUPTED = 130


def leave(*_: object) -> NoReturn:
    """End the command at once, as a handler of signals: nothing needs to be put away yet."""
    os._exit(INTERRUPTED)


if (
    # `python -m toolkit`, or the script that pip makes; whoever imports the toolkit has Python's own way.
    (sys.argv[:1] == ["-m"] and "toolkit" in sys.orig_argv) or Path(*sys.argv[:1]).name == "toolkit"
) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, leave)
