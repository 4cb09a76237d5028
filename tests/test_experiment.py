"""The declaration: the name, the question and the script of an experiment are those of its workload."""

from functools import partial

import pytest

from toolkit import Experiment, no_grad


def workload(trial, *, n=3):
    return n


def test_the_name_everywhere_is_that_of_the_script():
    experiment = Experiment(workload, factors={})
    assert experiment.name == "test_experiment"
    assert str(experiment.script) == __file__
    assert experiment.question.startswith("The declaration")


def test_a_decorator_hides_no_script():
    experiment = Experiment(no_grad()(workload), factors={})
    assert experiment.name == "test_experiment"
    assert experiment.question.startswith("The declaration")


@pytest.mark.parametrize("other", [partial(workload, n=1), print, workload.__call__, "workload", None])
def test_a_workload_is_a_function_of_a_script(other):
    with pytest.raises(TypeError, match="a workload is a function that the script defines, not a"):
        Experiment(other, factors={})


def test_without_a_docstring_the_name_is_the_question():
    made = {"__doc__": " \n"}
    exec(compile("def workload(trial): pass", "/somewhere/mine.py", "exec"), made)
    assert Experiment(made["workload"], factors={}).question == "mine"


WRONG = {
    "seed of nothing": ({"seed": None}, "seed is a whole number from 0 on, .* not None"),
    "seed below 0": ({"seed": -1}, "seed is .* not -1"),
    "seed beyond": ({"seed": 2**63}, "seed is .* not 9223372036854775808"),
    "seed of truth": ({"seed": True}, "seed is .* not True"),
    "deadline below 0": ({"deadline_seconds": -1}, "deadline_seconds is above 0 .* not -1"),
    "deadline at once": ({"deadline_seconds": 0}, "deadline_seconds is above 0 .* not 0"),
    "no deadline": ({"deadline_seconds": float("inf")}, "at most 31,536,000 seconds, and not inf"),
    "deadline of no number": ({"deadline_seconds": float("nan")}, "deadline_seconds is .* not nan"),
    "memory of nothing": (
        {"memory_limit_bytes": 0},
        "memory_limit_bytes is .* from 268,435,456 on, and not 0",
    ),
    "memory in part": ({"memory_limit_bytes": 3e9}, "memory_limit_bytes is a whole number"),
    "deadline of text": ({"deadline_seconds": "9"}, "deadline_seconds is .* not '9'"),
    "no measure": ({"measures": []}, "measures is a list of one or more of resident, traced, timed"),
    "a measure alone": ({"measures": "timed"}, "measures is a list of .* not 'timed'"),
    "unknown measure": (
        {"measures": ["weighed"]},
        "unknown measure 'weighed'; there are resident, traced, timed",
    ),
    "replicates of an unknown measure": ({"replicates": {"weighed": 1}}, "unknown measure 'weighed'"),
    "replicates of none": ({"replicates": {"timed": 0}}, "timed takes 1 replicate or more, and not 0"),
    "replicates of a fraction": (
        {"replicates": {"timed": 1.5}},
        "timed takes 1 replicate or more, and not 1.5",
    ),
}


@pytest.mark.parametrize(("changes", "complaint"), WRONG.values(), ids=WRONG)
def test_what_no_trial_can_have_is_refused_where_it_is_declared(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        Experiment(workload, factors={}, **changes)
