"""The judgement: what came of a trial, from how it ended, what it handed back and what it wrote."""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.trials import Status
from toolkit.trials.capacity import mebibytes
from toolkit.trials.output import OUTPUT_LIMIT_BYTES, TAIL_BYTES
from toolkit.trials.result import BadResult, read_result
from toolkit.trials.watching import WatchEnd

__all__ = ["Ending", "judge", "kernel_kills"]

#: A result that could not be written leaves less room than this.
_ROOM_BYTES = 64 << 10


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a trial ended, as its supervisor saw it.

    Attributes
    ----------
    watch_end : str
        What ended the watch.
    exit_code : int
        Of its process; the negated signal number where a signal ended it.
    deadline_seconds : float
        How long it had.
    resident_bytes : int
        The largest resident set that the watch saw.
    memory_limit_bytes : int
        What it was to stay below.
    out_of_memory : bool
        Whether the kernel has killed some process of this machine for its memory meanwhile.
    said : str
        The end of what it wrote.
    """

    watch_end: WatchEnd
    exit_code: int
    deadline_seconds: float
    resident_bytes: int
    memory_limit_bytes: int
    out_of_memory: bool
    said: str


def judge(ending: Ending, result: Path) -> tuple[Status, str, dict[str, Any]]:
    """Return the status of a trial, a message whose first line says why, and the result of one that ended well.

    Raises
    ------
    OSError
        When there is no result, and no room for one either: that is the disk's fault, and not the trial's.
    """
    status, why, content = _judged(ending, result)
    if status in ("ok", "error", "mem-error"):
        return status, why, content
    return status, f"{why}\n{ending.said}".strip(), {}


def kernel_kills() -> int:
    """Return how many processes the kernel has killed for want of memory so far; 0 where it does not tell."""
    try:
        counts = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    except OSError:
        return 0
    return int(counts.get("oom_kill", 0))


def _judged(ending: Ending, result: Path) -> tuple[Status, str, dict[str, Any]]:
    resident = mebibytes(ending.resident_bytes)
    match ending.watch_end:
        case "timeout":
            return (
                "timeout",
                f"ended at its deadline of {ending.deadline_seconds:g} s, with up to {resident} resident",
                {},
            )
        case "mem-limit":
            limit = mebibytes(ending.memory_limit_bytes)
            return "mem-limit", f"ended with {resident} resident, above its limit of {limit}", {}
        case "output-limit":
            limit = mebibytes(OUTPUT_LIMIT_BYTES)
            return "output-limit", f"ended after it had written more than {limit}", {}
        case "ended":
            return _of_its_own(ending, result)


def _of_its_own(ending: Ending, result: Path) -> tuple[Status, str, dict[str, Any]]:
    if ending.exit_code == -signal.SIGKILL:
        by_kernel = ending.out_of_memory
        who = "by the kernel, probably for want of memory" if by_kernel else "from outside"
        resident = mebibytes(ending.resident_bytes)
        why = f"ended by SIGKILL {who}, with up to {resident} resident"
        return ("oom-kill" if by_kernel else "killed"), why, {}
    if ending.exit_code < 0:
        return "crash", f"ended by {_signal_name(-ending.exit_code)}", {}
    try:
        content = read_result(result)
    except BadResult as problem:
        _fill(result.with_name("room"))
        return ("bad-result" if ending.exit_code == 0 else "exit"), str(problem), {}
    if "failure" in content:
        failed_as: Status = "mem-error" if content["failure"] == "MemoryError" else "error"
        return failed_as, content["message"][-TAIL_BYTES:], {}
    if ending.exit_code > 0:
        return "exit", f"ended with exit code {ending.exit_code} after its result", {}
    return "ok", "", content


def _fill(path: Path) -> None:
    # A trial may have taken the folder away.
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(_ROOM_BYTES))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        # Real-time signals but the first and the last have no name.
        return f"signal {number}"
