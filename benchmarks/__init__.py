"""What the toolkit costs, measured on this machine: `make bench`.

Each module of this folder is a benchmark, and its docstring's first line says of what. Its function ``measure``
yields readings as it takes them. Comparisons are made in one interleaved run, as in `_racing`: figures of two runs
differ by what else the machine did meanwhile.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

# Numerical libraries read it when they are loaded, which is after this: one thread, whose time is all there is.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One figure of a benchmark.

    Attributes
    ----------
    name : str
        What was measured.
    value : float
    unit : str
        Such as "s", "MiB" or "×".
    at_most : float or None
        The target, in the same unit; None where there is none.
    """

    name: str
    value: float
    unit: str
    at_most: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the reading is no more than its target."""
        return self.at_most is None or self.value <= self.at_most

    def __str__(self) -> str:
        told = f"{self.name:<58} {self.value:>10.3g} {self.unit:<4}"
        if self.at_most is None:
            return told.rstrip()
        return f"{told} at most {self.at_most:g}{'' if self.is_met else '  MISSED'}"


class Benchmark(Protocol):
    """A module of this folder."""

    @staticmethod
    def measure() -> Iterator[Reading]:
        """Yield the readings, each as soon as it is taken."""
