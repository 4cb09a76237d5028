"""The collector probe against what the collector says of itself."""

import gc

import pytest

from toolkit.probes.collector import PROBE


@pytest.fixture
def probe(position):
    probe = PROBE(position)
    probe.start()
    yield probe
    if probe._callback in gc.callbacks:
        probe.stop()


def make_garbage(count):
    for _ in range(count):
        cycle = []
        cycle.append(cycle)


def counts():
    return [(stats["collections"], stats["collected"]) for stats in gc.get_stats()]


def test_it_counts_what_the_collector_counts(position):
    probe = PROBE(position)
    gc.collect()
    probe.start()
    before = counts()
    make_garbage(30_000)
    gc.collect(1)
    gc.collect()
    after = counts()
    probe.stop()
    make_garbage(3000)
    gc.collect()

    metrics = probe.metrics()
    by_generation = [later[0] - earlier[0] for earlier, later in zip(before, after, strict=True)]
    assert [metrics[f"gc_generation{each}_collections_count"] for each in range(3)] == by_generation
    assert by_generation[0] > 5
    assert metrics["gc_collections_count"] == sum(by_generation)
    assert metrics["gc_collected_count"] == sum(
        later[1] - earlier[1] for earlier, later in zip(before, after, strict=True)
    )
    assert metrics["gc_collected_count"] >= 30_000


def test_its_series_tell_step_generation_and_what_was_freed(probe, position):
    gc.disable()
    try:
        gc.collect()
        for step, generation in enumerate((0, 2, 1)):
            position.step = step
            make_garbage(10 * step)
            gc.collect(generation)
    finally:
        gc.enable()
    probe.stop()
    series = probe.series()
    assert series["collection_step"] == [-1, 0, 1, 2]
    assert series["collection_generation"] == [2, 0, 2, 1]
    assert series["collection_collected_count"][1:] == [0, 10, 20]


def test_its_pauses_add_up(probe):
    for _ in range(3):
        gc.collect()
    probe.stop()
    metrics, pauses = probe.metrics(), probe.series()["collection_pause_seconds"]
    assert len(pauses) == 3
    assert min(pauses) >= 0
    assert metrics["gc_pause_max_seconds"] == max(pauses)
    assert metrics["gc_pause_total_seconds"] == pytest.approx(sum(pauses))


def test_without_a_collection_there_is_nothing(position):
    probe = PROBE(position)
    gc.disable()
    try:
        probe.start()
        probe.stop()
    finally:
        gc.enable()
    assert set(probe.metrics().values()) == {0}
    assert set(map(len, probe.series().values())) == {0}


def test_it_makes_no_object_that_the_collector_counts(position):
    probe = PROBE(position)
    told = {"generation": 0, "collected": 0, "uncollectable": 0}
    gc.disable()
    try:
        probe.start()
        before = gc.get_count()[0]
        for _ in range(1000):
            for callback in gc.callbacks:
                if callback == probe._callback:
                    callback("start", told)
                    callback("stop", told)
        after = gc.get_count()[0]
        probe.stop()
        assert gc.get_count()[0] == after == before
    finally:
        gc.enable()
    assert probe.metrics()["gc_collections_count"] == 1000


def test_its_callback_is_gone_after_the_stop(position):
    before = list(gc.callbacks)
    probe = PROBE(position)
    probe.start()
    assert len(gc.callbacks) == len(before) + 1
    probe.stop()
    assert gc.callbacks == before
