"""The room for readings: it keeps their order and their steps, and never grows."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.probes import Position
from toolkit.probes._timeline import Timeline

CAPACITY = 1 << 14


def filled(count):
    position = Position()
    timeline = Timeline(position)
    for offered in range(count):
        position.step = -offered
        timeline.add(offered)
    return timeline


@pytest.mark.parametrize(
    ("count", "stride"),
    [(0, 1), (1, 1), (CAPACITY, 1), (CAPACITY + 1, 2), (2 * CAPACITY, 2), (2 * CAPACITY + 1, 4), (70_000, 8)],
)
def test_a_full_room_keeps_every_second_reading_and_its_step(count, stride):
    timeline = filled(count)
    assert timeline.readings() == list(range(0, count, stride))
    assert timeline.steps() == list(range(0, -count, -stride))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_a_reading_is_any_integer_of_64_bits(readings):
    timeline = Timeline(Position())
    for reading in readings:
        timeline.add(reading)
    assert timeline.readings() == readings
    assert timeline.steps() == [-1] * len(readings)


def test_clearing_forgets_every_reading():
    timeline = filled(CAPACITY + 1)
    timeline.clear()
    assert timeline.readings() == timeline.steps() == []
    timeline.add(7)
    assert timeline.readings() == [7]


def test_recording_allocates_nothing():
    timeline = filled(10)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for offered in range(2 * CAPACITY):
            timeline.add(offered)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The counters themselves are integers on the heap.
    assert after - before < 200
    assert peak - before < 1000
