"""The harness of `make bench`, with small benchmarks of its own."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

HOUSE = Path(__file__).parents[1]
sys.path.insert(0, str(HOUSE))
benchmarks = import_module("benchmarks")
sys.path.remove(str(HOUSE))


def run(*names: str, folder: Path = HOUSE) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *names], cwd=folder, capture_output=True, text=True, check=False
    )


def test_every_benchmark_measures_and_says_what() -> None:
    names = [one.name for one in iter_modules(benchmarks.__path__) if not one.name.startswith("_")]
    assert "store" in names
    for name in names:
        module = import_module(f"benchmarks.{name}")
        assert callable(module.measure) and module.__doc__


def test_an_unknown_benchmark_is_told_of_with_those_that_are() -> None:
    ran = run("nonsense")
    assert ran.returncode == 2 and ran.stderr.startswith("unknown benchmark 'nonsense'; the benchmarks are ")


@pytest.mark.parametrize(("value", "code", "word"), [(1.0, 0, "at most 2"), (3.0, 4, "at most 2  MISSED")])
def test_a_reading_is_printed_with_its_target(tmp_path: Path, value: float, code: int, word: str) -> None:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    for name in ("__init__", "__main__"):
        (folder / f"{name}.py").write_bytes((HOUSE / "benchmarks" / f"{name}.py").read_bytes())
    (folder / "one.py").write_text(
        '"""One thing."""\n'
        "from benchmarks import Reading\n"
        "def measure():\n"
        f"    yield Reading(name='thing', value={value}, unit='s', at_most=2.0)\n"
    )
    ran = run("one", folder=tmp_path)
    assert ran.returncode == code and ran.stdout.splitlines()[0] == "one: One thing."
    assert word in ran.stdout.splitlines()[1]


def test_a_small_store_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    store = import_module("benchmarks.store")
    monkeypatch.setattr(store, "COUNTS", (20, 40, 80))
    readings = {reading.name: reading.value for reading in store.measure()}
    assert all(value > 0 for name, value in readings.items() if "trials" in name)
    assert {"whole report: peak of memory", "verify: 80 trials"} <= set(readings)
