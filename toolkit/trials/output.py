"""What a trial writes: read through a pipe as it comes, so that nothing of it ever lies on the disk."""

import fcntl
import os
from contextlib import suppress
from types import TracebackType

__all__ = ["OUTPUT_LIMIT_BYTES", "TAIL_BYTES", "Output"]

#: More than this from one trial is a mistake, and would fill disks.
OUTPUT_LIMIT_BYTES = 10 << 20
#: How much of the end is kept.
TAIL_BYTES = 4096

#: Room for what a trial writes between two looks: one that does not write more does not wait for its reader.
_PIPE_BYTES = 1 << 20


class Output:
    """The standard output and standard error of one trial; a context manager.

    It is emptied when it is asked to be, and never waited for: a process that the trial left behind may hold the
    other end open for ever.

    Attributes
    ----------
    writer : int
        The descriptor for the process of the trial.
    count : int
        How many bytes have come so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._tail = b""

    def __enter__(self) -> "Output":
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            # Where this user has no room left for pipes, 64 KiB must do.
            with suppress(OSError):
                fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_writer()
        os.close(self._reader)

    def close_writer(self) -> None:
        """Close the end that only the trial is to hold."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def read(self) -> None:
        """Take in what has come since, up to the limit and one pipe more."""
        while self.count <= OUTPUT_LIMIT_BYTES:
            try:
                read = os.read(self._reader, _PIPE_BYTES)
            except BlockingIOError:
                return
            if not read:
                return
            self.count += len(read)
            self._tail = (self._tail + read)[-TAIL_BYTES:]

    @property
    def is_too_much(self) -> bool:
        """Whether the limit is passed."""
        return self.count > OUTPUT_LIMIT_BYTES

    @property
    def tail(self) -> str:
        """The end of what has been read, as far as it is text."""
        return self._tail.decode("utf-8", errors="replace").strip()
