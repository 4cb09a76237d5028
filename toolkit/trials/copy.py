"""The copy: the workload runs once more, in a copy of its process, so that traced totals can be told as well."""

import gc
import json
import os
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

from toolkit.probes import Probe
from toolkit.probes.traced import PROBE as Traced
from toolkit.trials.clearing import clear_caches, collect, unfreeze
from toolkit.trials.collecting import collecting
from toolkit.trials.lifeline import end_with

__all__ = ["traced_totals"]

#: More would not fit the pipe at once.
_REASON_CHARACTERS = 1000


def traced_totals(
    observed: Callable[[], object], probes: Sequence[Probe], gc_level: str
) -> tuple[dict[str, int], dict[str, str]]:
    """Run the workload in a copy of this process, where Python's objects are traced as well.

    tracemalloc keeps one peak, so array data alone and everything together take two runs. A copy starts both
    from the same state, down to the collector's counters.

    Returns
    -------
    dict of str to int
        The metrics, of the peak and of what is left in the end; empty where nothing is traced, where the platform
        cannot fork, and where the copy failed.
    dict of str to str
        The condition that tells why the copy failed. A workload that fails in its original too has no figures.
    """
    traced = next((probe for probe in probes if isinstance(probe, Traced)), None)
    if traced is None or not hasattr(os, "fork"):
        return {}, {}
    receiving, sending = os.pipe()
    original = os.getpid()
    process_id = os.fork()
    if process_id == 0:
        try:
            end_with(original)
            traced.everything = True
            os.write(sending, json.dumps(_run(observed, gc_level)).encode())
        finally:
            # The copy must not go on into what its original does after the fork.
            os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as pipe:
        told = pipe.read()
    _, status = os.waitpid(process_id, 0)
    answer: dict[str, Any] = json.loads(told) if told else {"failure": _ending(status)}
    if "failure" in answer:
        return {}, {"traced_total_failed": answer["failure"]}
    return {f"{moment}_traced_total_bytes": nbytes for moment, nbytes in answer.items()}, {}


def _run(observed: Callable[[], object], gc_level: str) -> dict[str, int | str]:
    try:
        with collecting(gc_level):
            held = observed()
            peak = tracemalloc.get_traced_memory()[1]
            del held
            collect()
            frozen = gc.get_freeze_count() > 0
        if frozen:
            unfreeze()
        clear_caches()
        left = tracemalloc.get_traced_memory()[0]
    except BaseException as problem:
        return {"failure": f"{type(problem).__name__}: {problem}"[:_REASON_CHARACTERS]}
    return {"peak": peak, "cleared": left}


def _ending(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code} before it had told"
