"""Where trials run: in this process's own children, or on the workers of a cluster."""

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from toolkit.trials import ExecutorUnusable, Outcome, Trial, Trials
from toolkit.trials.local import run_trials

__all__ = ["Executor", "opened"]

#: A name or an address of version 4 or 6 (RFC 3986, 3.2.2), and no more digits than ports have.
_ADDRESS = re.compile(
    r"(tcp|tls)://([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})"
)


class Executor(Protocol):
    """Runs trials.

    Attributes
    ----------
    facts : mapping
        What is to be said of where trials run, in place of what is true of this host.
    """

    facts: Mapping[str, Any]

    def run(self, trials: Trials) -> Generator[tuple[Trial, Outcome], None, None]:
        """Run every trial and yield each with its outcome as it ends.

        Closing the generator ends the trials that are running.

        Raises
        ------
        ExecutorLost
            When trials are left that can no longer be run.
        """


@contextmanager
def opened(where: str, jobs: int, scripts: Mapping[str, str], *, mix: bool) -> Iterator[Executor]:
    """Open an executor.

    Parameters
    ----------
    where : str
        "local", or the address of a Dask scheduler.
    jobs : int
        How many memory trials run at once where that is "local".
    scripts : mapping of str to str
        The code digest of each script that will be run, by its path.
    mix : bool
        Whether hosts of different kinds may run trials of one run.

    Raises
    ------
    ExecutorUnusable
        When there is no such executor, what it needs is not installed, a host has other code, or hosts are of
        different kinds and `mix` is false.
    ExecutorLost
        When nobody answers at that address, or has no worker for trials.
    """
    if where == "local":
        yield _Local(jobs)
        return
    if not _is_address(where):
        raise ExecutorUnusable(
            f"--executor takes local or the address of a Dask scheduler, as in tcp://127.0.0.1:8786, not {where!r}"
        )
    try:
        from toolkit.trials.cluster import Cluster
    except ModuleNotFoundError as problem:
        if problem.name not in ("distributed", "dask"):
            raise
        raise ExecutorUnusable(
            f"{where} needs Dask: install the extra with pip install 'autograd-memory-toolkit[dask]'"
        ) from None
    with Cluster(where) as cluster:
        cluster.admit(scripts, mix=mix)
        yield cluster


def _is_address(where: str) -> bool:
    """Whether it names a host and a port: what does not, Dask would try to reach for a long time."""
    parts = _ADDRESS.fullmatch(where)
    return parts is not None and 0 < int(parts["port"]) < 1 << 16


class _Local:
    def __init__(self, jobs: int) -> None:
        self.facts: Mapping[str, Any] = {}
        self._jobs = jobs

    def run(self, trials: Trials) -> Generator[tuple[Trial, Outcome], None, None]:
        return run_trials(trials, self._jobs)
