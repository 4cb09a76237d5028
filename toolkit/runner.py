"""A run: plan, leave out what is finished, run the rest, predict, store."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from toolkit.experiment import Experiment
from toolkit.planning import UsageError, plan
from toolkit.provenance import MUST_AGREE, describe
from toolkit.store import Contents
from toolkit.store.read import read_store
from toolkit.store.write import Writer
from toolkit.trials import Level, Outcome, Trial
from toolkit.trials.executors import run_trials

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
        How many memory trials run at once.
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
    retry_failed: bool = False
    mix: bool = False
    arguments: Sequence[str] = ()


@dataclass(kw_only=True)
class Summary:
    """How far a run has come: trials planned, finished before, and what became of the others."""

    planned: int
    finished_before: int
    failed_before: int = 0
    ok: int = 0
    failed: int = 0

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
        Before anything is run: see `planning.plan`; the store holds figures of another environment; or two
        scripts have one name. Later on: a prediction fails.
    StoreError
        When the store is locked, bad or cannot be written.
    """
    declared = _by_name(request.experiments)
    trials = [
        trial
        for experiment in declared.values()
        for trial in plan(experiment, request.profile, request.overrides, request.replicates)
    ]
    description = describe()
    with Writer(request.results_dir) as store:
        contents = read_store(request.results_dir)
        if not request.mix:
            _refuse_another_environment(contents, description, request.results_dir)
        ended_well = store.finished_keys(retry_failed=True)
        finished = ended_well if request.retry_failed else store.finished_keys(retry_failed=False)
        before = [trial.key for trial in trials if trial.key in finished]
        waiting = [trial for trial in trials if trial.key not in finished]
        summary = Summary(
            planned=len(trials),
            finished_before=len(before),
            failed_before=sum(key not in ended_well for key in before),
        )
        tell(summary, None, None)
        if not waiting:
            return summary
        order_seed = secrets.randbits(32)
        Random(order_seed).shuffle(waiting)
        run_id = store.begin_run(
            description
            | {"profile": request.profile, "order_seed": order_seed, "arguments": list(request.arguments)}
        )
        # Whatever ends the loop early ends the trials that are running before the store is closed.
        with closing(run_trials(waiting, request.jobs)) as ended:
            for trial, outcome in ended:
                outcome = _with_prediction(declared[trial.experiment], trial, outcome)
                store.add(run_id, trial, outcome)
                if outcome.status == "ok":
                    summary.ok += 1
                else:
                    summary.failed += 1
                tell(summary, trial, outcome)
        store.end_run(run_id)
    return summary


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
    contents: Contents, description: Mapping[str, Any], results_dir: Path
) -> None:
    used = {row.run for row in contents.rows if row.status == "ok"}
    for earlier in contents.runs:
        if earlier.id not in used:
            continue
        for name in MUST_AGREE:
            before, now = earlier.description.get(name), description[name]
            if before != now:
                raise UsageError(
                    f"{results_dir} holds figures taken with {name} {before}, and this is {name} {now}: "
                    "take another folder with --results, or allow both with --mix"
                )


def _with_prediction(experiment: Experiment, trial: Trial, outcome: Outcome) -> Outcome:
    if outcome.status != "ok" or experiment.predict is None or trial.measure == "timed":
        return outcome
    cell = {**trial.constants, **trial.factors}
    try:
        prediction = experiment.predict(cell, outcome.conditions)
    except Exception as problem:
        reason = f"{type(problem).__name__}: {problem}".splitlines()[0]
        raise UsageError(f"{experiment.name}: predict fails for {cell}: {reason}") from problem
    if prediction is None:
        return outcome
    predicted = {f"predicted_{name}": value for name, value in prediction.metrics.items()}
    conditions: dict[str, Level] = {
        "prediction_exact": prediction.exact,
        "prediction_basis": prediction.basis,
    }
    if prediction.array_bytes:
        predicted["predicted_peak_bytes"] = prediction.peak_bytes(trial.measure)
        end_bytes = prediction.end_bytes(trial.measure)
        if end_bytes is not None:
            predicted["predicted_end_bytes"] = end_bytes
        conditions["prediction_array_bytes"] = prediction.array_bytes
    return replace(
        outcome,
        metrics={**outcome.metrics, **predicted},
        conditions={**outcome.conditions, **conditions},
    )
