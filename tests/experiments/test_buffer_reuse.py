"""What `buffer_reuse` says of pages that are handed out anew."""

import pytest

from tests.test_any_levels import rows_of
from toolkit.analysis.results import Results
from toolkit.planning import load_experiment
from toolkit.report.observers import MARK

K = 16
#: Pages of an array, and how many an iteration may get beyond those of its arrays: a hundredth of k + 2 arrays.
ARRAY, FEW = 196, (K + 2) * 196 // 100


def told(faults, observed=None, **levels):
    """Return what is said of pages that an iteration gets anew, for so many with fresh and with reused buffers."""
    experiment = load_experiment("buffer_reuse")
    rows = [row for row in rows_of(experiment, {"n": [100_000], **levels}) if row.measure == "timed"]
    for row in rows:
        row.metrics["page_faults_count"] = faults[row.factors["buffers"]]
        # A probe can change only what is left to the collector, and so to a model.
        row.conditions["prediction_exact"] = observed is None
    seen = Results(experiment.name, rows, lambda _: {}, experiment.factors, observed)
    return [one for one in experiment.findings(seen) if "gets anew" in one.sentence]


@pytest.mark.parametrize(
    ("beyond", "statuses"), [(0, ["confirmed"] * 3), (1, ["deviates", "confirmed", "deviates"])]
)
def test_an_iteration_gets_no_more_pages_anew_than_its_arrays_have(beyond, statuses):
    found = told({"fresh": (K + 2) * ARRAY + FEW + beyond, "reused": FEW + beyond})
    assert [one.status for one in found] == statuses
    assert not any(MARK in one.sentence for one in found)


def test_arrays_that_are_mapped_by_themselves_get_a_page_each_at_least():
    for pages, status in ((2 * K, "deviates"), (2 * K + 1, "confirmed")):
        (fixed,) = [one for one in told({"fresh": pages, "reused": 0}) if "malloc=fixed" in one.sentence]
        assert fixed.status == status


def test_pages_are_marked_where_the_clock_changes_what_it_watches(changing):
    found = told({"fresh": 0, "reused": 0}, changing("clock"))
    assert len(found) == 3
    assert all(one.sentence.endswith(f"{MARK} Watched by clock.") for one in found)


def test_of_pages_without_trials_nothing_is_told():
    (found,) = told({"reused": 0}, buffers=["reused"])
    assert "with reused buffers" in found.sentence
