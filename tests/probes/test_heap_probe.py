"""The heap probe: the bytes of malloc as psutil tells them, and the kinds of pages at the highest point."""

import ctypes
import sys

import numpy as np
import psutil
import pytest

from toolkit.analysis.predictions import page_rounded
from toolkit.probes import heap
from toolkit.probes.heap import PROBE, reader_of_malloc

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells kinds of pages")
on_glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33")


@on_glibc
@pytest.mark.skipif(not hasattr(psutil, "heap_info"), reason="needs psutil 7.2")
def test_it_reads_what_psutil_reads():
    in_use = reader_of_malloc()
    assert in_use is not None
    for size in (0, 100_000, 10_000_000):
        held = np.ones(size, np.int8)
        ours, told = in_use(), psutil.heap_info()
        # psutil makes its answer between the two: less than a page of Python's small objects.
        assert abs(ours - told.heap_used - told.mmap_used) < 4096
        del held


@on_linux
@on_glibc
def test_the_highest_point_is_kept_to_the_page(measured):
    outcome = measured(
        """
        x = np.ones(100_000)
        trial.observe()
        more = [np.ones(100_000) for _ in range(4)]
        trial.observe()
        del more
        trial.observe()
        return x
        """,
        "resident",
    )
    held = 5 * page_rounded(800_000)
    assert outcome.metrics["heap_anonymous_rss_bytes"] == held == outcome.metrics["peak_rss_bytes"]
    assert outcome.metrics["heap_file_rss_bytes"] == 0
    # The shapes of arrays and Python's larger objects are in malloc as well, on pages of the reserve.
    assert 0 <= outcome.metrics["heap_in_use_bytes"] - held < 4096


@on_linux
def test_without_a_malloc_that_tells_the_kinds_of_pages_remain(position, monkeypatch):
    monkeypatch.setattr(heap, "reader_of_malloc", lambda: None)
    probe = PROBE(position)
    probe.start()
    probe.stop()
    assert probe.metrics().keys() == {"heap_anonymous_rss_bytes", "heap_file_rss_bytes"}


def test_a_malloc_that_does_not_move_is_not_the_one_at_work(monkeypatch):
    class IdleLibrary:
        class mallinfo2:
            uordblks = hblkhd = 0

    monkeypatch.setattr(ctypes, "CDLL", lambda name: IdleLibrary)
    assert reader_of_malloc() is None


def test_elsewhere_it_tells_nothing(position, monkeypatch):
    monkeypatch.setattr(sys, "platform", "plan9")
    probe = PROBE(position)
    probe.start()
    probe.stop()
    assert probe.exact is False
    assert probe.metrics() == {}
