"""What an engine is: an autograd implementation that can run a workload. A file's name is its engine's name."""

from typing import Protocol

import numpy as np


class Engine(Protocol):
    """An autograd implementation. A module of this folder offers one as `ENGINE`."""

    @property
    def version(self) -> str:
        """Which version of it this is."""

    def warm_up(self, rng: np.random.Generator) -> None:
        """Run a small loop, forward and backward, so that nothing is loaded or cached for the first time later.

        It leaves no garbage that waits for the collector.
        """
