"""The clock probe, with clocks that stand still until they are told to go on."""

from time import perf_counter, process_time

import pytest

from toolkit.probes import clock


class Ticking:
    """Wall time goes on by 1 ms at every look at it, processor time by whole ticks."""

    def __init__(self, monkeypatch, tick_looks):
        self.looks = 0
        monkeypatch.setattr(clock, "perf_counter", self.look)
        monkeypatch.setattr(clock, "process_time", lambda: self.looks // tick_looks * tick_looks / 1000)

    def look(self):
        self.looks += 1
        return self.looks / 1000


class Still:
    def __init__(self, monkeypatch):
        self.wall, self.cpu = 1000.0, 10.0
        monkeypatch.setattr(clock, "perf_counter", lambda: self.wall)
        monkeypatch.setattr(clock, "process_time", lambda: self.cpu)


@pytest.fixture
def probe(position):
    return clock.PROBE(position)


def test_it_tells_the_time_between_start_and_stop_alone(probe, monkeypatch):
    clocks = Still(monkeypatch)
    clocks.wall, clocks.cpu = 1001.0, 11.0
    probe.start()
    clocks.wall, clocks.cpu = 1003.5, 11.25
    probe.observe()
    probe.stop()
    clocks.wall, clocks.cpu = 2000.0, 20.0
    probe.read("end")
    told = probe.metrics()
    assert (told["wall_seconds"], told["cpu_seconds"]) == (2.5, 0.25)
    assert probe.series() == {}


def test_it_can_be_started_again(probe, monkeypatch):
    clocks = Still(monkeypatch)
    for seconds in (2.0, 0.5):
        probe.start()
        clocks.wall += seconds
        probe.stop()
    told = probe.metrics()
    assert (told["wall_seconds"], told["cpu_seconds"]) == (0.5, 0.0)


def test_wall_time_runs_for_all_that_the_clock_of_processor_time_counts(probe, monkeypatch):
    looks = []
    for name, read in (("perf_counter", perf_counter), ("process_time", process_time)):
        monkeypatch.setattr(clock, name, lambda name=name, read=read: looks.append(name) or read())
    probe.start()
    probe.stop()
    assert looks == ["perf_counter", "process_time", "process_time", "perf_counter"]


@pytest.mark.parametrize("tick_looks", [10, 1000])
def test_a_clock_that_counts_ticks_is_found_out(position, monkeypatch, tick_looks):
    Ticking(monkeypatch, tick_looks)
    probe = clock.PROBE(position)
    probe.start()
    probe.stop()
    # One that does not go on while it is watched counts in more than the 50 ms of that.
    assert probe.metrics()["cpu_step_seconds"] == pytest.approx(min(tick_looks, 50) / 1000, abs=0.001)


def test_the_clock_of_this_machine_goes_on(probe):
    probe.start()
    probe.stop()
    assert probe.metrics()["cpu_step_seconds"] > 0
