"""The resident probe on pages of known number; exact figures need a process of their own."""

import mmap
import os
import sys

import numpy as np
import pytest

from toolkit import Variable, square
from toolkit.core import events
from toolkit.probes import MOMENTS, heap, resident
from toolkit.probes.resident import HIGH_WATER_ERROR_BYTES, PROBE, high_water_error

MIB = 1 << 20

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives exact readings")


def pages(array_bytes):
    """The pages of an array that malloc maps by itself: 16 bytes stand before its data."""
    return -(-(array_bytes + 16) // mmap.PAGESIZE) * mmap.PAGESIZE


@on_linux
def test_readings_move_by_exactly_the_pages_that_are_touched(measured):
    outcome = measured(
        """
        room = mmap.mmap(-1, 300 * mmap.PAGESIZE)
        trial.observe()
        for page in range(100):
            room[page * mmap.PAGESIZE] = 1
        trial.observe()
        for page in range(50, 300):
            room[page * mmap.PAGESIZE] = 1
        trial.observe()
        room.close()
        trial.observe()
        """,
        "resident",
    )
    expected = [pages * mmap.PAGESIZE for pages in (0, 100, 300, 0, 0)]
    assert outcome.series["event_rss_bytes"] == expected
    assert outcome.series["event_step"] == [-1] * 5
    assert outcome.metrics["event_peak_rss_bytes"] == 300 * mmap.PAGESIZE
    assert outcome.metrics["peak_rss_bytes"] == 300 * mmap.PAGESIZE
    assert outcome.metrics["end_rss_bytes"] == 0
    assert outcome.conditions["exact_probe"] is True


@on_linux
def test_the_core_asks_for_readings_at_each_event(measured):
    outcome = measured(
        """
        for step in trial.steps(2):
            x = Variable(np.ones(50_000))
            y = square(x)
            y.backward()
            del x, y
        return np.ones(20_000)
        """,
        "resident",
    )
    array = pages(400_000)
    # After the call x and y are there; in the backward pass the gradients of both.
    expected = [2 * array, 4 * array] * 2 + [pages(160_000)]
    assert outcome.series["event_rss_bytes"] == expected
    assert outcome.series["event_step"] == [0, 0, 1, 1, 1]
    assert outcome.metrics["peak_rss_bytes"] == 4 * array
    assert outcome.metrics["end_rss_bytes"] == pages(160_000)
    assert outcome.metrics["dropped_rss_bytes"] == 0
    assert outcome.metrics["collected_rss_bytes"] == 0


@on_linux
def test_the_high_water_mark_sees_what_comes_and_goes_between_two_readings(measured):
    outcome = measured("np.ones(MIB)\n".replace("MIB", str(MIB)), "resident")
    assert outcome.metrics["event_peak_rss_bytes"] < 9 * mmap.PAGESIZE
    assert abs(outcome.metrics["hwm_peak_rss_bytes"] - 8 * MIB) <= HIGH_WATER_ERROR_BYTES + 9 * mmap.PAGESIZE
    assert outcome.metrics["peak_rss_bytes"] == outcome.metrics["hwm_peak_rss_bytes"]


@on_linux
def test_a_reset_makes_the_high_water_mark_forget_an_earlier_peak(position):
    probe = PROBE(position)
    marks = []
    for touched in (64 * MIB, 0):
        probe.start()
        np.ones(touched // 8)
        probe.stop()
        for moment in ("end", "dropped", "collected", "retaken", "trimmed"):
            probe.read(moment)
        marks.append(probe.metrics()["hwm_peak_rss_bytes"])
    assert marks[0] > 60 * MIB
    assert marks[1] < 4 * MIB


@pytest.mark.parametrize(
    ("beyond", "counts"), [(0, False), (HIGH_WATER_ERROR_BYTES, False), (HIGH_WATER_ERROR_BYTES + 1, True)]
)
def test_the_high_water_mark_counts_only_beyond_its_own_error(position, monkeypatch, beyond, counts):
    probe = PROBE(position)
    monkeypatch.setattr(probe._reader, "current", lambda: 1000)
    monkeypatch.setattr(probe._reader, "peak", lambda: 1000 + beyond)
    probe.start()
    probe.stop()
    metrics = probe.metrics()
    assert metrics["hwm_peak_rss_bytes"] == beyond
    assert metrics["peak_rss_bytes"] == (beyond if counts else 0)


@on_linux
def test_a_kernel_that_is_farther_off_than_the_formula_widens_the_bound(position, monkeypatch):
    off = HIGH_WATER_ERROR_BYTES + 10 * mmap.PAGESIZE
    truth = resident._LinuxReader.peak
    monkeypatch.setattr(resident._LinuxReader, "peak", lambda reader: truth(reader) - off)
    # Beside this the kernel's own error shows as well.
    assert off - HIGH_WATER_ERROR_BYTES <= high_water_error() <= off + HIGH_WATER_ERROR_BYTES
    assert high_water_error() > HIGH_WATER_ERROR_BYTES
    probe = PROBE(position)
    monkeypatch.undo()
    probe.start()
    probe.stop()
    for moment in MOMENTS:
        probe.read(moment)
    assert probe.metrics()["hwm_error_bytes"] > HIGH_WATER_ERROR_BYTES


@on_linux
def test_the_bound_of_this_host_is_measured_and_leaves_nothing_resident():
    reader = resident._LinuxReader()
    before = reader.current()
    errors = [reader.peak_error(pages) for pages in (1, 100, 1000)]
    assert reader.current() - before <= mmap.PAGESIZE
    assert max(errors) <= high_water_error()


def test_the_moments_after_the_end_are_told_less_the_baseline(position, monkeypatch):
    probe = PROBE(position)
    readings = iter([1000, 1800, 1700, 1500, 1200, 1900, 1600])
    monkeypatch.setattr(probe._reader, "current", lambda: next(readings))
    monkeypatch.setattr(probe._reader, "peak", lambda: 2000)
    probe.start()
    probe.stop()
    for moment in ("end", "dropped", "collected", "retaken", "trimmed"):
        probe.read(moment)
    assert probe.metrics() == {
        "baseline_rss_bytes": 1000,
        "peak_rss_bytes": 800,
        "event_peak_rss_bytes": 800,
        "hwm_peak_rss_bytes": 1000,
        "end_rss_bytes": 700,
        "dropped_rss_bytes": 500,
        "collected_rss_bytes": 200,
        # Taking room back cost 700, which is not what trimming gave back.
        "trimmed_rss_bytes": -100,
        "hwm_error_bytes": HIGH_WATER_ERROR_BYTES,
    }


def test_it_listens_no_more_after_the_stop(position):
    probe = PROBE(position)
    probe.start()
    square(Variable(np.ones(2)))
    probe.stop()
    square(Variable(np.ones(2)))
    assert not events.listeners
    assert len(probe.series()["event_rss_bytes"]) == 2


@on_linux
def test_where_the_mark_cannot_be_reset_it_is_not_used(position, monkeypatch):
    system_open = os.open

    def refuse(path, *arguments):
        if path == "/proc/self/clear_refs":
            raise PermissionError(13, "not here", path)
        return system_open(path, *arguments)

    monkeypatch.setattr(os, "open", refuse)
    probe = PROBE(position)
    assert probe.exact is False
    probe.start()
    np.ones(8 * MIB)
    probe.stop()
    for moment in ("end", "dropped", "collected", "retaken", "trimmed"):
        probe.read(moment)
    assert probe.metrics()["hwm_peak_rss_bytes"] < 32 * MIB


@on_linux
def test_probes_that_are_gone_hold_no_files(position):
    before = len(os.listdir("/proc/self/fd"))
    probes = [each(position) for each in (PROBE, heap.PROBE) for _ in range(50)]
    assert len(os.listdir("/proc/self/fd")) > before
    probes.clear()
    assert len(os.listdir("/proc/self/fd")) == before


def test_elsewhere_it_reads_what_psutil_offers_and_says_that_it_is_an_estimate(position, monkeypatch):
    monkeypatch.setattr(sys, "platform", "plan9")
    probe = PROBE(position)
    monkeypatch.undo()
    assert isinstance(probe._reader, resident._PortableReader)
    assert probe.exact is False
    probe.start()
    held = np.ones(4 * MIB)
    probe.observe()
    probe.stop()
    for moment in ("end", "dropped", "collected", "retaken", "trimmed"):
        probe.read(moment)
    assert probe.metrics()["peak_rss_bytes"] == pytest.approx(held.nbytes, abs=MIB)
