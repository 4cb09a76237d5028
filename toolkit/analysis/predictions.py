"""Predicted peaks of the modes of steps 17 and 18, counted in arrays.

The formulas count arrays of one size that are alive at once; `SYMBOLS` says what their letters mean.
"""

import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from toolkit.core.binomial import first_part
from toolkit.trials.metric import check_metric

#: What the letters of formulas mean, for people: the report says it beside every formula.
SYMBOLS: Mapping[str, str] = {
    "S": "the data of one array, and for resident bytes the pages that hold it",
    "k": "the functions in a chain",
    "T": "the iterations of the loop",
    "τ": "the arrays that the gradient of a square needs beyond its result while it is computed, of which the "
    "resident set has none, for it is read between functions",
    "m": "the parts of a chain whose inputs are kept",
    "s": "the functions in a part",
    "g": "the iterations whose arrays are alive at once",
    "a": "the arrays of one iteration",
    "c": "the iterations from one collection to the next",
}


def formula(told: str, **values: int) -> str:
    """Return a formula with the values of its letters behind it: "(k+1) S, k=3"."""
    return ", ".join([told, *(f"{letter}={value}" for letter, value in values.items())])


#: glibc keeps the size of a block in this many bytes in front of it (malloc/malloc.c, "chunk").
CHUNK_HEADER_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """Why, and how far, a measurement may rightly lie from a prediction.

    Attributes
    ----------
    percent : float
        Of the prediction, either way: beyond that the cause explains nothing.
    cause : str
        For people.

    Raises
    ------
    TypeError, ValueError
        When the percentage is not what a metric can be, or the cause is not told.
    """

    percent: float
    cause: str

    def __post_init__(self) -> None:
        check_metric("percent", self.percent)
        if not isinstance(self.cause, str) or not self.cause.strip():
            raise ValueError(f"an exception has a cause, in words, and not {self.cause!r}")


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What theory says that a trial's arrays occupy.

    Attributes
    ----------
    basis : str
        The formula of the peak, for people, or whatever else all of the prediction rests on.
    other_bases : mapping of str to str
        The formulas of what has another one: of the end by "end", of a metric by its name.
    peak_arrays : float
        How many arrays are alive at the peak.
    end_arrays : float or None
        How many are alive when the workload has ended and its result is still held; None where that hangs on
        what theory does not know.
    array_bytes : int
        The data of one array, in bytes; 0 where nothing is predicted of bytes.
    temporary_arrays : float
        How many of those at the peak live inside one function only. The resident set is read between functions,
        so they are left out of its peak.
    exact : bool
        False for a model that is right within some percent, such as that of the collector.
    metrics : mapping of str to int or float
        What is predicted of other metrics, by their names.
    exception : Deviation or None
        Why bytes may lie further from the prediction than the report takes for agreement.

    Raises
    ------
    TypeError, ValueError
        When one of the numbers is not what a metric can be: see `trials.metric.check_metric`.
    """

    basis: str
    other_bases: Mapping[str, str] = field(default_factory=dict)
    peak_arrays: float = 0
    end_arrays: float | None = None
    array_bytes: int = 0
    temporary_arrays: float = 0
    exact: bool = True
    metrics: Mapping[str, int | float] = field(default_factory=dict)
    exception: Deviation | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.basis, str) or not isinstance(self.exact, bool):
            raise TypeError(f"basis is text and exact a bool, not {self.basis!r} and {self.exact!r}")
        if not all(isinstance(text, str) for pair in self.other_bases.items() for text in pair):
            raise TypeError(f"other_bases maps text to text, and is not {self.other_bases!r}")
        for name in ("peak_arrays", "temporary_arrays", "end_arrays"):
            count = getattr(self, name)
            if count is not None:
                check_metric(name, count)
        if self.array_bytes < 0:
            raise ValueError(f"an array has 0 bytes or more, not {self.array_bytes}")
        check_metric("array_bytes", self.array_bytes)
        for name, value in self.metrics.items():
            check_metric(name, value)

    def peak_bytes(self, measure: Literal["resident", "traced"]) -> int:
        """Return the peak in bytes: of array data, or of the pages that hold it between functions."""
        unseen = self.temporary_arrays if measure == "resident" else 0
        return round((self.peak_arrays - unseen) * self._bytes_each(measure))

    def end_bytes(self, measure: Literal["resident", "traced"]) -> int | None:
        """Return what is alive at the end in bytes: of array data, or of the pages that hold it."""
        return None if self.end_arrays is None else round(self.end_arrays * self._bytes_each(measure))

    def _bytes_each(self, measure: Literal["resident", "traced"]) -> int:
        return page_rounded(self.array_bytes) if measure == "resident" else self.array_bytes


def page_rounded(array_bytes: int, page_bytes: int = mmap.PAGESIZE) -> int:
    """Return the bytes of the pages that an array of `array_bytes` occupies when malloc maps it by itself.

    Source: malloc/malloc.c of glibc, `sysmalloc_mmap`: the request and its header, rounded up to whole pages.
    """
    return -(-(array_bytes + CHUNK_HEADER_BYTES) // page_bytes) * page_bytes


#: From this size on numpy computes `(x + x) * gy` in place of its own temporary (numpy/_core/src/multiarray/
#: temp_elide.c, NPY_MIN_ELIDE_BYTES), so that the gradient of a square needs one array less.
ELISION_BYTES = 256 << 10


def square_temporaries(array_bytes: int) -> int:
    """Return tau, the arrays that the gradient of a square needs beyond its result: 0 with elision, 1 without."""
    return 0 if array_bytes >= ELISION_BYTES else 1


def check_lengths(k: int, iterations: int = 1) -> None:
    """Raise ValueError where there is no chain, or no loop, that a formula could speak of."""
    if k < 1 or iterations < 1:
        raise ValueError(
            f"a chain has one function or more and a loop one iteration or more, not {k} and {iterations}"
        )


def forward(k: int, array_bytes: int, *, enable_backprop: bool) -> Prediction:
    """Predict one pass forward through a chain of `k` functions, x and y held by the caller (step 18.3).

    The graph keeps every intermediate array: k + 1 with x and y. Without it a function's input is dropped as
    soon as the next one has its result: x and two neighbours, of which y is one at the end.
    """
    check_lengths(k)
    if enable_backprop:
        basis = formula("(k+1) S", k=k)
        return Prediction(peak_arrays=k + 1, end_arrays=k + 1, array_bytes=array_bytes, basis=basis)
    return Prediction(
        peak_arrays=min(k, 2) + 1,
        end_arrays=2,
        array_bytes=array_bytes,
        basis=formula("min(k+1, 3) S", k=k),
        other_bases={"end": "2 S"},
    )


def backward(k: int, array_bytes: int, *, retain_grad: bool) -> Prediction:
    """Predict forward and backward by generation through `k` squares, x and y held by the caller (step 18.1).

    To the k + 1 arrays of the graph, the backward pass adds the gradient that a square is given and the one that
    it returns, and the temporaries of computing it; with `retain_grad` all k + 1 gradients stay.
    """
    check_lengths(k)
    tau = square_temporaries(array_bytes)
    if retain_grad:
        return Prediction(
            peak_arrays=2 * k + 2 + tau,
            end_arrays=2 * k + 2,
            array_bytes=array_bytes,
            temporary_arrays=tau,
            basis=formula("(2k+2+τ) S", k=k, τ=tau),
            other_bases={"end": formula("(2k+2) S", k=k)},
        )
    return Prediction(
        peak_arrays=k + 3 + tau,
        end_arrays=k + 2,
        array_bytes=array_bytes,
        temporary_arrays=tau,
        basis=formula("(k+3+τ) S", k=k, τ=tau),
        other_bases={"end": formula("(k+2) S", k=k)},
    )


def loop_without_garbage(
    k: int, iterations: int, array_bytes: int, *, enable_backprop: bool = True, held: bool = False
) -> Prediction:
    """Predict a loop that makes a chain of `k` functions anew in each iteration, all of it freed in time.

    The names of the loop hold one iteration's graph until the next one's is complete: two graphs (step 17.5).
    Without the graph they hold one iteration's x and y; x goes first, so that beside the old y there are the new
    x and two neighbours. `held` says whether x and y of the last iteration are held at the end.
    """
    check_lengths(k, iterations)
    once = forward(k, array_bytes, enable_backprop=enable_backprop)
    end = {"end": once.other_bases.get("end", once.basis) if held else "0 S"}
    once = replace(once, end_arrays=once.end_arrays if held else 0, other_bases=end)
    if iterations == 1:
        return once
    peak, basis = (2 * (k + 1), "2 (k+1) S") if enable_backprop else (min(k, 2) + 2, "min(k+2, 4) S")
    return replace(once, peak_arrays=peak, basis=formula(basis, k=k))


def loop_without_collector(k: int, iterations: int, array_bytes: int) -> Prediction:
    """Predict the same loop with strong references where nothing collects the cycles: every graph stays."""
    check_lengths(k, iterations)
    arrays = iterations * (k + 1)
    basis = formula("T a S", T=iterations, a=k + 1)
    return Prediction(peak_arrays=arrays, end_arrays=arrays, array_bytes=array_bytes, basis=basis)


def checkpoints_every(k: int, every: int, array_bytes: int, *, retain_graph: bool = True) -> Prediction:
    """Predict forward and backward through `k` squares in parts of `every`, x and y held (`checkpoint_every`).

    Of m = ceil(k / every) parts the inputs are kept, and y. While a part is gone back through there are all of its
    arrays but the last, the gradient that a square is given and the one that it returns: m+s+2 with temporaries.
    Every function is evaluated once more.
    """
    size = min(every, k)
    parts = -(-k // size)
    tau = square_temporaries(array_bytes)
    return Prediction(
        peak_arrays=parts + size + 2 + tau,
        end_arrays=parts + 2 if retain_graph else 3,
        array_bytes=array_bytes,
        temporary_arrays=tau,
        basis=formula("(m+s+2+τ) S", m=parts, s=size, τ=tau),
        other_bases={
            "end": formula("(m+2) S", m=parts) if retain_graph else "3 S",
            "forward_evaluations_count": formula("2 k", k=k),
        },
        metrics={"forward_evaluations_count": 2 * k},
    )


def binomial_checkpoints(k: int, states: int, array_bytes: int) -> Prediction:
    """Predict forward and backward through `k` squares with `states` kept ones, x and y held.

    The schedule is walked through (`checkpoint_binomial`): beside the kept states there are y, its gradient, the
    gradient that was reached, and either two neighbouring states on the way forward, or the state whose step is
    undone and its gradient. The first sweep, which makes y, saves the way to the last state that it keeps.
    """
    walk = _BinomialWalk(square_temporaries(array_bytes))
    start, place = 0, states
    kept = [(0, states)]
    while place > 1 and k - start > 1:
        start += first_part(k - start, place)
        place -= 1
        kept.append((start, place))
    end = k
    for held, (start, place) in reversed(list(enumerate(kept, start=1))):
        walk.undo(end - start, place, held)
        end = start
    return Prediction(
        peak_arrays=walk.peak,
        array_bytes=array_bytes,
        temporary_arrays=0,
        basis=f"binomial schedule of {k} steps with {states} states",
        metrics={"forward_evaluations_count": k + walk.evaluations},
    )


class _BinomialWalk:
    def __init__(self, tau: int) -> None:
        self._tau = tau
        self._gradients = 1
        self.peak = 0
        self.evaluations = 0

    def undo(self, length: int, states: int, held: int) -> None:
        """Undo `length` steps with `states` states, the one in front of them among the `held` ones."""
        if states > 1 and length > 1:
            part = first_part(length, states)
            self._advance(part, held)
            self.undo(length - part, states - 1, held + 1)
            self.undo(part, states, held)
            return
        for ahead in range(length - 1, -1, -1):
            self._advance(ahead, held)
            # The state, unless it is a kept one, and its gradient.
            self._alive(held + (ahead > 0) + 1 + self._tau)
            self.evaluations += 1
            self._gradients = 2

    def _advance(self, steps: int, held: int) -> None:
        self.evaluations += steps
        self._alive(held + min(steps, 2))

    def _alive(self, states: int) -> None:
        # y, the gradient that the schedule began with and the one that it has reached.
        self.peak = max(self.peak, 1 + self._gradients + states)


def reused_buffers(k: int, array_bytes: int) -> Prediction:
    """Predict a loop that goes forward and backward through `k` squares, its memory used again.

    In the first iteration there are, at the peak, x, the k outputs, the gradient that a square is given and the
    one that it returns, and always one temporary: memory that is used again is not computed into in place. All but
    x stays for the iterations that follow, which need no more.
    """
    return Prediction(
        peak_arrays=k + 4,
        end_arrays=k + 3,
        array_bytes=array_bytes,
        temporary_arrays=1,
        basis=formula("(k+4) S", k=k),
        other_bases={"end": formula("(k+3) S", k=k)},
    )
