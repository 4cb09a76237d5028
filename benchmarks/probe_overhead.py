"""The loop of step 17.5 with the probes of each measure on, against the same loop with none."""

from contextlib import contextmanager

import numpy as np

from benchmarks._racing.rounds import race
from toolkit import Variable, square
from toolkit.probes import MOMENTS, Position
from toolkit.trials.measuring import modules, probes_of

N = 10_000
ITERATIONS = 100
ROUNDS = 41
TARGET = 1.03
#: What an experiment measures unless it says otherwise.
DEFAULT_MEASURES = ("resident", "traced", "timed")


def loop():
    """Make three squares of new data, again and again."""
    rng = np.random.default_rng(0)
    for _ in range(ITERATIONS):
        x = Variable(rng.standard_normal(N))
        y = square(square(square(x)))  # noqa: F841


def probing(measure):
    """Return a context in which the probes of `measure` are on."""

    @contextmanager
    def on():
        probes = [modules()[name].PROBE(Position()) for name in probes_of(measure)]
        for probe in probes:
            probe.start()
        try:
            yield
        finally:
            for probe in reversed(probes):
                probe.stop()
            for moment in MOMENTS:
                for probe in probes:
                    probe.read(moment)

    return on


def measure():
    """Race the loop with probes against the loop without."""
    around = {measure: probing(measure) for measure in DEFAULT_MEASURES}
    times = race(dict.fromkeys(["none", *around], loop), ROUNDS, around)
    for measure in DEFAULT_MEASURES:
        name = f"17.5 loop, n={N:,}: probes of {measure} trials / none"
        yield times.ratio(measure, "none", name, TARGET)
