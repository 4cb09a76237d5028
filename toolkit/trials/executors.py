"""Where trials run: in this process's own children, or on the workers of a cluster."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from toolkit.trials import ExecutorUnusable, Outcome, Trial
from toolkit.trials.local import run_trials

__all__ = ["Executor", "opened"]


class Executor(Protocol):
    """Runs trials."""

    def facts(self, scripts: Mapping[str, str], *, mix: bool) -> dict[str, Any]:
        """Return what is to be said of where trials will run, beyond or in place of what is true of this host.

        Parameters
        ----------
        scripts : mapping of str to str
            The code digest of each script by its path.
        mix : bool
            Whether hosts of different kinds may run trials of one run.

        Raises
        ------
        ExecutorUnusable
            When a host has other code, or hosts are of different kinds and `mix` is false.
        ExecutorLost
            When there is no host.
        """

    def run(self, trials: Sequence[Trial]) -> Generator[tuple[Trial, Outcome], None, None]:
        """Run every trial and yield each with its outcome as it ends.

        Closing the generator ends the trials that are running.

        Raises
        ------
        ExecutorLost
            When trials are left that can no longer be run.
        """


@contextmanager
def opened(where: str, jobs: int) -> Iterator[Executor]:
    """Open the executor that runs trials at `where`: "local", `jobs` at once, or the address of a Dask scheduler.

    Raises
    ------
    ExecutorUnusable
        When there is no such executor, or what it needs is not installed.
    ExecutorLost
        When nobody answers at that address.
    """
    if where == "local":
        yield _Local(jobs)
        return
    if not where.startswith(("tcp://", "tls://")):
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
        yield cluster


class _Local:
    def __init__(self, jobs: int) -> None:
        self._jobs = jobs

    def facts(self, scripts: Mapping[str, str], *, mix: bool) -> dict[str, Any]:
        return {}

    def run(self, trials: Sequence[Trial]) -> Generator[tuple[Trial, Outcome], None, None]:
        return run_trials(trials, self._jobs)
