"""The core's events: how many functions were called and how many backward steps were taken."""

from contextlib import ExitStack

from toolkit.core.events import Listener, listening
from toolkit.probes import Datasheet, Moment, Position

DATASHEET = Datasheet(
    includes="every call of a function of the core, and every backward step, between start and stop",
    excludes="other engines",
    keeps_alive="two numbers",
    unit="counts",
    error="0",
    cost="under 1 us for each event",
    exact_on="every platform",
    disturbs="times, slightly: timed trials do without it",
)

MEASURES = ("traced", "ledger")
METRICS = ("calls_count", "backward_steps_count")
DETAILS: tuple[str, ...] = ()
RANK = 0


class Events(Listener):
    """Counts what the core tells."""

    exact = True
    moments: tuple[Moment, ...] = ()

    def __init__(self, position: Position) -> None:
        del position  # every probe is made with one; this one has no use for it
        self._listening = ExitStack()

    def start(self) -> None:
        """Listen to the core."""
        self._calls = self._backward_steps = 0
        self._listening.enter_context(listening(self))

    def called(self, *_: object) -> None:
        """Count a call."""
        self._calls += 1

    def backward_step(self, *_: object) -> None:
        """Count a backward step."""
        self._backward_steps += 1

    def stop(self) -> None:
        """Listen no more."""
        self._listening.close()

    def observe(self) -> None:
        """Do nothing: it takes no readings on the way."""

    def read(self, moment: Moment) -> None:
        """Do nothing: it counts up to the end."""

    def metrics(self) -> dict[str, int | float]:
        """Return both counts."""
        return {"calls_count": self._calls, "backward_steps_count": self._backward_steps}

    def series(self) -> dict[str, list[int] | list[float]]:
        """Return nothing."""
        return {}


PROBE = Events
