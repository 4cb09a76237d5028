"""The instrumented core as an engine."""

import numpy as np

from toolkit import Variable, __version__, matmul, square, using_config

#: From this size on a product touches all of OpenBLAS's buffers.
_PRODUCT_SIZE = 640


class Core:
    """The instrumented core."""

    version = __version__

    def __init__(self) -> None:
        self._multiplied = False

    def warm_up(self, rng: np.random.Generator) -> None:
        """Go through the loop of step 17.5 three times, forward and backward, with weak references.

        The arrays are large enough for numpy's temporary elision, whose first use loads a library, and the product
        for the buffers of the library that multiplies matrices. They stay, so that one product is enough.
        """
        with using_config(references="weak", traversal="generation", enable_backprop=True):
            for _ in range(3):
                x = Variable(rng.standard_normal(40_000))
                y = square(square(square(x)))
                y.backward()
            if not self._multiplied:
                matrix = np.ones((_PRODUCT_SIZE, _PRODUCT_SIZE))
                matmul(matrix, matrix)
                self._multiplied = True


ENGINE = Core()
