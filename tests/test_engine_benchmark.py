"""The workloads of the engine's benchmark compute the same in every engine that is installed."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

HOUSE = Path(__file__).parents[1]
sys.path.insert(0, str(HOUSE))
_chain, _mlp = (import_module(f"benchmarks.{name}") for name in ("_chain", "_mlp"))
sys.path.remove(str(HOUSE))


@pytest.mark.parametrize("engine", ["core", "core, memory used again", *_chain.installed()])
@pytest.mark.parametrize(("k", "n"), [(1, 1), (7, 3), (6, 5000)])
def test_the_chain(engine, k, n):
    run = _chain.ENGINES[engine](k, n)
    for _ in range(2):
        np.testing.assert_allclose(run(), _chain.floor(k, n)(), rtol=1e-12)


def test_the_chain_without_a_graph():
    np.testing.assert_array_equal(_chain.core_no_grad(7, 3)(), _chain.floor_forward(7, 3)())


@pytest.mark.parametrize("engine", _mlp.installed())
def test_the_step_of_an_mlp(engine):
    ours, theirs = _mlp.core(8), _mlp.ENGINES[engine](8)
    for _ in range(3):
        np.testing.assert_allclose(theirs(), ours(), rtol=1e-9)


def test_the_core_learns_by_it():
    run = _mlp.core(8)
    losses = [float(run()) for _ in range(20)]
    assert losses == sorted(losses, reverse=True)
