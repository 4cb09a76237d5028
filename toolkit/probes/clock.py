"""The clock: how long the workload took."""

from time import perf_counter, process_time

from toolkit.probes import Datasheet, Moment, Position

DATASHEET = Datasheet(
    includes="the workload from its call to its return, and the other probes of the same trial meanwhile",
    excludes="start-up, warm-up, and the freeing of what the workload returned",
    keeps_alive="three numbers",
    unit="seconds",
    error="of wall_seconds under 1 us, and what other programs take from the machine; of cpu_seconds, which leaves "
    "that out, up to cpu_step_seconds, by which the clock of processor time was seen to go on in the trial: under "
    "1 us where the kernel counts nanoseconds, 1 to 10 ms where it counts its ticks",
    cost="under 1 us, twice; before the workload five steps of the clock, for 50 ms at most",
    exact_on="every platform; comparable only between trials of the measure 'timed', which run alone",
    disturbs="nothing",
)

MEASURES = ("resident", "traced", "timed", "ledger", "lines", "profiled")
METRICS = ("wall_seconds", "cpu_seconds", "cpu_step_seconds")
DETAILS = ("cpu_step_seconds",)
#: The starting of others is none of the workload's time.
RANK = 1

_STEPS = 5
_LONGEST_SECONDS = 0.05


class Clock:
    """Reads `time.perf_counter` and `time.process_time`."""

    exact = True
    moments: tuple[Moment, ...] = ()

    def __init__(self, position: Position) -> None:
        del position  # every probe is made with one; this one has no use for it
        self._cpu_step = smallest_step()

    def start(self) -> None:
        """Read both clocks, that of wall time first: it runs for all that the other one counts."""
        self._wall, self._cpu = perf_counter(), process_time()

    def stop(self) -> None:
        """Read both clocks again."""
        self._cpu = process_time() - self._cpu
        self._wall = perf_counter() - self._wall

    def observe(self) -> None:
        """Do nothing: it takes no readings on the way."""

    def read(self, moment: Moment) -> None:
        """Do nothing: it counts up to the end."""

    def metrics(self) -> dict[str, int | float]:
        """Return the time that passed, the time that the process computed, and what the latter is counted in."""
        return {"wall_seconds": self._wall, "cpu_seconds": self._cpu, "cpu_step_seconds": self._cpu_step}

    def series(self) -> dict[str, list[int] | list[float]]:
        """Return nothing."""
        return {}


def smallest_step() -> float:
    """Return the least by which `process_time` was seen to go on, computing; all of the wait where it never did.

    What it is said to resolve (`time.get_clock_info`) is the unit of its numbers, and no promise.
    """
    began, last, least, steps = perf_counter(), process_time(), float("inf"), 0
    while steps < _STEPS and (waited := perf_counter() - began) < _LONGEST_SECONDS:
        now = process_time()
        if now != last:
            least, last, steps = min(least, now - last), now, steps + 1
    return least if steps else waited


PROBE = Clock
