"""What a trial is, and what comes of it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

Level: TypeAlias = bool | int | float | str
Measure: TypeAlias = Literal["resident", "traced", "timed", "ledger", "lines", "profiled"]
Status: TypeAlias = Literal[
    "ok",
    "error",
    "mem-error",
    "mem-limit",
    "exit",
    "bad-result",
    "timeout",
    "output-limit",
    "crash",
    "killed",
    "oom-kill",
    "worker-lost",
]

MEASURES: tuple[Measure, ...] = ("resident", "traced", "timed", "ledger", "lines", "profiled")


class ExecutorUnusable(Exception):
    """What was asked to run trials cannot; the message is one line (exit code 2)."""


class ExecutorLost(Exception):
    """The machines that ran trials are out of reach; the message is one line (exit code 69)."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of a workload at one combination of levels, to be done in a process of its own.

    Attributes
    ----------
    experiment : str
        The name of the experiment: that of its script without the ending.
    script : str
        The path of the script.
    factors, constants : mapping of str to bool, int, float or str
        The level of each factor; the values of the constants.
    measure : {"resident", "traced", "timed", "ledger", "lines", "profiled"}
        Which of the six kinds of figures it takes: each disturbs the others.
    replicate : int
        From 0.
    seed : int
        Of the random generator that the workload is given: the same in every replicate.
    deadline_seconds : float
        After which it is ended.
    code_digest : str
        SHA-256 of the code that runs in the trial, in hexadecimal.
    memory_limit_bytes : int or None
        Of resident memory, beyond which it is ended; None for what the machine that runs it can spare.
    """

    experiment: str
    script: str
    factors: Mapping[str, Level]
    constants: Mapping[str, Level]
    measure: Measure
    replicate: int
    seed: int
    deadline_seconds: float
    code_digest: str
    memory_limit_bytes: int | None = None

    @property
    def key(self) -> str:
        """What makes this trial another one than every other: SHA-256, in hexadecimal.

        Neither the path of the script nor the order of levels counts, nor which of them are factors: a profile
        may vary what another holds constant, and its cells are the same. Nor do the deadline and the memory
        limit: a trial that stays within them has the same figures under any other.
        """
        identity = [
            self.experiment,
            {**self.constants, **self.factors},
            self.measure,
            self.replicate,
            self.seed,
            self.code_digest,
        ]
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


class Trials(Protocol):
    """Trials to be gone through at will: a list, or what makes each of them anew."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __iter__(self) -> Iterator[Trial]:
        """Yield each of them."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a trial, also of one that failed.

    Attributes
    ----------
    status : str
        "ok", or how it failed.
    exit_code : int or None
        Of its process; the negated signal number where a signal ended it.
    message : str
        Why it failed, and the last of what it wrote.
    metrics : mapping of str to int or float
        By name; the unit ends the name.
    series : mapping of str to list of int or list of float
        Metrics over time; those of one probe have one length. A trial that failed has what was seen of it from
        outside: ``outside_rss_bytes`` at ``outside_seconds`` since its start.
    conditions : mapping of str to str, int, float or bool
        Under what the figures were taken: interpreter, gc thresholds, address randomisation, whether a probe
        is exact on this platform, the basis of the prediction.
    started_at : float
        Seconds since 1970.
    elapsed_seconds : float
        From start to end of its process.
    """

    status: Status
    exit_code: int | None
    message: str = ""
    metrics: Mapping[str, int | float] = field(default_factory=dict)
    series: Mapping[str, list[int] | list[float]] = field(default_factory=dict)
    conditions: Mapping[str, Level] = field(default_factory=dict)
    started_at: float
    elapsed_seconds: float
