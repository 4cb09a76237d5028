"""From logical bytes to the resident set: the steps add up, and the residual is what no cause explains."""

import sys

import pytest

from toolkit.analysis.predictions import page_rounded
from toolkit.analysis.reconciliation import Part, reconcile
from toolkit.planning import load_experiment, plan
from toolkit.trials.supervisor import supervise

READINGS = {
    "logical_bytes": 1_000_000,
    "traced_bytes": 1_000_008,
    "rounding_bytes": 3_000,
    "heap_bytes": 1_005_008,
    "anonymous_bytes": 1_003_520,
    "file_bytes": 8_192,
    "rss_bytes": 1_011_712,
}


def steps_add_up(told):
    level = told.parts[0].nbytes
    for part in told.parts[1:]:
        if part.is_reading:
            assert part.nbytes == level
        else:
            level += part.nbytes
    return True


def test_every_step_has_its_name():
    told = reconcile(**READINGS)
    assert told.parts == (
        Part("logical bytes", 1_000_000, is_reading=True),
        Part("arrays in no account", 8),
        Part("traced", 1_000_008, is_reading=True),
        Part("page rounding and chunk headers", 3_000),
        Part("small blocks", 2_000),
        Part("malloc in use", 1_005_008, is_reading=True),
        Part("found room in the reserve", -1_488),
        Part("anonymous RSS", 1_003_520, is_reading=True),
        Part("libraries", 8_192),
        Part("RSS", 1_011_712, is_reading=True),
    )
    # 2,000 bytes of small blocks, of which the reserve took 1,488, and an array of 8.
    assert (told.unaccounted_bytes, told.residual_bytes) == (8, 520)
    assert told.residual_percent == pytest.approx(0.0514, abs=1e-4)


def test_arrays_that_no_account_names_are_residual():
    told = reconcile(**{**READINGS, "logical_bytes": 200_000})
    assert told.parts[1] == Part("arrays in no account", 800_008)
    assert steps_add_up(told)
    assert (told.unaccounted_bytes, told.residual_bytes) == (800_008, 800_520)


def test_what_lives_inside_operations_only_is_known_and_no_residual():
    told = reconcile(**{**READINGS, "logical_bytes": 1_800_000, "temporary_bytes": 800_000})
    assert told.parts[1:3] == (
        Part("temporaries inside operations", -800_000),
        Part("arrays in no account", 8),
    )
    assert steps_add_up(told)
    assert told.residual_bytes == 520


@pytest.mark.parametrize(
    ("changes", "residual"),
    [
        ({"heap_bytes": None}, 520),
        ({"rounding_bytes": None}, -1_480),
        ({"rounding_bytes": None, "heap_bytes": None}, 3_520),
        ({"rss_bytes": 1_111_712}, 100_520),
        ({"anonymous_bytes": 1_103_520, "rss_bytes": 1_111_712}, 100_520),
    ],
    ids=["no malloc", "sizes unknown", "neither", "a peak between events", "kept by malloc"],
)
def test_what_is_not_known_is_left_out_and_the_rest_adds_up(changes, residual):
    told = reconcile(**{**READINGS, **changes})
    assert steps_add_up(told)
    assert told.residual_bytes == residual
    names = [part.name for part in told.parts]
    assert ("malloc in use" in names) == (changes.get("heap_bytes", 0) is not None)
    assert ("between two events" in names) == ("rss_bytes" in changes and "anonymous_bytes" not in changes)


def test_nothing_has_no_residual():
    assert reconcile(**dict.fromkeys(READINGS, 0)).residual_percent == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives exact readings")
@pytest.mark.parametrize("retain_grad", [False, True])
def test_the_residual_of_a_real_peak_is_two_pages_at_most(retain_grad):
    experiment = load_experiment("step18_retain_grad")
    levels = {"k": [16], "n": [100_000], "retain_grad": [retain_grad]}
    trials = plan(experiment, overrides=levels, replicates=1)
    outcomes = {trial.measure: supervise(trial) for trial in trials if trial.measure != "timed"}
    resident, ledger = outcomes["resident"].metrics, outcomes["ledger"].metrics
    traced = max(outcomes["traced"].series["event_traced_bytes"])
    told = reconcile(
        logical_bytes=ledger["ledger_peak_bytes"],
        traced_bytes=traced,
        rounding_bytes=traced // 800_000 * (page_rounded(800_000) - 800_000),
        heap_bytes=resident.get("heap_in_use_bytes"),
        anonymous_bytes=resident["heap_anonymous_rss_bytes"],
        file_bytes=resident["heap_file_rss_bytes"],
        rss_bytes=resident["peak_rss_bytes"],
    )
    assert steps_add_up(told)
    assert told.parts[0].nbytes == told.parts[2].nbytes == (34 if retain_grad else 19) * 800_000
    assert abs(told.residual_bytes) <= 2 * 4096
    assert told.residual_percent < 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives exact readings")
def test_arrays_that_the_engine_never_meets_are_residual_of_a_real_peak(tmp_path):
    script = tmp_path / "hoard.py"
    script.write_text(
        "import numpy as np\nfrom toolkit import Experiment, Variable, square\n\n\n"
        "def workload(trial):\n"
        "    hoard = [np.ones(100_000) for _ in range(10)]\n"
        "    x = Variable(np.ones(100_000))\n"
        "    return hoard, x, square(x)\n\n\n"
        "EXPERIMENT = Experiment(workload, factors={}, measures=['resident', 'traced', 'ledger'])\n"
    )
    outcomes = {trial.measure: supervise(trial) for trial in plan(load_experiment(str(script)), replicates=1)}
    resident = outcomes["resident"].metrics
    told = reconcile(
        logical_bytes=outcomes["ledger"].metrics["ledger_peak_bytes"],
        traced_bytes=max(outcomes["traced"].series["event_traced_bytes"]),
        rounding_bytes=12 * (page_rounded(800_000) - 800_000),
        heap_bytes=resident.get("heap_in_use_bytes"),
        anonymous_bytes=resident["heap_anonymous_rss_bytes"],
        file_bytes=resident["heap_file_rss_bytes"],
        rss_bytes=resident["peak_rss_bytes"],
    )
    assert told.unaccounted_bytes == 10 * 800_000
    assert abs(told.residual_bytes - 10 * 800_000) <= 2 * 4096
