"""Trials on this host: how many run at once, and in which order they come back."""

from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event, Thread

from toolkit.trials import Outcome, Trial, Trials
from toolkit.trials.folder import sweep
from toolkit.trials.supervisor import end_all, supervise
from toolkit.trials.turns import turn

__all__ = ["run_trials"]


def run_trials(trials: Trials, jobs: int) -> Generator[tuple[Trial, Outcome], None, None]:
    """Run every trial and yield each with its outcome as it ends.

    Trials that measure memory run `jobs` at a time; timed ones follow, one at a time, because whatever runs
    beside them takes time from them. That holds for all runs on this host together: they take turns. Closing the
    generator ends the trials that are running.
    """
    sweep()
    memory = (trial for trial in trials if trial.measure != "timed")
    timed = (trial for trial in trials if trial.measure == "timed")
    yield from _run(memory, jobs, alone=jobs == 1)
    yield from _run(timed, 1, alone=True)


def _run(trials: Iterable[Trial], jobs: int, *, alone: bool) -> Generator[tuple[Trial, Outcome], None, None]:
    ended = Event()

    def run(trial: Trial) -> Outcome:
        with turn(None if alone else jobs, ended.is_set):
            return supervise(trial)

    waiting = iter(trials)
    running: dict[Future[Outcome], Trial] = {}
    executor = ThreadPoolExecutor(jobs, thread_name_prefix="supervisor")
    try:
        while True:
            for trial in waiting:
                running[executor.submit(run, trial)] = trial
                if len(running) == jobs:
                    break
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    finally:
        ended.set()
        _end(executor)


def _end(executor: ThreadPoolExecutor) -> None:
    """End what still runs and wait until it has, also where an impatient user interrupts this as well."""
    closing = Thread(target=executor.shutdown, name="closing")
    while True:
        try:
            if closing.ident is None:
                closing.start()
            while closing.is_alive():
                # Again and again: a trial that is just being started is not there yet to be ended.
                end_all()
                closing.join(0.05)
        except KeyboardInterrupt:
            continue
        return
