"""The words in which a report flags the figures of a probe that changes what it watches."""

from collections.abc import Iterable, Sequence

from toolkit.analysis.observing import EXPERIMENT, Observed, Twin
from toolkit.report.units import number, text

__all__ = ["FLAG", "MARK", "effect", "explanation", "marked", "remark", "state", "told_of"]

#: What is put beside the name of a metric.
FLAG = "changes what it watches"

#: What is put beside figures, and before what `remark` says of them; `explanation` tells what it means.
MARK = "\N{DAGGER}"


def effect(twin: Twin) -> str:
    """Return what a twin did beside the bare one."""
    return (
        f"collections: {number(twin.collections_count, 0)} beside {number(twin.bare_collections_count, 0)} bare; "
        f"peak: {text(twin.higher_bytes, 'bytes', signed=True)} beside {text(twin.bare_peak_bytes, 'bytes')} bare"
    )


def marked(words: str, changing: bool) -> str:
    """Return what names figures in a table, with the mark to which the remark below it belongs."""
    return f"{words} {MARK}" if changing else words


def remark(twins: Iterable[Twin]) -> str:
    """Return the mark on figures that probes took which change what they watch; nothing for none."""
    told = list(dict.fromkeys(twin.watcher for twin in twins))
    return f"{MARK} Watched by {' and '.join(told)}." if told else ""


def explanation(twins: Iterable[Twin]) -> str:
    """Return what `remark` stands for, for all these probes at once; nothing for none."""
    found = tuple(dict.fromkeys(twins))
    if not found:
        return ""
    names = list(dict.fromkeys(twin.watcher for twin in found))
    told = "; ".join(f"{twin.watcher}: {effect(twin)}" for twin in found)
    return (
        f"{MARK} The probe{'s' * (len(names) > 1)} {' and '.join(names)} {_change(names)}, as seen in the loop of "
        f"{EXPERIMENT}, which leaves its garbage to the collector ({told}). The mark stands beside figures of "
        "trials that they watch and whose garbage is left to the collector too: those hold for what is watched so."
    )


def _change(names: Sequence[str]) -> str:
    return FLAG if len(names) == 1 else "change what they watch"


def state(observed: Observed, measure: str) -> str:
    """Return what is known of the probes of a measure, in words: which of them change what they watch."""
    changing = list(dict.fromkeys(twin.watcher for twin in observed.changing(measure)))
    unknown = observed.unknown(measure)
    told = [f"{' and '.join(changing)} {_change(changing)}"] if changing else [] if unknown else ["none"]
    return "; ".join([*told, *([f"not known of {', '.join(unknown)}"] if unknown else [])])


def told_of(observed: Observed, watcher: str) -> str:
    """Return what is known of a single probe or tool."""
    found: Sequence[Twin] = observed.of(watcher)
    if not found:
        return f"not known: this store holds no twin of {EXPERIMENT} that it watched"
    twin = found[0]
    return f"{FLAG}: {effect(twin)}" if twin.changes else f"none: {effect(twin)}"
