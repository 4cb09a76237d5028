"""Handwritten digits to train on: those that ship with scikit-learn, of which nothing is imported."""

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from toolkit.core.checksum import checksum
from toolkit.core.config import no_grad
from toolkit.core.variable import Variable
from toolkit.nn import Layer

__all__ = ["PACKAGE", "TESTED", "TRAINED", "batches", "digits", "learned", "wrong_of"]

#: What brings them.
PACKAGE = "scikit-learn"
#: How many are trained on, the first, and how many are kept for the test, the last.
TRAINED, TESTED = 1500, 297
#: Pixels tell how many of the 16 dots of a square of 4 x 4 are inked.
_INKED = 16
#: How many are told at a time: few, so that the peak is that of training.
_AT_A_TIME = 33


def digits() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return images of digits and which digit each one is.

    Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, the test set, in UCI's Machine
    Learning Repository.

    Returns
    -------
    images : numpy.ndarray of float64
        Shape (TRAINED + TESTED, 64), 8 x 8 pixels each from 0 to 1.
    classes : numpy.ndarray of int64
        Shape (TRAINED + TESTED,), from 0 to 9.

    Raises
    ------
    ModuleNotFoundError
        scikit-learn is not installed.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(f"the digits come with the package {PACKAGE}, which is not installed")
    table = np.loadtxt(Path(package.origin).parent / "datasets/data/digits.csv.gz", delimiter=",")
    return table[:, :-1] / _INKED, table[:, -1].astype(np.int64)


def batches(rng: np.random.Generator, batch: int, steps: Iterable[int]) -> Iterator[npt.NDArray[np.int64]]:
    """Draw one order of those to train on, now, and return which to take at each step: all in turn, over and over.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the order.
    batch : int
        How many are taken at a step.
    steps : iterable of int
        Counted from 0.

    Returns
    -------
    iterator of numpy.ndarray of int64
        Shape (batch,), their positions among all.
    """
    order = rng.permutation(TRAINED)
    return (order[np.arange(step * batch, (step + 1) * batch) % TRAINED] for step in steps)


def learned(
    network: Layer, loss: Variable, images: npt.NDArray[np.float64], classes: npt.NDArray[np.int64]
) -> dict[str, int | float]:
    """Return what training came to, as metrics.

    Parameters
    ----------
    network : Layer
        As `wrong_of` takes it.
    loss : Variable
        The last one.
    images, classes : numpy.ndarray
        All of them, TRAINED + TESTED; the last are told.

    Returns
    -------
    dict of str to int or float
        How many of those that were not in training are told wrongly, the loss, and checksums of the gradients and
        the weights, which are equal where those are to the last bit.
    """
    return {
        "wrong_count": wrong_of(network, images[-TESTED:], classes[-TESTED:]),
        "loss_value": float(loss.data),
        "gradients_checksum": checksum(parameter.grad for parameter in network.parameters()),
        "weights_checksum": checksum(parameter.data for parameter in network.parameters()),
    }


def wrong_of(network: Layer, images: npt.NDArray[np.float64], classes: npt.NDArray[np.int64]) -> int:
    """Return how many of the images the network takes for another digit; no graph is made.

    Parameters
    ----------
    network : Layer
        Makes scores, shape (rows, 10), of images.
    images : numpy.ndarray
        As the network takes them, a row an image.
    classes : numpy.ndarray of int
        The right ones.
    """
    wrong = 0
    with no_grad():
        for start in range(0, len(images), _AT_A_TIME):
            some = slice(start, start + _AT_A_TIME)
            wrong += int((network(Variable(images[some])).data.argmax(axis=1) != classes[some]).sum())
    return wrong
