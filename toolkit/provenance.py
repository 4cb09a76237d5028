"""Who runs what where: what a run's figures depend on beside its trials."""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

from toolkit import __version__
from toolkit.trials.host import host_facts

__all__ = ["describe"]

_ROOT = Path(__file__).resolve().parents[1]


def describe() -> dict[str, Any]:
    """Return what this run's figures depend on, as JSON can hold it."""
    changes = _git("status", "--porcelain")
    return {
        "toolkit": __version__,
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": None if changes is None else bool(changes),
        "lock_sha256": _digest(_ROOT / "requirements.lock"),
        **host_facts(),
    }


def _git(*arguments: str) -> str | None:
    """Return what git answers; None where it does not, which is no sign of a clean folder."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(_ROOT), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
