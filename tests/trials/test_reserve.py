"""The reserve: with it the resident set of a trial moves by its arrays alone, and it costs nothing twice."""

import json
import mmap
import subprocess
import sys
from pathlib import Path

import pytest

import toolkit
from toolkit.analysis.predictions import page_rounded
from toolkit.trials.environment import command, obstacle_to_version, variables
from toolkit.trials.levels import PYTHONS, THIS_PYTHON

LOOP = """
for _ in trial.steps(iterations):
    x = Variable(trial.rng.standard_normal(n))
    y = square(square(square(x)))
"""
SIZES = (10_000, 32_767, 32_768, 100_000)
ITERATIONS = 10
#: The interpreter, n and how many iterations; hundreds of graphs need many pools of small objects.
LOOPS = [
    *((THIS_PYTHON, n, ITERATIONS) for n in SIZES),
    (THIS_PYTHON, 10_000, 200),
    *((python, 10_000, 300) for python in PYTHONS),
]

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives exact readings")


@pytest.fixture(scope="module")
def loops(side_by_side):
    return side_by_side(
        {
            (python, n, iterations): {
                "body": LOOP,
                "measure": "resident",
                "factors": {
                    "references": "strong",
                    "gc": "off",
                    "n": n,
                    "iterations": iterations,
                    "python": python,
                },
            }
            for python, n, iterations in LOOPS
            if not obstacle_to_version(python)
        }
    )


@on_linux
@pytest.mark.parametrize(("python", "n", "iterations"), LOOPS)
def test_the_resident_peak_of_the_strong_loop_is_exactly_its_pages(loops, python, n, iterations):
    if obstacle := obstacle_to_version(python):
        pytest.skip(obstacle)
    outcome = loops[python, n, iterations]
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


def in_the_environment_of_a_trial(program, python, folder):
    """Run a program as a child of the resident measure would run; return what it prints as JSON."""
    if obstacle := obstacle_to_version(python):
        pytest.skip(obstacle)
    words = command("resident", {"python": python}, folder, folder)
    words[-1] = f"import sys; sys.path.insert(0, {str(Path(toolkit.__file__).parents[1])!r})\n{program}"
    answer = subprocess.run(words, env=variables("resident", {}), capture_output=True, check=True, text=True)
    return json.loads(answer.stdout)


@on_linux
@pytest.mark.parametrize("python", PYTHONS)
def test_taking_and_giving_again_leaks_nothing(python, tmp_path):
    given, taken = in_the_environment_of_a_trial(TWICE, python, tmp_path)
    assert len(set(given[5:])) == 1
    assert given[5] - given[0] <= mmap.PAGESIZE
    assert len(set(taken[1:])) == 1


#: Python gives blocks of the pools that were freed last, and so those of the last that was begun come last of all.
BEGUN = """
import json, sys
from toolkit.probes.resident import _LinuxReader
from toolkit.trials.reserve import Reserve, settle

def fill(room, size):
    for place in range(len(room)):
        room[place] = bytes(size - sys.getsizeof(b""))

reader, reserve = _LinuxReader(), Reserve()
sizes = range(48, 513, 16)
rooms = {size: [None] * (10 * 16384 // size) for size in sizes}
for size, room in rooms.items():
    fill(room, size)
# One in each pool stays.
kept = [room[:: 16000 // size] for size, room in rooms.items()]
for room in rooms.values():
    room[:] = [None] * len(room)
settle(reserve)
before = reader.current()
for size, room in rooms.items():
    fill(room, size)
print(json.dumps(reader.current() - before))
"""


@on_linux
@pytest.mark.parametrize("python", PYTHONS)
def test_what_is_left_of_pools_that_were_begun_is_resident_too(python, tmp_path):
    assert in_the_environment_of_a_trial(BEGUN, python, tmp_path) == 0


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
