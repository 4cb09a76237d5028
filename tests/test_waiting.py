"""Trials that wait: the same ones as their grids have, in the same order as a list of them, in eight bytes each."""

import tracemalloc
from itertools import chain
from random import Random

from toolkit.experiment import Experiment
from toolkit.planning import plan
from toolkit.waiting import Waiting


def workload(trial, **levels):
    pass


def grid(count, **changes):
    fields = {
        "factors": {"n": list(range(count)), "links": list("ab"), "gc": ["default", "off"]},
        "measures": ["resident", "timed"],
        "replicates": {"resident": 2, "timed": 3},
    }
    return plan(Experiment(workload, **{**fields, **changes}))


def with_gaps(cell):
    return (cell["n"] + len(cell["measure"])) % 3 != 1 and (cell["links"], cell["gc"]) != ("b", "off")


GRIDS = (grid(7, where=with_gaps), grid(1, factors={}), grid(3, replicates={"timed": 1}, seed=9))


def test_any_trial_of_a_grid_is_found_by_its_number_alone():
    for one in GRIDS:
        numbered = list(one.numbered())
        assert [trial for _, trial in numbered] == list(one) and len(numbered) == len(one)
        numbers = [number for number, _ in numbered]
        assert numbers == sorted(set(numbers)) and numbers[-1] < one.span
        assert [one.trial(number) for number in numbers] == list(one)


def test_what_waits_is_what_was_planned_in_its_order():
    planned = list(chain(*GRIDS))
    every = Waiting(GRIDS, lambda trial: True)
    assert list(every) == planned == list(every)
    some = Waiting(GRIDS, lambda trial: trial.replicate == 1)
    assert list(some) == [trial for trial in planned if trial.replicate == 1]
    assert len(some) == sum(trial.replicate == 1 for trial in planned)
    assert len(Waiting([], lambda trial: True)) == 0


def test_they_are_shuffled_as_a_list_of_them_would_be():
    waiting, planned = Waiting(GRIDS, lambda trial: True), list(chain(*GRIDS))
    waiting.shuffle(77)
    Random(77).shuffle(planned)
    assert list(waiting) == planned


def peak_of_waiting(count):
    grids = [grid(count)]
    tracemalloc.start()
    waiting = Waiting(grids, lambda trial: True)
    waiting.shuffle(0)
    found = sum(1 for _ in waiting)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == 20 * count
    return peak


def test_each_takes_eight_bytes():
    few = peak_of_waiting(10)
    # What grows takes an eighth more than it holds, and is moved once in a while.
    assert peak_of_waiting(500) < few + 2.5 * 8 * 20 * 490
