"""Runs on one host take turns: one alone or some side by side, nobody starves, and a lock dies with its holder."""

import os
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock

import pytest

import toolkit
from toolkit.trials import turns
from toolkit.trials.turns import Ended, turn

#: Another run: it says when it has its turn, and keeps it until its input ends.
OTHER = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from toolkit.trials import turns
assert turns._PLACE == Path(sys.argv[2])
with turns.turn(eval(sys.argv[3])):
    print("here", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(turns, "_PLACE", tmp_path)
    monkeypatch.setenv("TOOLKIT_TURNS", str(tmp_path))
    # Here a warning is an error, and a machine may be slow.
    monkeypatch.setattr(turns, "_SILENT_SECONDS", 600.0)
    return tmp_path


@pytest.fixture
def other_run(place):
    """Return a function that starts another process that has a turn."""
    started = []

    def start(slots):
        process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(Path(toolkit.__file__).parents[1]), str(place), repr(slots)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout.readline() == b"here\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def is_free(slots):
    """Whether a turn can be had at once: `Ended` is raised at the first look that fails."""
    try:
        with turn(slots, lambda: True):
            return True
    except Ended:
        return False


@pytest.mark.parametrize(
    ("held", "wanted", "free"),
    [(None, None, False), (None, 2, False), (2, None, False), (1, 1, False), (2, 2, True), (1, 2, True)],
)
def test_who_has_a_turn_keeps_others_out_or_not(other_run, held, wanted, free):
    holder = other_run(held)
    assert is_free(wanted) is free
    holder.kill()
    holder.wait()
    # The system frees the lock of who is killed.
    assert is_free(wanted)


def test_two_runs_together_have_no_more_places_than_the_larger_asks_for(other_run):
    other_run(2), other_run(2)
    assert not is_free(2)
    assert is_free(3)


def test_side_by_side_are_at_most_so_many(place):
    here, most, lock, together = 0, [], Lock(), Event()

    def one(_):
        nonlocal here
        with turn(2):
            with lock:
                here += 1
                most.append(here)
                if here == 2:
                    together.set()
            together.wait(300)
            time.sleep(0.02)
            with lock:
                here -= 1

    with ThreadPoolExecutor(5) as executor:
        list(executor.map(one, range(12)))
    assert max(most) == 2


def test_who_waits_to_be_alone_is_not_overtaken(other_run, place):
    first = other_run(4)
    order = []

    def alone():
        with turn(None):
            order.append("alone")

    def beside():
        with turn(4):
            order.append("beside")

    with ThreadPoolExecutor(2) as executor:
        waiting = executor.submit(alone)
        while not (place / f"toolkit-{os.getuid()}" / "door").exists() or is_free(4):
            time.sleep(0.01)
        later = executor.submit(beside)
        time.sleep(0.1)
        assert order == []
        first.kill()
        first.wait()
        waiting.result(300), later.result(300)
    assert order == ["alone", "beside"]


def test_who_is_no_longer_wanted_stops_waiting(other_run):
    other_run(None)
    ended = Event()
    with ThreadPoolExecutor(1) as executor:

        def wait():
            with turn(None, ended.is_set):
                pytest.fail("it has its turn")

        waiting = executor.submit(wait)
        time.sleep(0.1)
        assert not waiting.done()
        ended.set()
        with pytest.raises(Ended):
            waiting.result(300)


def test_a_long_wait_is_told_of_once(other_run, monkeypatch):
    monkeypatch.setattr(turns, "_SILENT_SECONDS", 0.0)
    other_run(None)
    looks = iter([False] * 5)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(Ended), turn(None, lambda: next(looks, True)):
            pass
    assert [str(one.message) for one in told] == ["another run measures on this host: waiting for its trials"]


def test_a_place_of_somebody_else_is_not_trusted(place):
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    (place / f"toolkit-{os.getuid()}").symlink_to(elsewhere)
    with pytest.raises(PermissionError, match="belongs to somebody else"), turn(None):
        pass
    assert list(elsewhere.iterdir()) == []
