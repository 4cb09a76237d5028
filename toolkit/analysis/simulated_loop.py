"""What a recorded workload needs with strong references under a level of the factor `gc`, and how far that is off.

Where collections come at steps or not at all, lifetimes decide to the byte. Where Python runs the collector,
single objects decide where each collection falls: the simulation counts those that the engine keeps
(`analysis.counting`), and its bound is how far the peak moves when collections come earlier or later.
"""

from collections.abc import Iterator, Mapping

from toolkit.analysis.counting import (
    call_node,
    counted_at_start,
    deviation,
    leaf_node,
    shifted,
    thresholds_of,
)
from toolkit.analysis.predictions import Prediction
from toolkit.analysis.rehearsal import mode_of
from toolkit.analysis.simulation import Simulated
from toolkit.analysis.simulation.engine import simulate
from toolkit.recording import Born, Called, Iterated, Recording
from toolkit.trials import Level
from toolkit.trials.collecting import policy_of

__all__ = ["simulated_under"]

_STRONG = {"references": "strong"}
#: By how many numbers of objects collections are shifted, either way.
_SHIFTS = 6


def simulated_under(
    gc_level: Level, recording: Recording, array_bytes: int, interpreter: Mapping[str, Level]
) -> Prediction | None:
    """Predict a recorded loop with strong references under a level of `gc`.

    Parameters
    ----------
    gc_level : level
        Of the factor.
    recording : Recording
        Of a workload that takes its iterations from `trial.steps`.
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
    counted = counted_at_start(interpreter)

    def simulated(shift: int = 0, shifts: Iterator[int] | None = None) -> Simulated | None:
        return simulate(recording, mode_of(_STRONG, policy, thresholds, counted=counted + shift), shifts)

    found = simulated()
    if found is None or found.exact:
        return _exact(found, array_bytes)
    moved = [found]
    for shift, each in shifted(once, max(1, once // _SHIFTS)):
        moved += [one for one in (simulated(shift), simulated(shift, each)) if one is not None]
    bound = max(array_bytes, *(abs(one.peak_bytes - found.peak_bytes) for one in moved))
    return Prediction(
        peak_arrays=found.peak_bytes / array_bytes,
        array_bytes=array_bytes,
        basis=f"lifetimes simulated, thresholds {', '.join(map(str, thresholds))}",
        exact=False,
        exception=deviation(found.peak_bytes / array_bytes, bound / array_bytes, once, " the simulated peak"),
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
