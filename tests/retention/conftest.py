import gc
import weakref

import pytest

from toolkit import explain


@pytest.fixture(autouse=True)
def no_collection():
    """Keep garbage where it is, and clear away what a test has left."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.collect()


@pytest.fixture
def forgotten():
    """Return a function that explains what a weak reference refers to, without anybody holding it."""

    def explained(reference: weakref.ref):
        assert reference() is not None
        return explain(reference())

    return explained


def ways(edges):
    return [(edge.holder.label, edge.label) for edge in edges]
