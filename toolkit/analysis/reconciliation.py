"""From the logical bytes of a peak to the resident set: each step between two readings, by its name."""

from dataclasses import dataclass

__all__ = ["Part", "Reconciliation", "reconcile"]


@dataclass(frozen=True, slots=True)
class Part:
    """A reading, or the step to the next one.

    Attributes
    ----------
    name : str
    nbytes : int
        Of a reading the whole, of a step the change.
    is_reading : bool
    """

    name: str
    nbytes: int
    is_reading: bool = False


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What stands between the arrays of a peak and its pages.

    Attributes
    ----------
    parts : tuple of Part
        Readings with the steps between them: the steps from a reading to the next add up to their difference.
    unaccounted_bytes : int
        Arrays that are traced and that the logical bytes do not count: nothing tells what they are.
    residual_bytes : int
        What of the resident set neither the logical bytes nor the rounding to pages nor libraries explain: those
        arrays, small blocks and pages that an allocator keeps, less what found room in the reserve.
    """

    parts: tuple[Part, ...]
    unaccounted_bytes: int
    residual_bytes: int

    @property
    def residual_percent(self) -> float:
        """The residual without its sign, in percent of the resident peak."""
        peak = self.parts[-1].nbytes
        return 100 * abs(self.residual_bytes) / peak if peak else 0.0


def reconcile(
    *,
    logical_bytes: int,
    temporary_bytes: int = 0,
    traced_bytes: int,
    rounding_bytes: int | None,
    heap_bytes: int | None,
    anonymous_bytes: int,
    file_bytes: int,
    rss_bytes: int,
) -> Reconciliation:
    """Return the steps from the logical bytes of a peak to its resident set.

    Parameters
    ----------
    logical_bytes : int
        The arrays that are alive by the account of the ledger, or by the prediction.
    temporary_bytes : int
        Those of the logical bytes that live inside an operation only, when nothing else is read.
    traced_bytes : int
        What numpy had allocated for array data, at the same moment of a trial of the same cell.
    rounding_bytes : int or None
        What the traced arrays take beyond their data, headers included; None where that is not known.
    heap_bytes : int or None
        What malloc had handed out, less the baseline; None where nothing tells that: its step is left out.
    anonymous_bytes, file_bytes : int
        The resident pages without and with a file, less the baseline.
    rss_bytes : int
        The resident peak, less the baseline.
    """
    unaccounted = traced_bytes - (logical_bytes - temporary_bytes)
    parts = [Part("logical bytes", logical_bytes, is_reading=True)]
    if temporary_bytes:
        parts.append(Part("temporaries inside operations", -temporary_bytes))
    parts += [
        Part("arrays in no account", unaccounted),
        Part("traced", traced_bytes, is_reading=True),
    ]
    known = traced_bytes + (rounding_bytes or 0)
    if rounding_bytes is not None:
        parts.append(Part("page rounding and chunk headers", rounding_bytes))
    if heap_bytes is not None:
        small = "small blocks" if rounding_bytes is not None else "page rounding, headers and small blocks"
        parts.append(Part(small, heap_bytes - known))
        parts.append(Part("malloc in use", heap_bytes, is_reading=True))
    rest = anonymous_bytes - (known if heap_bytes is None else heap_bytes)
    parts += [
        Part("found room in the reserve" if rest < 0 else "Python's arenas, kept by malloc", rest),
        Part("anonymous RSS", anonymous_bytes, is_reading=True),
        Part("libraries", file_bytes),
    ]
    if between := rss_bytes - anonymous_bytes - file_bytes:
        parts.append(Part("between two events", between))
    parts.append(Part("RSS", rss_bytes, is_reading=True))
    explained = known if rounding_bytes is not None or heap_bytes is None else heap_bytes
    return Reconciliation(tuple(parts), unaccounted, unaccounted + rss_bytes - explained - file_bytes)
