"""The reserve: with it the resident set of a trial moves by its arrays alone, and it costs nothing twice."""

import json
import mmap
import subprocess
import sys
from pathlib import Path

import pytest

import toolkit
from toolkit.analysis.predictions import page_rounded
from toolkit.trials.environment import command, variables

LOOP = """
for _ in trial.steps(iterations):
    x = Variable(trial.rng.standard_normal(n))
    y = square(square(square(x)))
"""
SIZES = (10_000, 32_767, 32_768, 100_000)
ITERATIONS = 10

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives exact readings")


@pytest.fixture(scope="module")
def loops(side_by_side):
    return side_by_side(
        {
            (n, iterations): {
                "body": LOOP,
                "measure": "resident",
                "factors": {"references": "strong", "gc": "off", "n": n, "iterations": iterations},
            }
            for n, iterations in [*((n, ITERATIONS) for n in SIZES), (10_000, 200)]
        }
    )


@on_linux
@pytest.mark.parametrize(("n", "iterations"), [*((n, ITERATIONS) for n in SIZES), (10_000, 200)])
def test_the_resident_peak_of_the_strong_loop_is_exactly_its_pages(loops, n, iterations):
    outcome = loops[n, iterations]
    assert outcome.status == "ok", outcome.message
    assert outcome.metrics["peak_rss_bytes"] == iterations * 4 * page_rounded(8 * n)
    assert outcome.metrics["end_rss_bytes"] == outcome.metrics["peak_rss_bytes"]
    # Collecting gives back every page of every array.
    assert outcome.metrics["collected_rss_bytes"] <= 0


TWICE = """
import json, sys
from toolkit.probes.resident import _LinuxReader
from toolkit.trials.reserve import Reserve, settle
from toolkit.trials.trimming import trim

reserve, reader = Reserve(), _LinuxReader()
settle(reserve)
given, taken = [], []
for _ in range(12):
    reserve.take()
    taken.append(reader.current())
    reserve.give()
    trim()
    given.append(reader.current())
print(json.dumps([given, taken]))
"""


@on_linux
def test_taking_and_giving_again_leaks_nothing(tmp_path):
    words = command("resident", {}, tmp_path, tmp_path)
    words[-1] = f"import sys; sys.path.insert(0, {str(Path(toolkit.__file__).parents[1])!r})\n{TWICE}"
    answer = subprocess.run(words, env=variables("resident", {}), capture_output=True, check=True, text=True)
    given, taken = json.loads(answer.stdout)
    # At first Python 3.13 touches a page more, once.
    assert len(set(given[5:])) == 1
    assert given[5] - given[0] <= mmap.PAGESIZE
    assert len(set(taken[1:])) == 1


FUNCTIONS = {"exp": 1, "tanh": 1, "relu": 1, "sigmoid": 1, "matmul": 2}


@pytest.fixture(scope="module")
def first_uses(side_by_side):
    return side_by_side(
        {
            name: {
                "body": f"""
                import toolkit
                x = Variable(trial.rng.standard_normal((320, 320)))
                return x, toolkit.{name}(*[x] * {inputs})
                """,
                "measure": "resident",
            }
            for name, inputs in FUNCTIONS.items()
        }
    )


@on_linux
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_first_use_of_a_function_moves_nothing_but_its_arrays(first_uses, name):
    outcome = first_uses[name]
    assert outcome.status == "ok", outcome.message
    assert outcome.metrics["end_rss_bytes"] == 2 * page_rounded(8 * 320 * 320)
