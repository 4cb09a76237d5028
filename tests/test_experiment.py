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
