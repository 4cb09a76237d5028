"""The memory that trials may take here: a grid that could not fit is refused before it starts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from toolkit.experiment import LEAST_MEMORY_BYTES, Experiment
from toolkit.planning import UsageError
from toolkit.theory import predicted_peaks
from toolkit.trials import Trial
from toolkit.trials.capacity import mebibytes, spare_bytes

__all__ = ["limited", "parse_size", "refuse_what_cannot_fit"]

_SIZES = {"": 1} | {
    f"{letter}{ending}": base**power
    for power, letter in enumerate("KMGT", start=1)
    for ending, base in (("iB", 1024), ("B", 1000))
}


def parse_size(text: str) -> int:
    """Return the bytes that ``2GiB``, ``1.5GB`` or ``268435456`` stand for.

    Raises
    ------
    UsageError
        When it does not have that form, or no trial could run within it.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B|)", text, re.ASCII)
    if found is None:
        raise UsageError(f"--memory-limit takes a size such as 2GiB, 500MB or 268435456, not {text!r}")
    size = int(float(found[1]) * _SIZES[found[2]]) if "." in found[1] else int(found[1]) * _SIZES[found[2]]
    if size < LEAST_MEMORY_BYTES:
        raise UsageError(
            f"--memory-limit {text} is less than the {mebibytes(LEAST_MEMORY_BYTES)} that a trial takes before "
            "it begins"
        )
    return size


def limited(trials: Sequence[Trial], jobs: int, asked_bytes: int | None) -> list[Trial]:
    """Return the trials, each with the memory limit that holds for it on this machine.

    That is what is asked for, or what the experiment declares; where neither says anything, and never beyond it,
    what the machine can spare for each of the trials that run at once.

    Raises
    ------
    UsageError
        When that many trials with the limit that is asked for could take more than the machine can spare.
    """
    at_once, spare = _at_once(trials, jobs), spare_bytes()
    if asked_bytes is not None and asked_bytes * at_once > spare:
        raise UsageError(
            f"{at_once} trials at once × {mebibytes(asked_bytes)} is {mebibytes(asked_bytes * at_once)}, and this "
            f"machine can spare {mebibytes(spare)}: {_other_jobs(spare, asked_bytes)}, or give a smaller "
            "--memory-limit"
        )
    share = asked_bytes or spare // at_once
    return [
        replace(trial, memory_limit_bytes=min(asked_bytes or trial.memory_limit_bytes or share, share))
        for trial in trials
    ]


def refuse_what_cannot_fit(experiments: Mapping[str, Experiment], trials: Sequence[Trial], jobs: int) -> None:
    """Refuse a grid of which theory says that one of its trials would pass its limit.

    Raises
    ------
    UsageError
        With the arithmetic and what would be valid.
    """
    if not trials:
        return
    peaks = list(predicted_peaks(experiments, trials))
    largest, arrays = max(peaks, key=lambda peak: peak[1] - _limit(peak[0]), default=(trials[0], 0))
    limit, needed = _limit(largest), LEAST_MEMORY_BYTES + arrays
    if needed <= limit:
        return
    levels = " ".join(f"{name}={level}" for name, level in largest.factors.items())
    predicted = (
        f"{mebibytes(arrays)} of arrays, as predicted, and {mebibytes(LEAST_MEMORY_BYTES)} for its processes is "
        f"{mebibytes(needed)} a trial"
    )
    # Where theory says nothing, there is no word of arrays.
    sum_of_one = (
        f"{largest.experiment} {levels}: "
        f"{predicted if peaks else f'{mebibytes(needed)} a trial for its processes alone'}"
    )
    at_once, spare = _at_once(trials, jobs), spare_bytes()
    if needed * at_once > spare:
        raise UsageError(
            f"{sum_of_one}, × {at_once} at once is {mebibytes(needed * at_once)}, and this machine can spare "
            f"{mebibytes(spare)}: {_other_jobs(spare, needed)}"
        )
    raise UsageError(
        f"{sum_of_one}, above its limit of {mebibytes(limit)}: choose smaller levels, or allow as much with "
        f"--memory-limit {-(-needed // 2**20)}MiB"
    )


def _limit(trial: Trial) -> int:
    return trial.memory_limit_bytes or 0


def _at_once(trials: Sequence[Trial], jobs: int) -> int:
    # Timed trials run alone.
    return max(1, min(jobs, sum(trial.measure != "timed" for trial in trials)))


def _other_jobs(spare: int, needed: int) -> str:
    fitting = spare // needed
    return f"choose --jobs {fitting} or fewer" if fitting else "no number of jobs fits, choose smaller levels"
