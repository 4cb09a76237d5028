"""Why bytes are still held when a workload has ended: told by what makes them go away."""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Kind", "Verdict", "verdicts"]

Kind: TypeAlias = Literal[
    "garbage awaiting collection",
    "frozen garbage",
    "cache",
    "leak",
    "memory that no array owns",
    "retained by the allocator",
    "retained after release",
    "untouched pages",
]

#: What malloc may keep by design without being asked to give it back: glibc's M_TRIM_THRESHOLD is 128 KiB.
RETAINED_FROM_BYTES = 128 << 10
#: What a workload leaves to Python by being run: code that is specialised, names, modules that it imports.
OBJECTS_FROM_BYTES = 128 << 10
#: What an array may take beyond its data: those of 64 KiB or more have pages of their own, 4 KiB each.
_OVERHEAD = 1 / 16
#: Arrays of less than 64 KiB lie on pages that were resident before, of which there are 2 MiB.
UNTOUCHED_FROM_BYTES = 2 << 20

_SENTENCES: dict[Kind, str] = {
    "garbage awaiting collection": "traced until the collector was asked to run, and freed by it",
    "frozen garbage": "traced after collecting, and freed when what gc.freeze hid was collected too",
    "cache": "traced after collecting, and freed when functools' caches and the core's buffers were emptied",
    "leak": "still traced when the result was dropped, garbage collected and known caches emptied",
    "memory that no array owns": "still traced then beside arrays: buffers and other objects of Python",
    "retained by the allocator": "resident with garbage collected, and given back by the allocator's release call",
    "retained after release": "resident after that call too, beyond what is traced",
    "untouched pages": "traced at the end and not resident: nobody has written to them",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why some bytes are held.

    Attributes
    ----------
    kind : str
    nbytes : int
    sentence : str
        How that is known.
    beyond_bytes : int
        What the release call gave back beside that: pages that were resident before the workload.
    """

    kind: Kind
    nbytes: int
    sentence: str
    beyond_bytes: int = 0


def verdicts(
    *,
    end_traced_bytes: int,
    dropped_traced_bytes: int,
    collected_traced_bytes: int,
    unfrozen_traced_bytes: int,
    cleared_traced_bytes: int,
    cleared_traced_total_bytes: int | None = None,
    end_rss_bytes: int,
    dropped_rss_bytes: int,
    collected_rss_bytes: int,
    trimmed_rss_bytes: int,
) -> tuple[Verdict, ...]:
    """Return why bytes are held at the end, beyond what the workload returned; a verdict for each kind that is.

    Parameters
    ----------
    end_traced_bytes, dropped_traced_bytes, collected_traced_bytes : int
    unfrozen_traced_bytes, cleared_traced_bytes : int
        Array data with the result held, with it dropped, with garbage collected, with what was frozen collected
        too, with known caches emptied.
    cleared_traced_total_bytes : int or None
        As the last, of all that Python allocates; None where that is not known.
    end_rss_bytes, dropped_rss_bytes, collected_rss_bytes, trimmed_rss_bytes : int
        The resident set less the baseline, with the result held, with it dropped, with garbage collected, with
        malloc trimmed.

    Returns
    -------
    tuple of Verdict
        In the order in which the bytes went away. Bytes that were garbage may be retained by the allocator
        afterwards: they have two verdicts. What is retained hides as many untouched bytes, and garbage is not
        asked whether it was touched.
    """
    # Below 0 are pages that were resident before the workload: it never held them.
    still_resident = max(0, trimmed_rss_bytes)
    retained = collected_rss_bytes - still_resident
    garbage = dropped_traced_bytes - collected_traced_bytes
    # What Python allocates beside arrays may be resident as well, but need not: it may lie in the reserve.
    objects = (cleared_traced_total_bytes or 0) - cleared_traced_bytes
    # Traced and resident trials are two: the collector may have left one of them more garbage than the other.
    resident = end_rss_bytes - (dropped_rss_bytes - collected_rss_bytes)
    # An allocator may have given back pages of before meanwhile: nothing of the workload is missing there.
    untouched = (end_traced_bytes - garbage) - max(0, resident)
    known = math.ceil((1 + _OVERHEAD) * (collected_traced_bytes + max(0, objects)))
    after_release = still_resident - known if cleared_traced_total_bytes is not None else 0
    held: dict[Kind, int] = {
        "garbage awaiting collection": garbage,
        "frozen garbage": collected_traced_bytes - unfrozen_traced_bytes,
        "cache": unfrozen_traced_bytes - cleared_traced_bytes,
        "leak": cleared_traced_bytes,
        "memory that no array owns": objects if objects > OBJECTS_FROM_BYTES else 0,
        "retained by the allocator": retained if retained > RETAINED_FROM_BYTES else 0,
        "retained after release": after_release if after_release > RETAINED_FROM_BYTES else 0,
        "untouched pages": untouched if untouched > UNTOUCHED_FROM_BYTES else 0,
    }
    beyond: dict[Kind, int] = {"retained by the allocator": max(0, -trimmed_rss_bytes)}
    return tuple(
        Verdict(kind, nbytes, _SENTENCES[kind], beyond.get(kind, 0))
        for kind, nbytes in held.items()
        if nbytes > 0
    )
