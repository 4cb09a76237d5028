"""Does theory hold? Every predicted-against-measured pair of every experiment, and each that needs a cause."""

from collections import Counter
from collections.abc import Sequence

from toolkit.analysis.agreement import AGREES_PERCENT, FROM_ELEMENTS, Pair
from toolkit.report import Column, Finding, Table
from toolkit.report.units import levels_text, number, unit_of, words_of

__all__ = ["exceptions", "finding", "pairs_table"]

_WITHIN = f"{AGREES_PERCENT:g} %"
_WHICH = f"arrays of {number(FROM_ELEMENTS, 0)} numbers or more, or of no arrays"


def finding(pairs: Sequence[Pair], too_small: int) -> Finding | None:
    """Say of how many pairs measurement and prediction agree; None where nothing was predicted.

    Parameters
    ----------
    pairs : sequence of Pair
    too_small : int
        How many more there are whose arrays are too small to be counted here.
    """
    if not pairs:
        return None
    counts = Counter(str(pair.agreement) for pair in pairs)
    exact = [pair for pair in pairs if pair.agreement == "agrees" and not pair.comparison.deviation]
    nothing = sum(not pair.comparison.predicted for pair in exact)
    of_nothing = f", {nothing} of them 0 = 0" if nothing else ""
    told = [f"{counts['agrees']} within {_WITHIN} ({len(exact)} to the byte or count{of_nothing})"]
    for agreement, words in (
        ("exception", "beyond it for a named cause"),
        ("unexplained", "beyond it and UNEXPLAINED"),
        ("estimate", "estimates, of which nothing is claimed"),
    ):
        if counts[agreement]:
            told.append(f"{counts[agreement]} {words}")
    if not counts["unexplained"]:
        told.append("none unexplained")
    measured = "; ".join(told)
    confirmed = counts["agrees"] + counts["exception"]
    others = f" Of smaller arrays: {too_small} more, held only to what each claims." if too_small else ""
    return Finding(
        sentence=f"Predictions of {_WHICH}: {len(pairs)}. Measured against these: {measured}.{others}",
        status="deviates" if counts["unexplained"] else "confirmed" if confirmed else "observed",
        figure=f"every predicted-against-measured pair of every experiment, of {_WHICH}",
        expected=f"within {_WITHIN}, or a named exception",
        measured=f"{measured}, of {len(pairs)}",
    )


def exceptions(pairs: Sequence[Pair], stem: str) -> Table | None:
    """Return the table of the pairs beyond the percentage, what is unexplained first; None where there are none."""
    beyond = [pair for pair in pairs if pair.agreement in ("exception", "unexplained")]
    if not beyond:
        return None
    experiment, cell, _, quantity = _IDENTITY
    columns = (
        experiment,
        cell,
        quantity,
        *_DEVIATION,
        Column(heading="agreement", name="agreement"),
        Column(heading="cause", name="cause"),
    )
    first_unexplained = sorted(beyond, key=lambda pair: pair.agreement != "unexplained")
    causes = list(dict.fromkeys(cause for pair in first_unexplained if (cause := _cause(pair))))

    def row(pair: Pair) -> tuple[str | float | None, ...]:
        cause = _cause(pair)
        numbered = f"({causes.index(cause) + 1})" if cause else "none is named"
        if cause and pair.agreement == "unexplained":
            numbered = f"more than {numbered} explains"
        told = "named exception" if pair.agreement == "exception" else "deviates"
        name, levels, _, metric = _identity(pair)
        return (name, levels, metric, *_deviation(pair), told, numbered)

    explained = (f"({place}) {cause[0].upper()}{cause[1:]}." for place, cause in enumerate(causes, 1))
    return Table(
        stem=stem,
        title=f"Beyond {_WITHIN}, and why",
        columns=columns,
        rows=tuple(map(row, first_unexplained)),
        notes=(*explained, *([_BESIDE] if causes else [])),
    )


def pairs_table(pairs: Sequence[Pair], stem: str) -> Table | None:
    """Return the table of all pairs, in the unit that each has; None where there are none."""
    columns = (
        *_IDENTITY,
        Column(heading="unit", name="unit"),
        Column(heading="measured", name="measured"),
        Column(heading="predicted", name="predicted"),
        *_DEVIATION,
        Column(heading="cause", name="cause"),
        Column(heading="agreement", name="agreement"),
        Column(heading="formula", name="formula"),
    )
    rows = tuple(
        (
            *_identity(pair),
            unit_of(pair.comparison.metric),
            pair.comparison.measured.median,
            pair.comparison.predicted,
            *_deviation(pair),
            _cause(pair),
            pair.agreement,
            pair.comparison.basis,
        )
        for pair in pairs
    )
    title = "Every predicted-against-measured pair"
    return Table(stem=stem, title=title, columns=columns, rows=rows) if rows else None


_BESIDE = (
    "What a figure may be off by is what its cause moves it by, and what lies beside arrays: small objects, and "
    "errors of readings."
)
_IDENTITY = (
    Column(heading="experiment", name="experiment"),
    Column(heading="cell", name="cell"),
    Column(heading="measure", name="measure"),
    Column(heading="quantity", name="quantity"),
)
_DEVIATION = (
    Column(heading="off by", name="deviation_percent", unit="percent", signed=True),
    Column(heading="may be off by", name="accounted_percent", unit="percent"),
)


def _identity(pair: Pair) -> tuple[str, ...]:
    one = pair.comparison
    return pair.experiment, levels_text(one.levels), one.measure, words_of(one.metric)


def _deviation(pair: Pair) -> tuple[float | None, float]:
    one = pair.comparison
    return one.deviation_percent, max(AGREES_PERCENT, one.accounted_percent or 0)


def _cause(pair: Pair) -> str | None:
    named = pair.comparison.exception
    return named.cause if named else None
