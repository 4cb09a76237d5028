"""What theory says of a trial, put beside its figures."""

import gc
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from toolkit.analysis.predictions import Prediction
from toolkit.experiment import Experiment
from toolkit.trials import Level, Outcome, Trial
from toolkit.trials.conditions import check_conditions
from toolkit.trials.metric import check_metric
from toolkit.usage import UsageError, reason_of

__all__ = ["check_predictions", "predicted_peaks", "with_prediction"]


def check_predictions(experiments: Mapping[str, Experiment], trials: Iterable[Trial]) -> None:
    """Predict every cell of `trials`, for this interpreter: what fails, fails before they run.

    Parameters
    ----------
    experiments : mapping of str to Experiment
        By name.
    trials : iterable of Trial
        Of these experiments; gone through once.

    Raises
    ------
    UsageError
        When predict fails for a cell or returns what is no prediction.
    """
    interpreter = _this_interpreter()
    for trial in _one_of_each_cell(trials):
        experiment = experiments[trial.experiment]
        try:
            _predicted(experiment, trial, interpreter)
        except Exception as problem:
            raise UsageError(
                f"{experiment.name}: predict fails for {_cell(trial)}: {reason_of(problem)}"
            ) from problem


def predicted_peaks(
    experiments: Mapping[str, Experiment], trials: Iterable[Trial]
) -> Iterator[tuple[Trial, int]]:
    """Yield a trial of each cell and measure that theory has an answer for, with its peak in array bytes."""
    interpreter = _this_interpreter()
    for trial in _one_of_each_cell(trials):
        predict = experiments[trial.experiment].predict
        prediction = predict(_cell(trial), interpreter) if predict else None
        if prediction is not None and prediction.array_bytes:
            yield trial, prediction.peak_bytes("traced")


def _one_of_each_cell(trials: Iterable[Trial]) -> Iterator[Trial]:
    before: tuple[object, ...] = ()
    for trial in trials:
        # Replicates follow one another, and have one prediction.
        asked = (trial.experiment, trial.measure, trial.factors, trial.constants)
        if asked != before:
            yield trial
        before = asked


def with_prediction(experiment: Experiment, trial: Trial, outcome: Outcome) -> Outcome:
    """Return `outcome` with what the experiment predicts for it, or with the reason why it could not."""
    if outcome.status != "ok":
        return outcome
    try:
        metrics, conditions = _predicted(experiment, trial, outcome.conditions)
    except Exception as problem:
        metrics, conditions = {}, {"predict_failed": reason_of(problem)}
    return replace(
        outcome,
        metrics={**outcome.metrics, **metrics},
        conditions={**outcome.conditions, **conditions},
    )


def _predicted(
    experiment: Experiment, trial: Trial, interpreter: Mapping[str, Level]
) -> tuple[dict[str, int | float], dict[str, Level]]:
    """Return the predicted metrics of a trial, and what they rest on."""
    if experiment.predict is None:
        return {}, {}
    if trial.measure != "resident" and trial.measure != "traced":
        # Theory counts what comes and goes inside an operation, which the ledger does not see.
        return {}, {}
    prediction = experiment.predict(_cell(trial), interpreter)
    if prediction is None:
        return {}, {}
    if not isinstance(prediction, Prediction):
        raise TypeError(f"it returned a {type(prediction).__name__}, and not a Prediction or None")
    metrics = {f"predicted_{name}": value for name, value in prediction.metrics.items()}
    conditions: dict[str, Level] = {
        "prediction_exact": prediction.exact,
        "prediction_basis": prediction.basis,
        **{f"prediction_basis_{name}": basis for name, basis in prediction.other_bases.items()},
    }
    if prediction.exception:
        conditions["prediction_exception"] = prediction.exception.cause
        conditions["prediction_exception_percent"] = prediction.exception.percent
    if prediction.array_bytes:
        metrics["predicted_peak_bytes"] = prediction.peak_bytes(trial.measure)
        end_bytes = prediction.end_bytes(trial.measure)
        if end_bytes is not None:
            metrics["predicted_end_bytes"] = end_bytes
        conditions["prediction_array_bytes"] = prediction.array_bytes
    for name, value in metrics.items():
        # Of valid numbers of arrays the bytes may still be more than a store can hold.
        check_metric(name, value)
    check_conditions(conditions)
    return metrics, conditions


def _this_interpreter() -> dict[str, Level]:
    thresholds = {f"gc_threshold{generation}": one for generation, one in enumerate(gc.get_threshold())}
    return {"python": platform.python_version(), **thresholds}


def _cell(trial: Trial) -> dict[str, Level]:
    return {**trial.constants, **trial.factors}
