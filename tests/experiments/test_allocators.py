"""What `allocators` says of times: a difference only where replicates tell one from noise."""

import pytest

from tests.test_any_levels import rows_of
from toolkit.analysis.results import Results
from toolkit.planning import load_experiment
from toolkit.trials.levels import THIS_PYTHON


def told(times):
    """Return what is said of the times of each allocator, in seconds."""
    experiment = load_experiment("allocators")
    rows = [
        row
        for row in rows_of(experiment, {"python": [THIS_PYTHON], "malloc": list(times)})
        if row.measure == "timed" and row.factors["references"] == "weak"
    ]
    count = len(next(iter(times.values())))
    rows = [row for row in rows if row.replicate < count]
    for row in rows:
        row.metrics.clear()
        row.metrics["wall_seconds"] = times[row.factors["malloc"]][row.replicate]
    seen = Results(experiment.name, rows, lambda _: {}, experiment.factors)
    (sentence,) = [one.sentence for one in experiment.findings(seen) if "weak references" in one.sentence]
    return sentence.rpartition(": ")[2]


@pytest.mark.parametrize(
    ("fixed", "default", "expected"),
    [
        ([1.0], [9.0], "without replicates there is no interval"),
        ([1.0, 1.0, 9.0], [1.1, 1.1, 9.1], "halves of one cell lie as far apart"),
        ([1.0, 1.01, 1.02], [9.0, 9.01, 9.02], "the shift between them, 8.00"),
    ],
)
def test_a_difference_of_times_is_told_where_it_is_one(fixed, default, expected):
    assert told({"fixed": fixed, "default": default}).startswith(expected)
