"""A run: plan, leave out what is finished, run the rest, predict, store."""

import secrets
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from toolkit.experiment import Experiment
from toolkit.grid import Grid
from toolkit.limits import Limited, limited, refuse_what_cannot_fit
from toolkit.planning import plan, skipped_levels
from toolkit.provenance import describe
from toolkit.store import Run
from toolkit.store.read import damaged_trials, read_earlier
from toolkit.theory import check_predictions, with_prediction
from toolkit.trials import Level, Outcome, Trial, Trials
from toolkit.trials.retrying import may_try_again
from toolkit.usage import UsageError
from toolkit.waiting import Waiting

try:
    from toolkit.mixing import refuse_another_environment
    from toolkit.store.write import Writer
    from toolkit.trials.executors import Executor, opened
except ModuleNotFoundError as problem:
    if problem.name != "fcntl":
        raise
    raise UsageError("trials cannot run here: the store needs the file locks of a POSIX system") from None

__all__ = ["Request", "Summary", "run"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for.

    Attributes
    ----------
    experiments : sequence of Experiment
        What to run.
    results_dir : path
        Where the store is.
    profile, overrides, replicates
        As `planning.plan` takes them.
    jobs : int
        How many memory trials run at once on this host.
    executor : str
        Where trials run: see `executors.opened`.
    memory_limit_bytes : int, optional
        Beyond which a trial is ended, in place of what its experiment declares.
    retry_failed : bool
        Whether trials that failed run again.
    mix : bool
        Whether figures of another interpreter, library or machine may stand beside the new ones.
    arguments : sequence of str
        The command line, for the record.
    """

    experiments: Sequence[Experiment]
    results_dir: Path
    profile: str
    overrides: Mapping[str, Sequence[Level]] = field(default_factory=dict)
    replicates: int | None = None
    jobs: int
    executor: str = "local"
    memory_limit_bytes: int | None = None
    retry_failed: bool = False
    mix: bool = False
    arguments: Sequence[str] = ()


@dataclass(kw_only=True)
class Summary:
    """How far a run has come: trials planned, finished before, and what became of the others.

    Levels that this machine cannot run are no part of the plan; `skipped` tells of each in one line. Where the
    last run of the store was cut off, `resumes` is its number. Trials that were ended from outside are tried again:
    `tried_again` counts those attempts, and `goes_on` says whether it is so with the trial that was told of last.
    """

    planned: int
    finished_before: int
    failed_before: int = 0
    ok: int = 0
    failed: int = 0
    skipped: Sequence[str] = ()
    resumes: int | None = None
    tried_again: int = 0
    goes_on: bool = False

    def count(self, outcome: Outcome, *, goes_on: bool) -> None:
        """Count an attempt, after which another one follows or not."""
        self.goes_on = goes_on
        if goes_on:
            self.tried_again += 1
        elif outcome.status == "ok":
            self.ok += 1
        else:
            self.failed += 1

    @property
    def done(self) -> int:
        """Trials that this run has finished, well or not."""
        return self.ok + self.failed

    @property
    def to_do(self) -> int:
        """Trials that this run has to run in all."""
        return self.planned - self.finished_before


def run(request: Request, tell: Callable[[Summary, Trial | None, Outcome | None], None]) -> Summary:
    """Run every trial that is not finished, store each as it ends, and return how it went.

    Parameters
    ----------
    request : Request
        What is asked for.
    tell : callable
        Called before the first trial, and with each trial and its outcome.

    Raises
    ------
    UsageError
        Before anything is run: see `planning.plan` and `theory.check_predictions`; the store holds figures of
        another environment; two scripts have one name; or the grid does not fit this machine's memory.
    StoreError
        When the store is locked, bad or cannot be written.
    ExecutorUnusable, ExecutorLost
        When trials cannot run where they are asked to, or no longer; what has ended is stored.
    """
    declared = _by_name(request.experiments)
    grids = [
        plan(experiment, request.profile, request.overrides, request.replicates)
        for experiment in declared.values()
    ]
    check_predictions(declared, chain.from_iterable(grids))
    skipped = {
        name: levels
        for name, experiment in declared.items()
        if (levels := skipped_levels(experiment, request.profile, request.overrides))
    }
    description = describe() | ({"skipped_levels": skipped} if skipped else {})
    one_of_each = [trial for grid in grids for trial in islice(grid, 1)]
    writer = Writer(request.results_dir)
    if not writer.path.exists():
        # Nothing is finished, and what cannot be run is to leave nothing behind.
        _limited(request, declared, Waiting(grids, lambda trial: True))
    scripts = {trial.script: trial.code_digest for trial in one_of_each}
    with opened(request.executor, request.jobs, scripts, mix=request.mix) as executor, writer as store:
        description |= executor.facts
        earlier = read_earlier(request.results_dir, retry_failed=request.retry_failed)
        if not request.mix:
            refuse_another_environment(earlier, description, grids, request.results_dir)
        # Where nothing is finished, a million keys need not be made.
        waiting = Waiting(grids, lambda trial: not earlier.finished or trial.key not in earlier.finished)
        to_run = _limited(request, declared, waiting)
        planned = sum(map(len, grids))
        summary = Summary(
            planned=planned,
            finished_before=planned - len(waiting),
            failed_before=_count(grids, earlier.failed),
            skipped=_told(skipped),
            resumes=_cut_off(earlier.runs, declared.keys()),
        )
        tell(summary, None, None)
        order_seed = secrets.randbits(32)
        waiting.shuffle(order_seed)
        run_id = store.begin_run(
            description
            | {"profile": request.profile, "order_seed": order_seed, "arguments": list(request.arguments)},
            one_of_each,
        )
        # Whatever ends the loop early ends the trials that are running before the store is closed.
        with closing(_attempts(executor, to_run, earlier.tried)) as attempts:
            for trial, outcome, goes_on in attempts:
                outcome = with_prediction(declared[trial.experiment], trial, outcome)
                store.add(run_id, trial, outcome)
                summary.count(outcome, goes_on=goes_on)
                tell(summary, trial, outcome)
        store.end_run(run_id)
        if summary.finished_before and not request.retry_failed:
            # After the trials, not to keep them waiting: it takes as long as to read the whole store.
            damaged = damaged_trials(request.results_dir) - earlier.failed
            summary.failed_before += _count(grids, damaged)
    return summary


def _count(grids: Sequence[Grid], keys: Set[str]) -> int:
    """Return how many of the trials have one of these keys."""
    return sum(trial.key in keys for trial in chain.from_iterable(grids)) if keys else 0


def _told(skipped: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return a line for each level, with the experiments that lack it."""
    names: dict[str, list[str]] = {}
    for name, levels in skipped.items():
        for level, reason in levels.items():
            names.setdefault(f"{level}: {reason}", []).append(name)
    return [f"{', '.join(lacking)}, {told}" for told, lacking in names.items()]


def _attempts(
    executor: Executor, trials: Trials, tried: Counter[str]
) -> Generator[tuple[Trial, Outcome, bool], None, None]:
    """Run every trial; yield each attempt as it ends, and whether another one follows.

    Parameters
    ----------
    executor : Executor
        Where they run.
    trials : Trials
        What to run.
    tried : counter of str
        How many attempts at each trial were made before, by key.
    """
    while len(trials):
        again = []
        with closing(executor.run(trials)) as ended:
            for trial, outcome in ended:
                # Forgotten where it ends: a grid may have a million.
                made = tried.pop(trial.key, 0) + 1
                goes_on = may_try_again(outcome.status, made)
                if goes_on:
                    tried[trial.key] = made
                    again.append(trial)
                yield trial, outcome, goes_on
        # After all others: what was short of memory may have passed by then.
        trials = again


def _cut_off(runs: Sequence[Run], declared: Set[str]) -> int | None:
    """Return the number of the last run of these experiments if it did not come to its end."""
    last = next((one for one in reversed(runs) if one.plans.keys() & declared), None)
    return last.id if last is not None and last.ended_at is None else None


def _limited(request: Request, declared: Mapping[str, Experiment], trials: Trials) -> Trials:
    """Return the trials with the memory limits that hold where they run, if they fit."""
    if request.executor != "local":
        # What another host can spare, its worker says.
        return Limited(trials, request.memory_limit_bytes)
    limited_trials = limited(trials, request.jobs, request.memory_limit_bytes)
    refuse_what_cannot_fit(declared, limited_trials, request.jobs)
    return limited_trials


def _by_name(experiments: Sequence[Experiment]) -> dict[str, Experiment]:
    """Return each experiment once."""
    named: dict[str, Experiment] = {}
    for experiment in experiments:
        script = named.setdefault(experiment.name, experiment).script
        if script != experiment.script:
            raise UsageError(
                f"{script} and {experiment.script} have one name: results could not tell them apart"
            )
    return named
