"""What `training_mlp` says of times: a mode is the fastest only where replicates tell it from the plain one."""

import pytest

from tests.test_any_levels import rows_of
from toolkit.analysis.results import Results
from toolkit.planning import load_experiment


def told(times):
    """Return the last finding, for the times of each mode in seconds."""
    experiment = load_experiment("training_mlp")
    rows = [row for row in rows_of(experiment, {"mode": list(times)}) if row.measure in ("timed", "traced")]
    for row in rows:
        row.metrics.clear()
        row.metrics["peak_traced_bytes"] = 800_000
        if row.measure == "timed":
            row.metrics["wall_seconds"] = times[row.factors["mode"]][row.replicate]
    return list(experiment.findings(Results(experiment.name, rows, lambda _: {}, experiment.factors)))[-1]


@pytest.mark.parametrize(
    ("plain", "lean", "status", "start"),
    [
        ([1.0, 1.0, 3.0], [0.9, 0.9, 2.9], "observed", "No mode is told to be faster than the plain one"),
        ([1.0, 1.01, 1.02], [0.5, 0.51, 0.52], "confirmed", "the bytes of the fastest mode, of those"),
        ([1.0, 1.01, 1.02], [1.5, 1.51, 1.52], "observed", "No mode is told to be faster than the plain one"),
    ],
)
def test_a_mode_is_the_fastest_only_beyond_noise(plain, lean, status, start):
    found = told({"plain": plain, "lean": lean})
    assert found.status == status
    assert found.sentence.startswith(start)
