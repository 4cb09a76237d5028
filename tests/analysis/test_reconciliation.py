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
    level = 0
    for part in told.parts:
        if part.is_reading:
            assert part.nbytes == level or level == 0
            level = part.nbytes
        else:
            level += part.nbytes
    return True


def test_every_step_has_its_name():
    told = reconcile(**READINGS)
    assert told.parts == (
        Part("logical bytes", 1_000_000, is_reading=True),
        Part("0-d and temporary arrays", 8),
        Part("traced", 1_000_008, is_reading=True),
        Part("page rounding and chunk headers", 3_000),
        Part("small blocks", 2_000),
        Part("malloc in use", 1_005_008, is_reading=True),
        Part("found room in the reserve", -1_488),
        Part("anonymous RSS", 1_003_520, is_reading=True),
        Part("libraries", 8_192),
        Part("RSS", 1_011_712, is_reading=True),
    )
    # 2,000 bytes of small blocks, of which the reserve took 1,488.
    assert told.residual_bytes == 512
    assert told.residual_percent == pytest.approx(0.0506, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "residual"),
    [
        ({"heap_bytes": None}, 512),
        ({"rounding_bytes": None}, -1_488),
        ({"rounding_bytes": None, "heap_bytes": None}, 3_512),
        ({"rss_bytes": 1_111_712}, 100_512),
        ({"anonymous_bytes": 1_103_520, "rss_bytes": 1_111_712}, 100_512),
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
