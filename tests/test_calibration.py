"""`toolkit calibrate`: this host, from trials of its own, on one screen."""

import mmap

import pytest

from toolkit.calibration import calibrate, supervise_part
from toolkit.probes.resident import HIGH_WATER_ERROR_BYTES
from toolkit.trials import Outcome


@pytest.fixture(scope="module")
def outcomes():
    return {part: supervise_part(part) for part in ("array", "maps", "costs")}


def test_every_part_ends_well(outcomes):
    assert {part: (one.status, one.message) for part, one in outcomes.items()} == dict.fromkeys(
        outcomes, ("ok", "")
    )


def test_the_resident_probe_reads_maps_to_the_page(outcomes):
    found = outcomes["maps"].metrics
    assert 0 <= found["event_lowest_bytes"] <= found["event_highest_bytes"] <= mmap.PAGESIZE


def test_the_high_water_mark_is_off_by_no_more_than_the_formula_says(outcomes):
    found = outcomes["maps"].metrics
    assert found["hwm_lowest_bytes"] <= found["hwm_highest_bytes"]
    assert max(-found["hwm_lowest_bytes"], found["hwm_highest_bytes"]) <= HIGH_WATER_ERROR_BYTES


def test_it_fits_on_one_screen():
    told = list(calibrate())
    assert len(told) <= 24
    assert all(len(name) < 24 and 24 + len(words) <= 120 for name, words in told)
    names = [name.strip() for name, _ in told]
    assert {"resident probe", "high-water mark", "clear_refs", "setarch -R", "vm.max_map_count"} <= {*names}
    assert {"cost: resident", "cost: traced", "cost: sampled", "MADV_POPULATE_READ"} <= {*names}
    assert dict(told)["resident probe"].startswith("exact to a page")


def test_a_high_water_mark_that_is_farther_off_is_told(monkeypatch, outcomes):
    monkeypatch.setattr("toolkit.calibration.HIGH_WATER_ERROR_BYTES", -1)
    monkeypatch.setattr("toolkit.calibration.supervise_part", outcomes.__getitem__)
    assert "MORE THAN" in dict(calibrate())["  high-water mark"]


def test_a_part_that_fails_is_told_and_the_others_go_on(monkeypatch, outcomes):
    failed = Outcome(
        status="error",
        exit_code=1,
        message="Traceback\nOSError: no maps",
        started_at=0.0,
        elapsed_seconds=0.0,
    )
    some = {**outcomes, "maps": failed}
    monkeypatch.setattr("toolkit.calibration.supervise_part", some.__getitem__)
    told = dict(calibrate())
    assert told["readers"] == "not measured: the trial ended with error; OSError: no maps"
    assert "cost: resident" in told
