"""Where and when trials ran, and how to run them again, as the store tells it."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from toolkit.report.units import text, unit_of
from toolkit.store import Row, Run

#: What a run's description tells for other purposes than to be read. Where hosts differ, trials tell of theirs.
_UNREAD = ("arguments", "boot_id", "host", "profile", "skipped_levels")
#: What is worth saying at the top of the report.
_LEADING = ("python", "numpy", "libc", "kernel", "cpu", "git_commit")
#: Variables that say where a machine keeps its files.
_PLACES = ("PATH", "TMPDIR", "SYSTEMROOT")
_COMMIT_CHARACTERS = 12
_NAMES = {"cpu": "CPU", "cpu_count": "CPUs", "git_commit": "commit", "git_dirty": "uncommitted changes"}


def leading(runs: Sequence[Run]) -> str:
    """Return the machine in a sentence, for the top of the report; empty where runs tell nothing."""
    told = [f"{name} {value}" for name, value in _described(runs, _LEADING)]
    return f"Where: {', '.join(told)}." if told else ""


def machine(runs: Sequence[Run]) -> tuple[tuple[str, str], ...]:
    """Return all that runs tell of where they ran; where they differ, what each tells."""
    names = dict.fromkeys(name for run in runs for name in run.description if name not in _UNREAD)
    return _described(runs, names)


def _described(runs: Sequence[Run], names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    rows = []
    for name in names:
        told = dict.fromkeys(_told(name, run.description.get(name, "")) for run in runs)
        told.pop("", None)
        if told:
            rows.append((_NAMES.get(name, name.removesuffix("_bytes").replace("_", " ")), "; ".join(told)))
    return tuple(rows)


def _told(name: str, value: Any) -> str:
    if value is None:
        return "unknown"
    if name == "git_commit":
        return str(value)[:_COMMIT_CHARACTERS]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={one}" for key, one in value.items() if key not in _PLACES)
    if isinstance(value, list):
        return ", ".join(_told(name, one) for one in value)
    if isinstance(value, int | float) and unit_of(name):
        return text(value, unit_of(name))
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)


def skipped(experiment: str, runs: Sequence[Run]) -> dict[str, str]:
    """Return the levels that runs of an experiment could not have, as "factor=level", each with the reason."""
    return {
        str(level): str(reason)
        for run in runs
        for name, levels in dict(run.description.get("skipped_levels", {})).items()
        if name == experiment
        for level, reason in dict(levels).items()
    }


def period(rows: Sequence[Row]) -> str:
    """Return from when to when trials ran, in UTC."""
    first, last = _minute(min(row.started_at for row in rows)), _minute(max(row.started_at for row in rows))
    return f"{first} UTC" if first == last else f"{first} to {last} UTC"


def _minute(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
    except (OverflowError, OSError, ValueError):
        return f"{seconds:g} s after 1970"


def commands(experiment: str, runs: Sequence[Run]) -> tuple[str, ...]:
    """Return what to type to run an experiment as these runs did, without repeating itself."""
    return tuple(dict.fromkeys(_command(experiment, run.description) for run in runs))


def _command(experiment: str, description: Mapping[str, Any]) -> str:
    told = [str(one) for one in description.get("arguments", ())]
    # A script outside of the folder has a path and no name.
    script = next(
        (one for one in told if one.endswith(".py") and PurePath(one).stem == experiment), experiment
    )
    words = ["toolkit", "run", script]
    if profile := description.get("profile"):
        words += ["--profile", str(profile)]
    arguments = iter(told)
    for word in arguments:
        option, equals, _ = word.partition("=")
        if option in ("--set", "--replicates"):
            words += [word] if equals else [word, next(arguments, "")]
    return shlex.join(words)
