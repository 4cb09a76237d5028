"""The factor `gc`: how the collector works during a trial."""

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["GC_LEVELS", "Policy", "collecting", "policy_of"]

#: The forms of the levels, with what each means. N and K are whole numbers from 1. An epoch is one whole pass
#: through `trial.steps`: a workload that takes no steps has none, and one that takes them twice has two.
GC_LEVELS = {
    "default": "as Python sets it",
    "off": "switched off during the workload",
    "frozen": "as Python sets it, with all that is alive at the start left out of every collection (gc.freeze)",
    "manual": "switched off; one full collection at the end of each epoch, after its last step",
    "threshold=N": "as Python sets it, but the youngest generation is collected above N objects",
    "every=K": "switched off; one full collection at the end of every K-th step",
}

_LARGEST = 2**31 - 1  # gc.set_threshold takes an int of C
_NUMBERED = re.compile(r"(threshold|every)=([1-9][0-9]*)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a level asks for.

    Attributes
    ----------
    automatic : bool
        Whether Python runs the collector by itself.
    frozen : bool
        Whether what is alive at the start is left out.
    threshold : int or None
        Of the youngest generation; None leaves Python's.
    every : int or None
        After how many steps a full collection follows; None for never.
    at_epoch_end : bool
        Whether a full collection follows the last step.
    """

    automatic: bool = True
    frozen: bool = False
    threshold: int | None = None
    every: int | None = None
    at_epoch_end: bool = False

    def end_step(self, step: int, steps: int) -> None:
        """Collect if it is time, after `step` of an epoch of so many `steps`."""
        if (self.every and (step + 1) % self.every == 0) or (self.at_epoch_end and step + 1 == steps):
            gc.collect()


_NAMED = {
    "default": Policy(),
    "off": Policy(automatic=False),
    "frozen": Policy(frozen=True),
    "manual": Policy(automatic=False, at_epoch_end=True),
}


def policy_of(level: object) -> Policy:
    """Return what a level of the factor asks for.

    Raises
    ------
    ValueError
        When it is none; the message names the forms.
    """
    if isinstance(level, str):
        if level in _NAMED:
            return _NAMED[level]
        numbered = _NUMBERED.fullmatch(level)
        if numbered and int(numbered[2]) <= _LARGEST:
            number = int(numbered[2])
            return (
                Policy(threshold=number)
                if numbered[1] == "threshold"
                else Policy(automatic=False, every=number)
            )
    raise ValueError(
        f"gc has no level {level!r}; its levels are {', '.join(GC_LEVELS)}, N and K whole numbers from 1"
    )


@contextmanager
def collecting(level: str) -> Iterator[None]:
    """Set the collector for the block as `level` says; what was set before comes back, also on errors.

    Collections between steps are left to whoever takes the steps: see `Policy.end_step`.
    """
    policy = policy_of(level)
    enabled, thresholds = gc.isenabled(), gc.get_threshold()
    (gc.enable if policy.automatic else gc.disable)()
    if policy.threshold is not None:
        gc.set_threshold(policy.threshold, *thresholds[1:])
    if policy.frozen:
        gc.freeze()
    try:
        yield
    finally:
        if policy.frozen:
            gc.unfreeze()
        (gc.enable if enabled else gc.disable)()
        gc.set_threshold(*thresholds)
