"""The descendants of a trial: seen while it runs, so that they can be ended also where they bear no mark."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

from toolkit.trials.killing import kill_all, stat_of

__all__ = ["Descendants"]


class Descendants:
    """The processes that were seen to descend from one, each by its number and when it started.

    One that has left its parent and its session, and shed every mark, cannot be told any more from a process of
    somebody else, but for having been seen before. It works on Linux; elsewhere nothing is found.

    Parameters
    ----------
    note : path, optional
        A file that is told of each that is seen, for whoever ends them in place of a supervisor that was killed.
    """

    def __init__(self, note: Path | None = None) -> None:
        self._seen: set[tuple[int, str]] = set()
        self._note = note

    @classmethod
    def noted(cls, note: Path) -> "Descendants":
        """Return those that a file tells of; nothing of one that is of an earlier start of the machine."""
        told = cls()
        with suppress(OSError, ValueError):
            for line in note.read_text(encoding="ascii").splitlines():
                boot, process_id, started = line.split(" ")
                if boot == _boot():
                    told._seen.add((int(process_id), started))
        return told

    def add(self, process_id: int) -> None:
        """Remember a process as one that was seen."""
        if stat := stat_of(process_id):
            self._remember(process_id, stat.started)

    def _remember(self, process_id: int, started: str) -> None:
        if (process_id, started) in self._seen:
            return
        self._seen.add((process_id, started))
        # Without room for it there is less to go by.
        if self._note is not None:
            with suppress(OSError), self._note.open("a", encoding="ascii") as note:
                note.write(f"{_boot()} {process_id} {started}\n")

    def look(self, process_id: int) -> Iterator[int]:
        """Yield the number of each descendant that a process has now, and remember it."""
        # Documentation/filesystems/proc.rst, 3.7: the children that each thread has started. It takes some 20 us,
        # where to look through all processes takes milliseconds.
        try:
            threads = os.listdir(f"/proc/{process_id}/task")
        except OSError:
            return
        for thread in threads:
            try:
                with open(f"/proc/{process_id}/task/{thread}/children", encoding="ascii") as told:
                    children = told.read().split()
            except OSError:
                continue
            for child in map(int, children):
                stat = stat_of(child)
                # It may have ended meanwhile, and its number have come to mean another one.
                if stat and stat.parent == process_id:
                    self._remember(child, stat.started)
                    yield child
                    yield from self.look(child)

    def end(self) -> None:
        """Kill those that were seen, with what has come of them since, and wait until they have gone."""
        kill_all(self._running)

    def _running(self) -> Iterator[tuple[int, Callable[[], bool]]]:
        for process_id, started in {one for one in self._seen if _runs(*one)}:
            # What it starts from now on is seen in the next round.
            for _ in self.look(process_id):
                pass
            yield process_id, partial(_runs, process_id, started)


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def _runs(process_id: int, started: str) -> bool:
    stat = stat_of(process_id)
    return stat is not None and not stat.has_ended and stat.started == started
