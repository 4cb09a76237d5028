"""What is wrong with what was asked for, in one line that says what would be right."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["UsageError", "meant", "reason_of"]


class UsageError(Exception):
    """What was asked for cannot be; the message is one line that names what is valid."""


def meant(word: object, known: Iterable[object]) -> str:
    """Return the known word that comes near, as a question to put after the one that is not known."""
    near = get_close_matches(str(word), [str(one) for one in known], n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def reason_of(problem: BaseException) -> str:
    """Return what somebody's code raised, in one line."""
    return f"{type(problem).__name__}: {problem}".splitlines()[0]
