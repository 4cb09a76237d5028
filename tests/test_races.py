"""The races of `make bench`: every engine that is installed computes the same, and which is not is named."""

import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from toolkit.probes import clock

HOUSE = Path(__file__).parents[1]
sys.path.insert(0, str(HOUSE))
names = (
    *("_engines", "_racing.rounds", "_racing.training", "_racing.alone"),
    *("chain", "mlp_step", "rnn_step", "large_chain"),
)
_engines, rounds, training, alone, chain, mlp_step, rnn_step, large_chain = (
    import_module(f"benchmarks.{name}") for name in names
)
sys.path.remove(str(HOUSE))


@pytest.mark.parametrize(
    ("workload", "floor", "arrays"),
    [
        (chain.chain_of(6), chain.floor_of(6), [np.array([0.2, 0.25])]),
        (mlp_step.loss, mlp_step.floor, mlp_step.parameters()),
        (rnn_step.loss, rnn_step.floor, rnn_step.parameters()),
    ],
    ids=["chain", "mlp_step", "rnn_step"],
)
@pytest.mark.parametrize("name", _engines.names())
def test_an_engine_and_its_modes_compute_the_gradients_of_the_floor(
    monkeypatch, name, workload, floor, arrays
):
    engines = _engines.found()
    if name not in engines:
        pytest.skip(f"{name} is not installed")
    monkeypatch.setattr(_engines, "found", lambda: {name: engines[name]})
    training.Training(workload, floor, arrays).check()


def test_an_engine_that_computes_something_else_does_not_race():
    with pytest.raises(AssertionError, match="core"):
        training.Training(chain.chain_of(6), chain.floor_of(4), [np.array([0.2])]).check()


def test_a_peer_that_is_not_installed_is_left_out_and_its_package_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mygrad", None)
    monkeypatch.delitem(sys.modules, "benchmarks._engines.mygrad_package", raising=False)
    assert "mygrad_package" not in _engines.found.__wrapped__()
    assert "mygrad_package is left out: mygrad is not installed (extra [peers])" in capsys.readouterr().out


def test_actions_take_turns_inside_of_what_is_around_them():
    told = []
    actions = {name: lambda name=name: told.append(name) for name in "ab"}
    times = rounds.race(actions, 3)
    assert set(told) == {"a", "b"} and times.ratio("a", "a").value == 1.0


def test_where_the_processor_is_timed_in_ticks_a_block_lasts_many_of_them(monkeypatch):
    tick, exact = 0.002, time.process_time
    for module in (time, clock):
        monkeypatch.setattr(module, "process_time", lambda: exact() // tick * tick)
    assert rounds.block_seconds() >= 19 * tick
    assert rounds.race({name: lambda: None for name in "ab"}, 3).ratio("a", "b").value > 0


def test_engines_that_race_alone_compute_the_same_in_processes_of_their_own(monkeypatch):
    monkeypatch.chdir(HOUSE)
    names = [large_chain.FLOOR, large_chain.REUSED_FLOOR, "core", large_chain.REUSED]
    times = alone.race_alone("benchmarks.large_chain", names, 5_000, 2)
    assert all(times.ratio(name, large_chain.FLOOR).value > 0 for name in names)


def test_one_that_computes_something_else_does_not_race_alone(tmp_path, monkeypatch):
    (tmp_path / "two.py").write_text(
        "def action(name, number):\n    return lambda: [number, 1.0 if name == 'b' else 0.0]\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(HOUSE)
    with pytest.raises(AssertionError, match="b"):
        alone.race_alone("two", ["a", "b"], 1, 2)
