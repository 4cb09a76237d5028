"""What a metric can be: what every store can hold, named with its unit at the end; and how many there can be."""

import math

__all__ = ["MOST_METRICS", "check_metric"]

#: How many a trial may have: each is a column of every table, and a series is for what there is more of.
MOST_METRICS = 1000


def check_metric(name: str, value: object) -> None:
    """Refuse what is no value for the metric `name`.

    Raises
    ------
    TypeError
        When it is no Python number, or one in bytes or counts is no int: ``float(...)`` or ``int(...)`` makes one
        of a numpy scalar.
    ValueError
        When it is infinite, not a number, or an int beyond 64 bits.
    """
    whole = name.endswith(("_bytes", "_count"))
    if type(value) is int:
        fits = -(2**63) <= value < 2**63
    elif type(value) is float and not whole:
        fits = math.isfinite(value)
    else:
        wanted = "an int" if whole else "an int or a float"
        raise TypeError(f"metric {name} must be {wanted}, not {type(value).__name__}")
    if not fits:
        raise ValueError(f"metric {name} must be finite and, if an int, fit 64 bits, not {value}")
