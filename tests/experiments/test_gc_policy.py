"""What `gc_policy` says of stores that lack some of its trials."""

import pytest

from tests.test_any_levels import rows_of
from toolkit.analysis.results import Results
from toolkit.planning import load_experiment
from toolkit.trials.levels import THIS_PYTHON

CLAIM = "Weak references need less than every policy"


@pytest.fixture
def experiment():
    return load_experiment("gc_policy")


@pytest.fixture
def claim(experiment):
    """Return a function that tells the finding on all interpreters, for trials at these levels."""

    def told(peaks=None, start=CLAIM, model_off=1.0, **overrides):
        levels = {name: [level] if isinstance(level, str) else level for name, level in overrides.items()}
        rows = rows_of(experiment, {"python": [THIS_PYTHON], **levels})
        for row in rows:
            peak = (peaks or {}).get(row.factors["references"], 800_000)
            metrics = {"peak_rss_bytes": peak, "predicted_peak_bytes": peak * model_off, "wall_seconds": 1.0}
            row.conditions["prediction_exact"] = row.factors["gc"] != "default"
            row.metrics.clear()
            row.metrics.update(metrics)
        seen = Results(experiment.name, rows, lambda _: {}, experiment.factors)
        (found,) = [one for one in experiment.findings(seen) if one.sentence.startswith(start)]
        return found

    return told


@pytest.mark.parametrize("references", ["weak", "strong"])
def test_without_the_other_references_nothing_is_compared(claim, references):
    found = claim(references=references)
    assert (found.status, found.measured) == ("observed", "not measured")


@pytest.mark.parametrize("gc", [["default"], ["default", "every=10"]])
@pytest.mark.parametrize(("weak", "status"), [(4096 * 100, "confirmed"), (4096 * 300, "deviates")])
def test_weak_references_are_held_against_every_policy_there_is(claim, gc, weak, status):
    found = claim(peaks={"weak": weak, "strong": 4096 * 200}, gc=gc)
    assert found.status == status
    assert ("not on 3.11.7" in found.sentence) is (status == "deviates")


@pytest.mark.parametrize(("off", "status"), [(1.0, "confirmed"), (2.0, "deviates")])
def test_a_model_that_is_off_is_told_of_the_model_alone(claim, off, status):
    peaks = {"weak": 4096 * 100, "strong": 4096 * 200}
    wins = claim(peaks=peaks, gc=["default", "every=10"], model_off=off)
    model = claim(peaks=peaks, gc=["default", "every=10"], model_off=off, start="The gap model tells")
    assert (wins.status, model.status) == ("confirmed", status)
    assert "default off by" in model.sentence
    assert "every=10" not in model.sentence
