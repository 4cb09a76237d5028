"""The digits of scikit-learn, read without it."""

import subprocess
import sys

import numpy as np
import pytest

from toolkit.nn import Layer
from toolkit.nn import digits as module
from toolkit.nn.digits import PACKAGE, TESTED, TRAINED, batches, digits, wrong_of

needs_digits = pytest.mark.skipif(
    module.find_spec("sklearn") is None, reason=f"the package {PACKAGE} is not installed"
)


@needs_digits
def test_every_image_has_its_class():
    images, classes = digits()
    assert images.shape == (TRAINED + TESTED, 64) == (1797, 64) and images.dtype == np.float64
    assert (images.min(), images.max()) == (0, 1)
    assert (images * 16 % 1 == 0).all()
    # What the package's own description tells: about 180 of each.
    assert np.bincount(classes).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


@needs_digits
def test_they_are_those_that_the_package_loads():
    from sklearn.datasets import load_digits

    images, classes = digits()
    theirs = load_digits()
    assert (images * 16 == theirs.data).all()
    assert (classes == theirs.target).all()


def test_batches_go_through_one_order_over_and_over_and_take_none_that_is_kept_for_the_test():
    taken = np.concatenate([*batches(np.random.default_rng(5), 400, range(8))])
    once, again = taken[:TRAINED], taken[TRAINED:]
    assert sorted(once) == [*range(TRAINED)]
    assert (once == np.random.default_rng(5).permutation(TRAINED)).all()
    assert (again == np.concatenate([once, once])[: len(again)]).all()


def test_the_order_of_batches_is_drawn_at_once():
    rng = np.random.default_rng(5)
    order = batches(rng, 10, range(1))
    drawn = rng.standard_normal()
    rng = np.random.default_rng(5)
    rng.permutation(TRAINED)
    assert (drawn, next(order).shape) == (rng.standard_normal(), (10,))


@needs_digits
def test_nothing_of_the_package_is_imported():
    program = "import sys; from toolkit.nn.digits import digits; digits(); sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_the_package_its_name_is_told(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(
        ModuleNotFoundError, match="come with the package scikit-learn, which is not installed"
    ):
        digits()


class ByFirstPixel(Layer):
    """Takes an image for the digit that its first pixel names."""

    def __init__(self):
        self.untracked = []

    def __call__(self, x):
        scores = x * 0.0 + np.eye(10)[x.data[:, 0].astype(int)]
        self.untracked.append(scores.untracked)
        return scores


@pytest.mark.parametrize("count", [1, 33, 34, 100])
def test_what_is_told_wrongly_is_counted_and_no_graph_is_made(count):
    classes = np.arange(count) % 10
    told = classes.copy()
    told[::7] = (told[::7] + 1) % 10
    network = ByFirstPixel()
    assert wrong_of(network, np.repeat(told[:, None], 10, axis=1).astype(float), classes) == -(-count // 7)
    assert all(network.untracked)
