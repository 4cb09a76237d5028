"""What trials may take of this machine's memory, and the arithmetic that refuses a grid."""

from dataclasses import replace

import pytest

from toolkit import limits
from toolkit.analysis.predictions import Prediction
from toolkit.experiment import Experiment
from toolkit.limits import limited, parse_size, refuse_what_cannot_fit
from toolkit.planning import plan
from toolkit.theory import check_predictions, predicted_peaks
from toolkit.usage import UsageError

MIB, GIB = 1 << 20, 1 << 30


def workload(trial, *, n):
    pass


def predict(cell, interpreter):
    if cell["n"] == 0:
        return None
    return Prediction(peak_arrays=1, array_bytes=cell["n"], basis="1 S")


def declared(**changes):
    fields = {"factors": {"n": [8]}, "measures": ["resident"], "predict": predict}
    return Experiment(workload, **{**fields, **changes})


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine that can spare 10 GiB."""
    monkeypatch.setattr(limits, "spare_bytes", lambda: 10 * GIB)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("268435456", 256 * MIB),
        ("300MiB", 300 * MIB),
        ("2GiB", 2 * GIB),
        ("2 GB", 2 * 10**9),
        ("1.5GiB", 3 * GIB // 2),
        ("1TiB", 1 << 40),
        ("262144KiB", 256 * MIB),
    ],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "GiB", "-1GiB", "1e9", "2gb", "many", "nan", "1,5GiB", "\u0663MiB", "1GiB\n"]
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(
        UsageError, match="--memory-limit takes a size such as 2GiB, 500MB or 268435456, not "
    ):
        parse_size(text)


def test_less_than_a_trial_takes_before_it_begins_is_refused():
    with pytest.raises(
        UsageError, match=r"--memory-limit 255MiB is less than the 256\.0 MiB that a trial takes"
    ):
        parse_size("255MiB")


def limits_of(experiment, jobs, asked=None):
    return {trial.memory_limit_bytes for trial in limited(plan(experiment), jobs, asked)}


def test_each_trial_has_its_share_of_what_the_machine_can_spare():
    many = declared(replicates={"resident": 20})
    assert limits_of(many, 1) == {10 * GIB}
    assert limits_of(many, 4) == {10 * GIB // 4}


def test_only_as_many_share_as_run_at_once():
    assert limits_of(declared(replicates={"resident": 2}), 8) == {5 * GIB}
    assert limits_of(declared(measures=["timed"], replicates={"timed": 9}), 8) == {10 * GIB}


def test_an_experiment_may_ask_for_less_than_its_share_and_never_gets_more():
    assert limits_of(declared(memory_limit_bytes=GIB), 2) == {GIB}
    assert limits_of(declared(memory_limit_bytes=99 * GIB), 2) == {10 * GIB // 2}


def test_what_the_command_asks_for_goes_before_what_the_experiment_declares():
    assert limits_of(declared(memory_limit_bytes=GIB), 2, 2 * GIB) == {2 * GIB}


def test_a_limit_that_the_machine_could_not_keep_is_refused():
    with pytest.raises(UsageError) as refused:
        limits_of(declared(replicates={"resident": 9}), 4, 3 * GIB)
    assert str(refused.value) == (
        "4 trials at once × 3,072.0 MiB is 12.0 GiB, and this machine can spare 10.0 GiB: choose --jobs 3 or "
        "fewer, or give a smaller --memory-limit"
    )


def fits(experiment, jobs=2, asked=None):
    trials = limited(plan(experiment), jobs, asked)
    refuse_what_cannot_fit({experiment.name: experiment}, trials, jobs)


def test_a_grid_that_fits_to_the_byte_is_let_through_and_one_byte_more_is_not():
    room = 5 * GIB - 256 * MIB
    fits(declared(factors={"n": [8, room]}))
    with pytest.raises(UsageError) as refused:
        fits(declared(factors={"n": [8, room + 1]}))
    assert str(refused.value).startswith("test_limits n=5100273665: 4,864.0 MiB of arrays, as predicted, ")
    assert str(refused.value).endswith("and this machine can spare 10.0 GiB: choose --jobs 1 or fewer")


def test_where_theory_has_no_answer_nothing_is_refused():
    fits(declared(factors={"n": [0]}))
    fits(declared(predict=None, factors={"n": [1 << 60]}))


def test_timed_trials_are_weighed_alone():
    fits(declared(measures=["timed"], factors={"n": [9 * GIB]}), jobs=8)


def test_jobs_that_leave_a_trial_too_little_to_begin_are_refused():
    with pytest.raises(UsageError, match=r": choose --jobs 39 or fewer$"):
        fits(declared(replicates={"resident": 100}), jobs=64)


def test_without_a_prediction_there_is_no_word_of_one():
    with pytest.raises(
        UsageError, match=r" n=8: 256\.0 MiB a trial for its processes alone, × 64 at once is "
    ):
        fits(declared(replicates={"resident": 100}, predict=None), jobs=64)


def test_a_limit_of_its_own_that_a_trial_would_pass_is_refused_with_what_would_do():
    with pytest.raises(UsageError, match=r"above its limit of 512\.0 MiB: .*--memory-limit 1280MiB$"):
        fits(declared(factors={"n": [GIB]}, memory_limit_bytes=512 * MIB))


def test_a_smaller_trial_of_a_tighter_limit_is_found_behind_a_larger_one():
    loose, tight = declared(factors={"n": [2 * GIB]}), declared(factors={"n": [GIB]}, memory_limit_bytes=GIB)
    trials = limited([*plan(loose), *(replace(one, experiment="tight") for one in plan(tight))], 2, None)
    experiments = {"test_limits": loose, "tight": Named(**vars(tight))}
    with pytest.raises(UsageError, match=r"^tight n=1073741824: .* above its limit of 1,024\.0 MiB"):
        refuse_what_cannot_fit(experiments, trials, 2)


class Named(Experiment):
    """One that stands in another script."""

    name = "tight"


def test_trials_of_many_experiments_are_gone_through_once():
    """What can be gone through but once is enough, and each prediction is that of its own experiment."""
    asked = []

    def predicts(name):
        def predict_one(cell, interpreter):
            asked.append((name, cell["n"]))
            return Prediction(peak_arrays=1, array_bytes=8 * cell["n"], basis="1 S")

        return predict_one

    experiments = {name: declared(predict=predicts(name), factors={"n": [8, 16]}) for name in ("one", "two")}
    trials = [
        replace(trial, experiment=name)
        for name, one in experiments.items()
        for trial in plan(one, replicates=3)
    ]
    check_predictions(experiments, iter(trials))
    cells = [("one", 8), ("one", 16), ("two", 8), ("two", 16)]
    assert len(trials) == 12 and asked == cells
    peaks = predicted_peaks(experiments, iter(trials))
    assert [(trial.experiment, peak) for trial, peak in peaks] == [(name, 8 * n) for name, n in cells]


def test_nothing_to_run_fits():
    refuse_what_cannot_fit({}, [], 2)
    assert list(limited([], 2, None)) == []


def test_a_limit_is_no_other_trial():
    (trial,) = plan(declared(replicates={"resident": 1}))
    assert trial.key == replace(trial, memory_limit_bytes=5).key
