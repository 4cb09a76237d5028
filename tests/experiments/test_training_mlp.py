"""What `training_mlp` says of modes: which cost more bytes, and which is the fastest where noise tells one."""

import pytest

from tests.test_any_levels import rows_of
from toolkit.analysis.results import Results
from toolkit.planning import load_experiment
from toolkit.report.observers import MARK

PEAK = 800_000


def told(start, modes, times=None, peaks=None, observed=None):
    """Return the finding that starts so, for the times of each mode in seconds and for its peaks in bytes."""
    experiment = load_experiment("training_mlp")
    rows = [row for row in rows_of(experiment, {"mode": modes}) if row.measure in ("timed", "traced")]
    for row in rows:
        mode = row.factors["mode"]
        # A probe can change only what is left to the collector, and so to a model.
        row.conditions["prediction_exact"] = observed is None
        row.metrics.clear()
        row.metrics["peak_traced_bytes"] = (peaks or {}).get(mode, PEAK)
        if row.measure == "timed":
            row.metrics["wall_seconds"] = times[mode][row.replicate] if times else 1.0
    seen = Results(experiment.name, rows, lambda _: {}, experiment.factors, observed)
    (found,) = [one for one in experiment.findings(seen) if one.sentence.startswith(start)]
    return found


@pytest.mark.parametrize(
    ("plain", "lean", "status", "start"),
    [
        ([1.0, 1.0, 3.0], [0.9, 0.9, 2.9], "observed", "No mode is told to be faster than the plain one"),
        ([1.0, 1.01, 1.02], [0.5, 0.51, 0.52], "confirmed", "the bytes of the fastest mode, of those"),
        ([1.0, 1.01, 1.02], [1.5, 1.51, 1.52], "observed", "No mode is told to be faster than the plain one"),
    ],
)
def test_a_mode_is_the_fastest_only_beyond_noise(plain, lean, status, start):
    assert told(start, ["plain", "lean"], {"plain": plain, "lean": lean}).status == status


@pytest.mark.parametrize(
    ("mode", "peak", "status"),
    [
        ("lean", PEAK, "confirmed"),
        ("lean", PEAK + 1, "deviates"),
        ("gradients kept", PEAK + 1, "confirmed"),
    ],
)
def test_what_the_fastest_mode_saves_in_time_must_not_cost_bytes_but_where_it_is_named(mode, peak, status):
    times = {"plain": [1.0, 1.01, 1.02], mode: [0.5, 0.51, 0.52]}
    found = told("the bytes of the fastest mode", ["plain", mode], times, {mode: peak})
    assert found.status == status
    assert found.measured.endswith(f"({mode})")


@pytest.mark.parametrize(
    ("mode", "peak", "status"),
    [
        ("lean", PEAK, "confirmed"),
        ("lean", 2 * PEAK, "deviates"),
        ("gradients kept", 2 * PEAK, "confirmed"),
    ],
)
def test_only_modes_that_are_named_for_it_peak_higher_than_the_plain_one(mode, peak, status):
    found = told("modes that peak higher", ["plain", mode], peaks={mode: peak})
    assert found.status == status
    assert found.measured == ("none" if peak == PEAK else f"{mode} (2.00 times plain)")


def test_peaks_are_marked_where_the_probe_of_traced_bytes_changes_what_it_watches(changing):
    found = told("modes that peak higher", ["plain", "lean"], observed=changing("traced"))
    assert found.sentence.endswith(f"{MARK} Watched by traced.")
