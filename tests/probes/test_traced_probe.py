"""The traced probe: to the byte, and the allocators as they were."""

import ctypes
import tracemalloc

import numpy as np
import pytest

from toolkit import Variable, square
from toolkit.core import events
from toolkit.probes import MOMENTS
from toolkit.probes.traced import PROBE, tracing_arrays, tracing_everything


class Allocator(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("ctx", "malloc", "calloc", "realloc", "free")]


def allocators():
    found = []
    for domain in range(3):
        allocator = Allocator()
        ctypes.pythonapi.PyMem_GetAllocator(domain, ctypes.byref(allocator))
        found.append(tuple(getattr(allocator, name) for name, _ in Allocator._fields_))
    return found


@pytest.fixture(autouse=True)
def allocators_restored():
    before = allocators()
    yield
    assert allocators() == before
    assert not tracemalloc.is_tracing()


def finish(probe):
    probe.stop()
    for moment in MOMENTS:
        probe.read(moment)


def test_it_tells_array_data_to_the_byte(position):
    probe = PROBE(position)
    before_start = np.zeros(12_345)
    probe.start()
    probe.observe()
    first = np.empty(1000)
    position.step = 0
    probe.observe()
    second = np.zeros((3, 7), np.float32)
    third = np.empty(5, np.int8)
    position.step = 1
    probe.observe()
    np.zeros(5000)
    del first, before_start
    probe.observe()
    probe.stop()
    probe.read("end")
    del second
    probe.read("dropped")
    probe.read("collected")
    del third
    for moment in ("retaken", "trimmed", "unfrozen", "cleared"):
        probe.read(moment)

    assert probe.series() == {
        "event_traced_bytes": [0, 8000, 8000 + 84 + 5, 84 + 5],
        "event_step": [-1, 0, 1, 1],
    }
    assert probe.metrics() == {
        "peak_traced_bytes": 8000 + 84 + 5 + 40_000,
        "end_traced_bytes": 84 + 5,
        "dropped_traced_bytes": 5,
        "collected_traced_bytes": 5,
        "unfrozen_traced_bytes": 0,
        "cleared_traced_bytes": 0,
    }


def test_objects_of_python_do_not_count(position):
    probe = PROBE(position)
    probe.start()
    held = [{str(each): [bytearray(1000)]} for each in range(1000)]
    array = np.empty(10)
    held.append([Variable(array) for _ in range(1000)])
    probe.observe()
    finish(probe)
    assert probe.series()["event_traced_bytes"] == [80]
    assert probe.metrics()["peak_traced_bytes"] == 80


def test_the_core_asks_for_readings_at_each_event(position):
    probe = PROBE(position)
    probe.start()
    x = Variable(np.zeros(100_000))
    y = square(x)
    y.backward()
    finish(probe)
    arrays = [traced / 800_000 for traced in probe.series()["event_traced_bytes"]]
    assert arrays == [2, 4]
    assert probe.metrics()["peak_traced_bytes"] == 4 * 800_000
    assert not events.listeners


def test_tracing_hooks_no_allocator_of_python():
    before = allocators()
    with tracing_arrays():
        assert tracemalloc.is_tracing()
        assert allocators() == before


def test_tracing_everything_counts_objects_of_python_too(position):
    probe = PROBE(position)
    probe.everything = True
    before = allocators()
    probe.start()
    assert all(hooked != plain for hooked, plain in zip(allocators(), before, strict=True))
    held = [bytearray(1000) for _ in range(100)], np.empty(100)
    finish(probe)
    assert allocators() == before
    assert 100 * 1000 + 800 < probe.metrics()["peak_traced_bytes"] < 150_000
    del held


def test_the_allocators_come_back_after_an_error():
    before = allocators()
    with pytest.raises(ZeroDivisionError), tracing_arrays():
        np.zeros(1000)
        raise ZeroDivisionError
    assert allocators() == before
    with pytest.raises(ZeroDivisionError), tracing_everything():
        raise ZeroDivisionError
    assert allocators() == before


def test_the_allocators_come_back_when_tracing_cannot_begin(monkeypatch):
    def fail():
        raise MemoryError

    monkeypatch.setattr(tracemalloc, "clear_traces", fail)
    with pytest.raises(MemoryError), tracing_arrays():
        pass


def test_a_workload_that_fails_leaves_a_probe_that_can_be_ended(position):
    probe = PROBE(position)
    with pytest.raises(ZeroDivisionError):
        try:
            probe.start()
            held = np.zeros(1000)
            raise ZeroDivisionError
        finally:
            finish(probe)
    assert probe.metrics()["peak_traced_bytes"] == held.nbytes


def test_blocks_that_outlive_the_tracing_are_freed_soundly():
    for _ in range(20):
        with tracing_arrays():
            held = [np.ones(each) for each in range(100)], [bytes(each) for each in range(2000)]
        del held


def test_in_a_trial_the_total_holds_the_objects_as_well(measured):
    outcome = measured("return [bytes(1000) for _ in range(1000)], np.zeros(1000)", "traced")
    assert outcome.metrics["peak_traced_bytes"] == 8000
    # Besides data, each bytes object has 33 bytes of its own and 8 in the list.
    assert 1_000_000 + 8000 < outcome.metrics["peak_traced_total_bytes"] < 1_100_000
    assert outcome.metrics["end_traced_bytes"] == 8000
    assert outcome.metrics["dropped_traced_bytes"] == 0
