"""A run: plan, leave out what is finished, run the rest, predict, store."""

import secrets
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from toolkit.experiment import Experiment
from toolkit.limits import limited, refuse_what_cannot_fit
from toolkit.planning import UsageError, plan, skipped_levels
from toolkit.provenance import describe
from toolkit.store import Contents, Row
from toolkit.store.read import read_store
from toolkit.theory import check_predictions, with_prediction
from toolkit.trials import Level, Outcome, Trial
from toolkit.trials.retrying import may_try_again

try:
    from toolkit.store.write import Writer
    from toolkit.trials.executors import Executor, opened
    from toolkit.trials.host import MUST_AGREE, OF_THE_INTERPRETER
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
    trials = [
        trial
        for experiment in declared.values()
        for trial in plan(experiment, request.profile, request.overrides, request.replicates)
    ]
    check_predictions(declared, trials)
    skipped = {
        name: levels
        for name, experiment in declared.items()
        if (levels := skipped_levels(experiment, request.profile, request.overrides))
    }
    description = describe() | ({"skipped_levels": skipped} if skipped else {})
    writer = Writer(request.results_dir)
    if not writer.path.exists():
        # Nothing is finished, and what cannot be run is to leave nothing behind.
        _limited(request, declared, trials)
    scripts = {trial.script: trial.code_digest for trial in trials}
    with opened(request.executor, request.jobs, scripts, mix=request.mix) as executor, writer as store:
        description |= executor.facts
        contents = read_store(request.results_dir)
        if not request.mix:
            _refuse_another_environment(contents, description, trials, request.results_dir)
        ended_well = contents.finished_keys(retry_failed=True)
        finished = contents.finished_keys(retry_failed=request.retry_failed)
        before = [trial.key for trial in trials if trial.key in finished]
        waiting = _limited(request, declared, [trial for trial in trials if trial.key not in finished])
        summary = Summary(
            planned=len(trials),
            finished_before=len(before),
            failed_before=sum(key not in ended_well for key in before),
            skipped=_told(skipped),
            resumes=_cut_off(contents, declared.keys()),
        )
        tell(summary, None, None)
        order_seed = secrets.randbits(32)
        Random(order_seed).shuffle(waiting)
        run_id = store.begin_run(
            description
            | {"profile": request.profile, "order_seed": order_seed, "arguments": list(request.arguments)},
            trials,
        )
        # Whatever ends the loop early ends the trials that are running before the store is closed.
        with closing(_attempts(executor, waiting, contents.attempt_counts)) as attempts:
            for trial, outcome, goes_on in attempts:
                outcome = with_prediction(declared[trial.experiment], trial, outcome)
                store.add(run_id, trial, outcome)
                summary.count(outcome, goes_on=goes_on)
                tell(summary, trial, outcome)
        store.end_run(run_id)
    return summary


def _told(skipped: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return a line for each level, with the experiments that lack it."""
    names: dict[str, list[str]] = {}
    for name, levels in skipped.items():
        for level, reason in levels.items():
            names.setdefault(f"{level}: {reason}", []).append(name)
    return [f"{', '.join(lacking)}, {told}" for told, lacking in names.items()]


def _attempts(
    executor: Executor, trials: Sequence[Trial], made: Counter[str]
) -> Generator[tuple[Trial, Outcome, bool], None, None]:
    """Run every trial; yield each attempt as it ends, and whether another one follows.

    Parameters
    ----------
    executor : Executor
        Where they run.
    trials : sequence of Trial
        What to run.
    made : counter of str
        How many attempts at each trial were made before, by key.
    """
    while trials:
        again = []
        with closing(executor.run(trials)) as ended:
            for trial, outcome in ended:
                made[trial.key] += 1
                goes_on = may_try_again(outcome.status, made[trial.key])
                if goes_on:
                    again.append(trial)
                yield trial, outcome, goes_on
        # After all others: what was short of memory may have passed by then.
        trials = again


def _cut_off(contents: Contents, declared: Set[str]) -> int | None:
    """Return the number of the last run of these experiments if it did not come to its end."""
    last = next((one for one in reversed(contents.runs) if one.plans.keys() & declared), None)
    return last.id if last is not None and last.ended_at is None else None


def _limited(request: Request, declared: Mapping[str, Experiment], trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials with the memory limits that hold where they run, if they fit."""
    if request.executor != "local":
        # What another host can spare, its worker says.
        asked = request.memory_limit_bytes
        return [replace(trial, memory_limit_bytes=asked or trial.memory_limit_bytes) for trial in trials]
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


def _refuse_another_environment(
    contents: Contents, description: Mapping[str, Any], trials: Sequence[Trial], results_dir: Path
) -> None:
    # Figures of code that neither is planned now nor was last are not shown beside the new ones.
    codes = {name: plan.code_digest for name, plan in contents.plans.items()}
    codes |= {trial.experiment: trial.code_digest for trial in trials}
    rows = [
        row
        for row in (*contents.rows, *contents.left_out)
        if row.status == "ok" and row.code_digest == codes[row.experiment]
    ]
    described = {run.id: run.description for run in contents.runs}
    any_here = any(_runs_in_its_interpreter(trial, description) for trial in trials)
    for row in rows:
        if row.run not in described:
            continue
        there = _runs_in_its_interpreter(row, described[row.run])
        for name in MUST_AGREE:
            if name in OF_THE_INTERPRETER and not (any_here and there):
                continue
            # The hosts of a cluster may be of several kinds: there the trial itself tells.
            before, now = row.conditions.get(name, described[row.run].get(name)), description[name]
            if before != now:
                raise UsageError(
                    f"{results_dir} holds figures taken with {name} {before}, and this is {name} {now}: "
                    "take another folder with --results, or allow both with --mix"
                )


def _runs_in_its_interpreter(trial: Trial | Row, description: Mapping[str, Any]) -> bool:
    """Whether a trial of the run that `description` tells of runs in the interpreter that does the run."""
    # One that names its interpreter has it among its levels: nobody takes its figures for another's. A version
    # names one without its patch release.
    version, _, _ = str(description.get("python", "")).rpartition(".")
    return {**trial.constants, **trial.factors}.get("python", "this") in ("this", version)
