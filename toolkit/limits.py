"""The memory that trials may take here: a grid that could not fit is refused before it starts."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from toolkit.experiment import LEAST_MEMORY_BYTES, Experiment
from toolkit.theory import predicted_peaks
from toolkit.trials import Trial, Trials
from toolkit.trials.capacity import mebibytes, spare_bytes
from toolkit.usage import UsageError

__all__ = ["Limited", "limited", "parse_size", "refuse_what_cannot_fit"]

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


@dataclass(frozen=True)
class Limited:
    """Trials with a limit that none of them has of itself.

    Attributes
    ----------
    trials : Trials
        As they were.
    asked_bytes : int or None
        What goes before the limits that they have; None for nothing.
    most_bytes : int or None
        What no limit is beyond, and what those have that have none; None for what the machine that runs them says.
    """

    trials: Trials
    asked_bytes: int | None
    most_bytes: int | None = None

    def __len__(self) -> int:
        return len(self.trials)

    def __iter__(self) -> Iterator[Trial]:
        for trial in self.trials:
            yield replace(trial, memory_limit_bytes=self._limit(trial))

    def _limit(self, trial: Trial) -> int | None:
        limits = (self.asked_bytes or trial.memory_limit_bytes, self.most_bytes)
        return min((limit for limit in limits if limit is not None), default=None)


def limited(trials: Trials, jobs: int, asked_bytes: int | None) -> Trials:
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
    return Limited(trials, asked_bytes, asked_bytes or spare // at_once)


def refuse_what_cannot_fit(experiments: Mapping[str, Experiment], trials: Trials, jobs: int) -> None:
    """Refuse a grid of which theory says that one of its trials would pass its limit.

    Raises
    ------
    UsageError
        With the arithmetic and what would be valid.
    """
    if not len(trials):
        return
    peaks = predicted_peaks(experiments, trials)
    most = max(peaks, key=lambda peak: peak[1] - _limit(peak[0]), default=None)
    largest, arrays = most or (next(iter(trials)), 0)
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
        f"{predicted if most else f'{mebibytes(needed)} a trial for its processes alone'}"
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


def _at_once(trials: Trials, jobs: int) -> int:
    # Timed trials run alone.
    memory = (trial for trial in trials if trial.measure != "timed")
    return max(1, sum(1 for _ in islice(memory, jobs)))


def _other_jobs(spare: int, needed: int) -> str:
    fitting = spare // needed
    return f"choose --jobs {fitting} or fewer" if fitting else "no number of jobs fits, choose smaller levels"
