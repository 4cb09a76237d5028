"""The instrumented core as an engine."""

import numpy as np

from toolkit import Variable, __version__, square, using_config


class Core:
    """The instrumented core."""

    version = __version__

    def warm_up(self, rng: np.random.Generator) -> None:
        """Go through the loop of step 17.5 three times, with weak references, forward and backward.

        The arrays are large enough for numpy's temporary elision, whose first use loads a library.
        """
        with using_config(references="weak", traversal="generation", enable_backprop=True):
            for _ in range(3):
                x = Variable(rng.standard_normal(40_000))
                y = square(square(square(x)))
                y.backward()


ENGINE = Core()
