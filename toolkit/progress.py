"""How far a run has come: a bar on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TypeAlias

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from toolkit.runner import Summary
from toolkit.store.encoding import visible
from toolkit.trials import Outcome, Trial

__all__ = ["showing", "working"]

Tell: TypeAlias = Callable[[Summary, Trial | None, Outcome | None], None]

_SECONDS_BETWEEN_LINES = 2.0


@contextmanager
def showing() -> Iterator[Tell]:
    """Yield what a run tells its progress to; what it shows goes to standard error."""
    console = Console(stderr=True)
    if console.is_terminal:
        yield from _bar(console)
    else:
        yield _Lines().tell


@contextmanager
def working(words: str) -> Iterator[None]:
    """Show on a terminal, as long as it takes, what is being done; elsewhere nothing."""
    with Console(stderr=True).status(words):
        yield


def _bar(console: Console) -> Iterator[Tell]:
    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("planning", total=None)

        def tell(summary: Summary, trial: Trial | None, outcome: Outcome | None) -> None:
            progress.update(task, total=summary.to_do, completed=summary.done)
            if trial is None or outcome is None:
                progress.console.print(escape(_opening(summary)))
                return
            # At once: by itself it is drawn some times a second, and the next trial may be over before that.
            progress.update(task, description=escape(describe(trial)), refresh=True)
            if outcome.status != "ok":
                progress.console.print(escape(_failure(summary, trial, outcome)))

        yield tell


class _Lines:
    """At most one line in two seconds, and one for each failure."""

    def __init__(self) -> None:
        self._began = self._spoke = monotonic()

    def tell(self, summary: Summary, trial: Trial | None, outcome: Outcome | None) -> None:
        now = monotonic()
        if trial is None or outcome is None:
            self._say(_opening(summary))
            self._began = now
        elif outcome.status != "ok":
            self._say(_failure(summary, trial, outcome))
        elif now - self._spoke >= _SECONDS_BETWEEN_LINES or summary.done == summary.to_do:
            left = (now - self._began) / summary.done * (summary.to_do - summary.done)
            self._say(f"[{summary.done}/{summary.to_do}] {describe(trial)}  ETA {left:.0f} s")

    def _say(self, line: str) -> None:
        self._spoke = monotonic()
        print(line, file=sys.stderr, flush=True)


def describe(trial: Trial) -> str:
    """Return a trial in one line, for people."""
    levels = " ".join(f"{name}={level}" for name, level in trial.factors.items())
    return visible(f"{trial.experiment} {levels} {trial.measure} #{trial.replicate}")


def _opening(summary: Summary) -> str:
    before = (
        f", {summary.finished_before:,} of {summary.planned:,} are finished"
        if summary.finished_before
        else ""
    )
    resumed = "" if summary.resumes is None else f"run {summary.resumes} was cut off and is resumed: "
    return f"{resumed}{summary.to_do:,} trials to run{before}"


def _failure(summary: Summary, trial: Trial, outcome: Outcome) -> str:
    # A traceback ends with what went wrong; every other message begins with it.
    which = -1 if outcome.status in ("error", "mem-error") else 0
    why = outcome.message.splitlines()[which] if outcome.message else ""
    what = "to be tried again" if summary.goes_on else "failed"
    return f"{what}: {describe(trial)}: {outcome.status} (exit code {outcome.exit_code}) {visible(why)}"
