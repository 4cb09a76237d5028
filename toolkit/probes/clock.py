"""The clock: how long the workload took."""

from time import perf_counter, process_time

from toolkit.probes import Datasheet, Moment, Position

DATASHEET = Datasheet(
    includes="the workload from its call to its return, and the other probes of the same trial meanwhile",
    excludes="start-up, warm-up, and the freeing of what the workload returned",
    keeps_alive="two numbers",
    unit="seconds",
    error="under 1 us of its own; what other programs take from the machine is in wall_seconds, not in cpu_seconds",
    cost="under 1 us, twice",
    exact_on="every platform; comparable only between trials of the measure 'timed', which run alone",
    disturbs="nothing",
)

MEASURES = ("resident", "traced", "timed", "ledger", "lines", "profiled")
METRICS = ("wall_seconds", "cpu_seconds")
DETAILS: tuple[str, ...] = ()
#: The starting of others is none of the workload's time.
RANK = 1


class Clock:
    """Reads `time.perf_counter` and `time.process_time`."""

    exact = True

    def __init__(self, position: Position) -> None:
        del position  # every probe is made with one; this one has no use for it

    def start(self) -> None:
        """Read both clocks."""
        self._cpu, self._wall = process_time(), perf_counter()

    def stop(self) -> None:
        """Read both clocks again."""
        self._wall, self._cpu = perf_counter() - self._wall, process_time() - self._cpu

    def observe(self) -> None:
        """Do nothing: it takes no readings on the way."""

    def read(self, moment: Moment) -> None:
        """Do nothing: it counts up to the end."""

    def metrics(self) -> dict[str, int | float]:
        """Return the time that passed, and the time that the process computed."""
        return {"wall_seconds": self._wall, "cpu_seconds": self._cpu}

    def series(self) -> dict[str, list[int] | list[float]]:
        """Return nothing."""
        return {}


PROBE = Clock
