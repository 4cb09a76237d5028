"""A race of engines over one workload, forward and backward, against the bare numpy calls that it takes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import Reading, _engines
from benchmarks._racing.bytes import peak_bytes
from benchmarks._racing.rounds import Action, Around, Times, race

Workload = Callable[..., Any]

FLOOR = "numpy floor"


class Training:
    """The engines that are there, each with the workload as an action that returns gradients."""

    def __init__(
        self, workload: Workload, floor: Callable[..., Sequence[np.ndarray]], arrays: Sequence[np.ndarray]
    ) -> None:
        """Hold `workload`, called with an engine and its variables, and `floor`, called with the arrays."""
        self._actions: dict[str, Action] = {FLOOR: lambda: floor(*arrays)}
        self._around: dict[str, Around] = {}
        self._modes: list[str] = []
        self._peers: list[str] = []
        self._traced = [FLOOR]
        for name, engine in _engines.found().items():
            self._actions[name] = _action(engine, workload, arrays)
            (self._modes if name == "core" else self._peers).append(name)
            for mode, context in getattr(engine, "MODES", {}).items():
                self._actions[mode] = self._actions[name]
                self._around[mode] = context
                self._modes.append(mode)
            if getattr(engine, "TRACED", True):
                self._traced.append(name)
        self._traced += self._around

    def race(self, row: str, rounds: int, targets: Mapping[str, float]) -> Iterator[Reading]:
        """Check, race and trace.

        Parameters
        ----------
        row : str
            What the workload is called.
        rounds : int
            How often every engine runs.
        targets : mapping of str to float
            How many times as long as the floor, as a peer, as the `best peer` or as the `best Python peer` the core
            may take.
        """
        self.check()
        times = race(self._actions, rounds, self._around)
        for name in (*self._modes, *self._peers):
            at_most = targets.get(FLOOR) if name == "core" else None
            yield times.ratio(name, FLOOR, f"{row}: {name} / {FLOOR}", at_most)
        for peer, at_most in self._against(times, targets).items():
            yield times.ratio("core", peer, f"{row}: core / {peer}", at_most)
        yield from self._bytes(row, min(self._modes, key=lambda mode: times.ratio(mode, FLOOR).value))

    def check(self) -> None:
        """Refuse to race engines that compute different gradients."""
        expected = self._actions[FLOOR]()
        for name, action in self._actions.items():
            with self._inside(name):
                gradients = action()
            for mine, right in zip(gradients, expected, strict=True):
                np.testing.assert_allclose(mine, right, rtol=1e-9, atol=1e-12, err_msg=name)

    def _bytes(self, row: str, fastest: str) -> Iterator[Reading]:
        peaks = {}
        for name in self._traced:
            with self._inside(name):
                peaks[name] = peak_bytes(self._actions[name])
        for name in self._traced:
            yield Reading(name=f"{row}: array bytes of {name}", value=peaks[name] / 2**20, unit="MiB")
        name = f"{row}: array bytes of the fastest mode, {fastest}, / core"
        yield Reading(name=name, value=peaks[fastest] / peaks["core"], unit="×", at_most=1.0)

    def _inside(self, name: str) -> AbstractContextManager[object]:
        return self._around.get(name, nullcontext)()

    def _against(self, times: Times, targets: Mapping[str, float]) -> dict[str, float]:
        groups = {
            "best peer": self._peers,
            "best Python peer": [peer for peer in self._peers if peer != "pytorch"],
        }
        against: dict[str, float] = {}
        for name, target in targets.items():
            present = [peer for peer in groups.get(name, [name]) if peer in self._peers]
            if present:
                best = min(present, key=lambda peer: times.ratio(peer, FLOOR).value)
                against[best] = min(target, against.get(best, target))
        return against


def _action(engine: ModuleType, workload: Workload, arrays: Sequence[np.ndarray]) -> Action:
    return lambda: engine.gradients(lambda *xs: workload(engine, *xs), *arrays)
