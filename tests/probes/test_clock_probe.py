"""The clock probe, with clocks that stand still until they are told to go on."""

from toolkit.probes import clock


class Clocks:
    def __init__(self, monkeypatch):
        self.wall, self.cpu = 1000.0, 10.0
        monkeypatch.setattr(clock, "perf_counter", lambda: self.wall)
        monkeypatch.setattr(clock, "process_time", lambda: self.cpu)


def test_it_tells_the_time_between_start_and_stop_alone(monkeypatch, position):
    clocks = Clocks(monkeypatch)
    probe = clock.PROBE(position)
    clocks.wall, clocks.cpu = 1001.0, 11.0
    probe.start()
    clocks.wall, clocks.cpu = 1003.5, 11.25
    probe.observe()
    probe.stop()
    clocks.wall, clocks.cpu = 2000.0, 20.0
    probe.read("end")
    assert probe.metrics() == {"wall_seconds": 2.5, "cpu_seconds": 0.25}
    assert probe.series() == {}


def test_it_can_be_started_again(monkeypatch, position):
    clocks = Clocks(monkeypatch)
    probe = clock.PROBE(position)
    for seconds in (2.0, 0.5):
        probe.start()
        clocks.wall += seconds
        probe.stop()
    assert probe.metrics() == {"wall_seconds": 0.5, "cpu_seconds": 0.0}
