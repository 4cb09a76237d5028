"""Numbers for people: bytes become KiB and MiB, seconds become ms. The one place where units change."""

import math
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from toolkit.analysis.statistics import Estimate
from toolkit.report import Unit, Value
from toolkit.trials import Level

#: What the unit is divided by, and what it is called then, from the largest down.
_SCALES: dict[str, tuple[tuple[float, str], ...]] = {
    "bytes": ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")),
    "seconds": ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
    "pages": ((1, "pages"),),
    "percent": ((1, "%"),),
    "S": ((1, "S"),),
    "count": ((1, ""),),
    "": ((1, ""),),
}
_MINUS = "\N{MINUS SIGN}"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
#: Beyond these a number has more digits, or zeros after the point, than the eye can count.
POWERS_FROM, _POWERS_BELOW = 1e9, 1e-3
#: Of the ends of an interval: so many may be added to tell them apart, and beyond these nothing is told.
_TELLING_DECIMALS, _MOST_DECIMALS = 6, 15
_NOTHING = "\N{EN DASH}"
#: The metrics whose name says what was counted only with its unit.
_TIMES = {"wall_seconds": "wall_time", "cpu_seconds": "CPU_time"}


def unit_of(metric: str) -> Unit:
    """Return the unit that ends the name of a metric, or "" where none does."""
    for unit in ("bytes", "seconds", "count"):
        if metric.endswith(f"_{unit}"):
            return unit
    return ""


def words_of(metric: str) -> str:
    """Return the name of a metric without its unit, in words: ``peak_rss_bytes`` is "peak RSS"."""
    words = _TIMES.get(metric, metric.removesuffix(f"_{unit_of(metric)}")).split("_")
    return " ".join(word.upper() if word in ("gc", "rss") else word for word in words)


def scale(unit: Unit, largest: float) -> tuple[float, str]:
    """Return what to divide numbers of `unit` by, and the name of the unit then, for numbers up to `largest`.

    Parameters
    ----------
    unit : str
        Of the raw numbers.
    largest : float
        The largest of them without its sign, in that unit.
    """
    scales = _SCALES[unit]
    if not largest:
        return next(one for one in scales if one[0] == 1)
    return next(((size, name) for size, name in scales if largest >= size), scales[-1])


def number(value: float, decimals: int | None = None) -> str:
    """Return a number, with commas and a true minus sign; without `decimals`, of some three digits."""
    if abs(value) >= POWERS_FROM or (decimals is None and 0 < abs(value) < _POWERS_BELOW):
        return power_text(value)
    decimals = _decimals(value) if decimals is None else decimals
    return f"{value:,.{decimals}f}".replace("-", _MINUS)


def text(value: Value, unit: Unit = "", *, signed: bool = False) -> str:
    """Return a raw value as people read it, with its unit.

    Parameters
    ----------
    value : bool, int, float, str, Estimate or None
        In `unit`; a text is given back as it is, None becomes a dash, an estimate has its interval beside it.
    unit : str
    signed : bool
        Show the sign of a positive number too.
    """
    if value is None:
        return _NOTHING
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, Estimate):
        return estimate_text(value, unit)
    size, name = scale(unit, abs(value))
    whole = size == 1 and unit in ("", "bytes", "count") and float(value).is_integer()
    shown = number(value / size, 0 if whole else None)
    if signed and value > 0:
        shown = f"+{shown}"
    return f"{shown}\N{NO-BREAK SPACE}{name}" if name else shown


def counted(count: int, thing: str) -> str:
    """Return how many there are of a thing, in words: one of it, or several."""
    return f"{number(count, 0)} {thing}{'' if count == 1 else 's'}"


def power_text(value: float) -> str:
    """Return a number with its power of ten, 2.5×10⁶, of three digits at most; a power of ten itself is 10⁶."""
    digits, _, power = f"{value:.2e}".partition("e")
    told = f"{digits.rstrip('0').rstrip('.').replace('-', _MINUS)}×10{str(int(power)).translate(_RAISED)}"
    return told.removeprefix("1×")


def level_text(level: Level) -> str:
    """Return a level as people read it: whole numbers with commas between their thousands."""
    if isinstance(level, bool | str):
        return str(level)
    return number(level, 0) if float(level).is_integer() else f"{level:g}"


def levels_text(levels: Mapping[str, Level]) -> str:
    """Return levels as "factor=level, ..."."""
    return ", ".join(f"{name}={level_text(level)}" for name, level in levels.items())


def estimate_text(estimate: Estimate, unit: Unit) -> str:
    """Return a median with its interval, "7.63 MiB (7.62 to 7.65)", where that has any width.

    The ends are rounded away from the median, which gets as many digits as they need to differ. Those of too few
    readings for an interval are called what they are, "7.63 MiB (range 7.62 to 7.65)".
    """
    if estimate.low is None or estimate.high is None or estimate.low == estimate.high:
        return text(estimate.median, unit)
    size, name = scale(unit, abs(estimate.median))
    low, middle, high = (value / size for value in (estimate.low, estimate.median, estimate.high))
    decimals = min(_decimals(middle), _MOST_DECIMALS)
    while number(low, decimals) == number(high, decimals) and decimals < _TELLING_DECIMALS:
        decimals += 1
    ends = f"{_rounded(low, decimals, ROUND_FLOOR)} to {_rounded(high, decimals, ROUND_CEILING)}"
    shown = f"{number(middle, decimals)}\N{NO-BREAK SPACE}{name}" if name else number(middle, decimals)
    return f"{shown} ({'' if estimate.is_interval else 'range '}{ends})"


def _rounded(value: float, decimals: int, way: str) -> str:
    """Return a number as `number` does, rounded one way; of powers three digits are near enough."""
    if abs(value) < POWERS_FROM:
        value = float(Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-decimals), way))
    return number(value, decimals)


def _decimals(value: float) -> int:
    size = abs(value)
    if size < 0.095:
        return 1 - math.floor(math.log10(size)) if size else 0
    return 0 if size >= 99.95 else 1 if size >= 9.995 else 2
