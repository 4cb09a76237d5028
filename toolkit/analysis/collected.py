"""What a recorded workload needs with strong references under a level of the factor `gc`, and how far that is off.

Where collections come at steps or not at all, lifetimes decide to the byte. Where Python runs the collector,
single objects decide where each collection falls: the simulation counts those that the engine keeps
(`analysis.collection`), and its bound is how far the peak moves when collections come earlier or later.
"""

import random
from collections.abc import Iterator, Mapping

from toolkit.analysis.collection import call_node, leaf_node
from toolkit.analysis.predictions import Deviation, Prediction
from toolkit.analysis.rehearsal import mode_of, thresholds_of
from toolkit.analysis.simulation import Simulated, simulate
from toolkit.trials import Level
from toolkit.trials.collecting import policy_of
from toolkit.trials.recording import Born, Called, Iterated, Recording

__all__ = ["collected"]

_STRONG = {"references": "strong"}
#: By how many numbers of objects collections are shifted, either way.
_SHIFTS = 6


def collected(
    recording: Recording, gc_level: Level, array_bytes: int, interpreter: Mapping[str, Level]
) -> Prediction | None:
    """Predict a recorded loop with strong references under a level of `gc`.

    Parameters
    ----------
    recording : Recording
        Of a workload that takes its iterations from `trial.steps`.
    gc_level : level
        Of the factor.
    array_bytes : int
        The size that peak and end are counted in.
    interpreter : mapping
        "gc_threshold0" to "gc_threshold2" are the thresholds at work, and "gc_count_at_start" how many objects of
        the youngest generation were counted before the workload began, as `Experiment.predict` is given them.

    Returns
    -------
    Prediction or None
        Marked as not exact, and without an end, where Python runs the collector and it may come. None for a
        threshold that every second iteration or more crosses, and where a collector that comes would free cycles of
        the workload's own, of which the recording does not tell when.
    """
    policy = policy_of(gc_level)
    if recording.has_own_cycles and policy != policy_of("off"):
        return None
    thresholds = thresholds_of(interpreter)
    if not policy.automatic:
        return _exact(simulate(recording, mode_of(_STRONG, policy, thresholds)), array_bytes)
    once = _counted_once(recording)
    if thresholds[0] < 2 * once:
        return None
    # The loop itself is an object more: the generator of `trial.steps`.
    counted = int(interpreter.get("gc_count_at_start", 0)) + 1

    def simulated(shift: int = 0, shifts: Iterator[int] | None = None) -> Simulated | None:
        return simulate(recording, mode_of(_STRONG, policy, thresholds, counted=counted + shift), shifts)

    found = simulated()
    if found is None or found.exact:
        return _exact(found, array_bytes)
    moved = [found]
    for shift in range(-once, once + 1, max(1, once // _SHIFTS)):
        # The same numbers each time: a prediction is a function of what it is given.
        chance = random.Random(shift)
        each = iter(lambda chance=chance: chance.randint(-once, once), None)  # type: ignore[misc]
        moved += [one for one in (simulated(shift), simulated(shift, each)) if one is not None]
    bound = max(array_bytes, *(abs(one.peak_bytes - found.peak_bytes) for one in moved))
    return Prediction(
        peak_arrays=found.peak_bytes / array_bytes,
        array_bytes=array_bytes,
        basis=f"lifetimes simulated, thresholds {', '.join(map(str, thresholds))}",
        exact=False,
        exception=Deviation(
            percent=100 * bound / found.peak_bytes,
            cause="single objects of the interpreter and the probes decide where in an iteration each collection "
            f"falls: with collections up to {once} objects, those of one iteration, earlier or later the simulated "
            f"peak moves by up to {bound / array_bytes:.0f} arrays",
        ),
    )


def _exact(simulated: Simulated | None, array_bytes: int) -> Prediction | None:
    if simulated is None or simulated.end_bytes is None:
        return None
    return Prediction(
        peak_arrays=simulated.peak_bytes / array_bytes,
        end_arrays=simulated.end_bytes / array_bytes,
        array_bytes=array_bytes,
        basis="lifetimes simulated from one recording",
    )


def _counted_once(recording: Recording) -> int:
    """Return how many objects an iteration leaves that the collector counts."""
    nodes = [
        leaf_node() if isinstance(event, Born) else call_node(len(event.outputs))
        for event in recording.events
        if isinstance(event, Born | Called)
    ]
    iterations = sum(isinstance(event, Iterated) for event in recording.events)
    return sum(node.objects + node.tuples for node in nodes) // max(1, iterations)
