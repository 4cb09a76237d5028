"""Planning: which trials a declaration, a profile and a command line make, and what is refused in one line."""

import math
import re
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from toolkit import Experiment, grid, planning
from toolkit.factors import parse_levels
from toolkit.planning import experiment_scripts, load_experiment, plan, skipped_levels
from toolkit.trials.levels import THIS_PYTHON
from toolkit.usage import UsageError


def workload(trial, **levels):
    pass


def declared(**changes):
    fields = {
        "factors": {
            "references": ["weak", "strong"],
            "gc": ["default", "off"],
            "n": [10, 20],
            "links": ["a", "b"],
        },
        "constants": {"iterations": 5, "rate": 0.5, "label": "x", "quick": False},
        "measures": ["traced"],
        "replicates": {"traced": 1},
    }
    return Experiment(workload, **{**fields, **changes})


SMALL = declared(factors={"n": [10]}, constants={"iterations": 5})


def cells(trials):
    return [{**trial.constants, **trial.factors} for trial in trials]


def test_every_combination_is_a_cell():
    trials = plan(declared())
    assert len(trials) == 16
    assert len({trial.key for trial in trials}) == 16
    assert {tuple(trial.factors) for trial in trials} == {("references", "gc", "n", "links")}
    assert all(
        trial.constants == {"iterations": 5, "rate": 0.5, "label": "x", "quick": False} for trial in trials
    )


def test_a_trial_is_what_the_experiment_declares():
    (trial,) = plan(declared(factors={}, constants={}, seed=9, deadline_seconds=3.0))
    assert (trial.experiment, trial.script) == ("test_planning", __file__)
    assert (trial.factors, trial.constants) == ({}, {})
    assert (trial.seed, trial.deadline_seconds, trial.measure, trial.replicate) == (9, 3.0, "traced", 0)
    assert trial.code_digest == planning.code_digest(SMALL)


def test_each_measure_has_its_own_replicates():
    experiment = replace(SMALL, measures=["timed", "resident"], replicates={"resident": 2, "traced": 7})
    assert [(trial.measure, trial.replicate) for trial in plan(experiment)] == [
        ("resident", 0),
        ("resident", 1),
        ("timed", 0),
    ]
    assert len(plan(experiment, replicates=4)) == 8


def test_a_measure_may_be_for_some_cells_only():
    experiment = declared(
        measures=["traced", "lines"],
        where=lambda cell: (
            cell["measure"] != "lines" or (cell["n"], cell["iterations"], cell["gc"]) == (20, 5, "off")
        ),
    )
    trials = plan(experiment)
    assert sum(trial.measure == "traced" for trial in trials) == 16
    listed = cells(trial for trial in trials if trial.measure == "lines")
    assert len(listed) == 4
    assert {(cell["n"], cell["gc"], cell["iterations"]) for cell in listed} == {(20, "off", 5)}
    # Levels that are asked for by hand may have none of them.
    assert {trial.measure for trial in plan(experiment, "default", {"n": [10]})} == {"traced"}


def test_a_profile_changes_levels_constants_replicates_and_measures():
    experiment = replace(
        SMALL,
        profiles={
            "smoke": {"n": [1, 2], "replicates": {"traced": 3}},
            "full": {"iterations": 50, "measures": ["timed"]},
        },
    )
    assert cells(plan(experiment)) == [{"iterations": 5, "n": 10}]
    assert cells(plan(experiment, "smoke")) == [{"iterations": 5, "n": n} for n in (1, 1, 1, 2, 2, 2)]
    (full,) = plan(experiment, "full")
    assert (full.measure, full.constants, full.factors) == ("timed", {"iterations": 50}, {"n": 10})


def test_what_is_asked_for_takes_the_place_of_the_profile():
    experiment = replace(SMALL, profiles={"smoke": {"n": [1, 2]}})
    assert cells(plan(experiment, "smoke", {"n": [7]})) == [{"iterations": 5, "n": 7}]


def test_a_constant_that_is_named_becomes_a_factor():
    first, second = plan(SMALL, overrides={"iterations": [1, 2]})
    assert (first.constants, first.factors) == ({}, {"n": 10, "iterations": 1})
    assert second.factors["iterations"] == 2


def test_where_leaves_cells_out_and_sees_constants_too():
    experiment = declared(where=lambda cell: cell["gc"] == "off" and cell["n"] < cell["iterations"] * 3)
    assert {(cell["gc"], cell["n"]) for cell in cells(plan(experiment))} == {("off", 10)}


@pytest.mark.parametrize(
    ("text", "name", "levels"),
    [
        ("n=1", "n", (1,)),
        ("n=1,1_000, -3", "n", (1, 1000, -3)),
        (" n =1e3,0.5", "n", (1000.0, 0.5)),
        ("retain_grad=true,False", "retain_grad", (True, False)),
        ("links=chain,cycle", "links", ("chain", "cycle")),
        ("python=/usr/bin/python3=x", "python", ("/usr/bin/python3=x",)),
        ("n=1,,2", "n", (1, "", 2)),
        ("n=0x10", "n", ("0x10",)),
        ("n=" + "(" * 500, "n", ("(" * 500,)),
    ],
)
def test_levels_are_read_as_what_they_look_like(text, name, levels):
    read_name, read = parse_levels(text)
    assert (read_name, read) == (name, levels)
    assert list(map(type, read)) == list(map(type, levels))


@pytest.mark.parametrize("text", ["n", "n=", "=1", "", "="])
def test_other_forms_are_refused(text):
    with pytest.raises(UsageError, match="FACTOR=LEVEL,LEVEL"):
        parse_levels(text)


BAD_LEVELS = {
    "a factor that is unknown": (
        {"m": [1]},
        "has no factor 'm'; it has references, gc, n, links, iterations",
    ),
    "a level that a toggle lacks": (
        {"references": ["medium"]},
        "has no level 'medium'; its levels are weak, strong",
    ),
    "a level mistyped": (
        {"references": ["waek"]},
        "has no level 'waek' (did you mean weak?); its levels are",
    ),
    "a factor mistyped": ({"iteration": [1]}, "has no factor 'iteration' (did you mean iterations?); it has"),
    "a truth mistyped": ({"quick": ["flase"]}, "has no level 'flase' (did you mean false?); its levels are"),
    "a policy mistyped": ({"gc": ["froze"]}, "whole numbers from 1 (did you mean frozen?)"),
    "a number for a toggle": ({"references": [1]}, "references has no level 1; its levels are weak, strong"),
    "a level that gc lacks": (
        {"gc": ["on"]},
        "gc has no level 'on'; its levels are default, off, frozen, manual, threshold=N, every=K, N and K whole",
    ),
    "a threshold that is no number": (
        {"gc": ["threshold=low"]},
        "gc has no level 'threshold=low'; its levels",
    ),
    "a collection after no step": ({"gc": ["every=0"]}, "gc has no level 'every=0'; its levels"),
    "a number alone for gc": ({"gc": [100]}, "gc has no level 100; its levels"),
    "a level that a text factor lacks": ({"links": ["c"]}, "links has no level 'c'; its levels are a, b"),
    "a word for whole numbers": ({"n": ["abc"]}, "n takes whole numbers, such as 10, and not 'abc'"),
    "a fraction for whole numbers": ({"n": [1.5]}, "n takes whole numbers, such as 10, and not 1.5"),
    "a truth for whole numbers": ({"n": [True]}, "n takes whole numbers, such as 10, and not True"),
    "a word for numbers": ({"rate": ["fast"]}, "rate takes numbers, such as 0.5, and not 'fast'"),
    "a number for text": ({"label": [3]}, "label takes text, such as x, and not 3"),
    "a number for a truth": ({"quick": [1]}, "quick has no level 1; its levels are false, true"),
    "equal levels": ({"n": [1, 2, 1]}, "n has two equal levels, 1 and 1"),
    "levels equal as numbers": ({"n": [1, 1.0]}, "n has two equal levels, 1 and 1.0"),
    "levels equal as truths": ({"n": [1, True]}, "n has two equal levels, 1 and True"),
    "no levels": ({"n": []}, "factor 'n' has no level"),
    "a level alone": ({"n": 5}, "n needs a list of levels, as in [5]"),
    "a word alone": ({"links": "a"}, "links needs a list of levels, as in ['a']"),
    "no level at all": ({"n": [None]}, "'n' has None, of type NoneType"),
    "a number of numpy": ({"n": [np.int64(3)]}, "of type int64"),
    "no number": ({"rate": [math.nan]}, "rate takes finite numbers of at most 64 bits, not nan"),
    "an infinite number": ({"rate": [math.inf]}, "not inf"),
    "a number that no store can hold": ({"n": [2**63]}, "at most 64 bits, not 9223372036854775808"),
}


@pytest.mark.parametrize(("overrides", "complaint"), BAD_LEVELS.values(), ids=BAD_LEVELS)
def test_bad_levels_are_refused_in_one_line_that_names_what_is_valid(overrides, complaint):
    with pytest.raises(UsageError) as refused:
        plan(declared(), overrides=overrides)
    assert complaint in str(refused.value)
    assert str(refused.value).startswith("test_planning")
    assert "\n" not in str(refused.value)


def test_the_levels_of_a_toggle_are_those_of_the_core():
    with pytest.raises(UsageError, match="retain_grad has no level 1; its levels are false, true"):
        plan(declared(factors={"retain_grad": [1]}))
    assert len(plan(declared(factors={"retain_grad": [True, False]}))) == 2


@pytest.mark.parametrize(
    ("factor", "known"), [("engine", "core"), ("malloc", "fixed, default")], ids=["engine", "malloc"]
)
def test_the_levels_of_the_environment_are_those_that_there_are(factor, known):
    with pytest.raises(UsageError, match=f"{factor} has no level 'other'; its levels are .*{known}"):
        plan(declared(factors={factor: ["other"]}))
    assert plan(declared(factors={factor: [known.partition(",")[0]]}))


def test_levels_by_the_hundred_thousand_are_checked_at_once():
    # To compare each with each other takes minutes.
    assert len(plan(declared(factors={"n": list(range(100_000))}))) >= 100_000


def test_levels_of_gc_may_have_any_number():
    trials = plan(
        declared(factors={}, constants={"gc": "off"}), overrides={"gc": ["threshold=7", "every=12"]}
    )
    assert [trial.factors["gc"] for trial in trials] == ["threshold=7", "every=12"]
    assert plan(declared(constants={"gc": "every=2"}, factors={}))


@pytest.fixture
def without_jemalloc(monkeypatch):
    reason = "no libjemalloc.so here; Debian's package libjemalloc2 brings it"
    monkeypatch.setattr(grid, "obstacle_to_malloc", lambda level: reason if level == "jemalloc" else "")
    return reason


def test_a_level_whose_library_is_missing_is_skipped_and_told_of(without_jemalloc):
    experiment = declared(factors={"malloc": ["fixed", "jemalloc", "heap"], "n": [1, 2]})
    assert [trial.factors["malloc"] for trial in plan(experiment)] == ["fixed", "fixed", "heap", "heap"]
    assert skipped_levels(experiment) == {"malloc=jemalloc": without_jemalloc}
    assert skipped_levels(experiment, overrides={"malloc": ["heap"]}) == {}
    assert skipped_levels(SMALL) == {}


def test_a_level_whose_package_is_not_installed_is_skipped_and_told_of():
    needs = {"links=a": "numpy", "links=b": "no_such_package_anywhere", "links=c": "nor_this_one"}
    experiment = declared(factors={"links": ["a", "b"]}, needs=needs)
    assert [trial.factors["links"] for trial in plan(experiment)] == ["a"]
    reason = "not installed here; the Python package no_such_package_anywhere brings it"
    assert skipped_levels(experiment) == {"links=b": reason}
    with pytest.raises(UsageError, match=r"no cell is left .* \(links=b: not installed here; .* brings it"):
        plan(experiment, overrides={"links": ["b"]})


def test_an_experiment_whose_package_is_not_installed_has_no_trials_and_says_why():
    assert len(plan(declared(requires=["numpy"]))) == len(plan(declared()))
    experiment = declared(requires=["numpy", "no_such_package_anywhere"])
    assert list(plan(experiment)) == []
    reason = "not installed here; the Python package no_such_package_anywhere brings it"
    assert skipped_levels(experiment) == {"all trials": reason}
    with pytest.raises(UsageError, match="has no factor 'm'"):
        plan(experiment, overrides={"m": [1]})


@pytest.mark.parametrize("place", ["factors", "constants"])
def test_where_nothing_else_is_left_the_reason_is_told(without_jemalloc, place):
    levels = {
        "factors": {},
        "constants": {},
        place: {"malloc": ["jemalloc"] if place == "factors" else "jemalloc"},
    }
    with pytest.raises(
        UsageError, match=r"no cell is left .* \(malloc=jemalloc: no libjemalloc\.so here; .*2 brings"
    ):
        plan(declared(**levels))


def test_numbers_take_whole_numbers_too():
    assert len(plan(declared(factors={}), overrides={"rate": [1, 2.5]})) == 2


def test_text_that_stands_alone_may_be_any_other():
    assert plan(declared(factors={}), overrides={"label": ["y"]})


def test_levels_of_any_profile_are_known():
    experiment = declared(factors={"links": ["a"]}, profiles={"full": {"links": ["a", "c"]}})
    assert len(plan(experiment, "full")) == 2
    assert plan(experiment, overrides={"links": ["c"]})


def test_levels_of_mixed_kinds_take_any():
    assert plan(declared(factors={"size": [1, "large"]}), overrides={"size": ["small"]})


BAD_DECLARATIONS = {
    "an unknown measure": (
        {"profiles": {"default": {"measures": ["weighed"]}}},
        "unknown measure 'weighed'; there are resident, traced, timed",
    ),
    "replicates of an unknown measure": (
        {"profiles": {"default": {"replicates": {"weighed": 2}}}},
        "unknown measure 'weighed'; there are resident, traced, timed",
    ),
    "no replicates": (
        {"profiles": {"default": {"replicates": {"traced": 0}}}},
        "traced takes 1 replicate or more, and not 0",
    ),
    "a factor that is a constant too": ({"constants": {"n": 1}}, "n is both a factor and a constant"),
    "an unknown profile": (
        {"profiles": {"smok": {}}},
        "declares a profile 'smok'; the profiles are smoke, default",
    ),
    "a constant that is a list": ({"constants": {"sizes": [1]}}, "'sizes' has [1], of type list"),
    "no cell": ({"where": lambda cell: False}, "no cell is left"),
    "a where that fails": ({"where": lambda cell: cell["m"]}, "where fails for {'references': 'weak'"),
}


@pytest.mark.parametrize(("changes", "complaint"), BAD_DECLARATIONS.values(), ids=BAD_DECLARATIONS)
def test_bad_declarations_are_refused(changes, complaint):
    with pytest.raises(UsageError) as refused:
        plan(declared(**changes))
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def strict(trial, *, n, rate=0.5):
    pass


@pytest.mark.parametrize(
    ("factors", "complaint"),
    [
        ({"n": [1], "kk": [1]}, "got an unexpected keyword argument 'kk'"),
        ({"rate": [0.5]}, "missing a required.* argument: 'n'"),
        ({"n": [1], "trial": [1]}, "multiple values for argument 'trial'"),
    ],
)
def test_levels_that_the_workload_does_not_take_are_refused(factors, complaint):
    with pytest.raises(UsageError, match=complaint) as refused:
        plan(Experiment(strict, factors=factors))
    assert "workload(trial, *, n, rate=0.5) cannot be called" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_levels_of_toggles_and_the_environment_do_not_reach_the_workload():
    assert plan(Experiment(strict, factors={"n": [1], "gc": ["off"], "retain_grad": [True]}))


def test_an_unknown_profile_is_refused():
    with pytest.raises(UsageError, match="unknown profile 'quick'; the profiles are smoke, default, full"):
        plan(SMALL, "quick")


def test_a_bare_level_in_a_profile_is_refused_for_a_factor():
    with pytest.raises(UsageError, match="n needs a list of levels"):
        plan(replace(SMALL, profiles={"smoke": {"n": 5}}), "smoke")


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "python-of-mine"
    path.write_text("#!/bin/sh\necho asked >> " + str(tmp_path / "asked") + "\necho 3 12\nexit 1\n")
    path.chmod(0o755)
    return path


def test_an_interpreter_that_cannot_run_trials_is_refused(program, tmp_path):
    experiment = declared(factors={"python": [sys.executable]})
    assert plan(experiment)
    for _ in range(2):
        with pytest.raises(UsageError, match=r"numpy 2 or newer; .*python-of-mine cannot import numpy"):
            plan(experiment, overrides={"python": [str(program)]})
    assert (tmp_path / "asked").read_text() == "asked\n"
    with pytest.raises(UsageError, match=r"no interpreter 'python9\.9' on the PATH"):
        plan(experiment, overrides={"python": ["python9.9"]})


@pytest.fixture
def unprofiled(tmp_path):
    """Return the path of an interpreter that can run trials, and lacks memory_profiler."""
    path = tmp_path / "python-of-mine"
    path.write_text(
        f'#!/bin/sh\ncase "$*" in *memory_profiler*) exit 1;; *) exec {sys.executable} "$@";; esac\n'
    )
    path.chmod(0o755)
    return str(path)


def test_of_interpreters_those_that_profile_need_memory_profiler(unprofiled):
    pythons = [THIS_PYTHON, unprofiled]

    def where(cell):
        return cell["measure"] != "profiled" or cell["python"] == THIS_PYTHON

    experiment = declared(factors={"python": pythons}, measures=["traced", "profiled"], where=where)
    planned = {(trial.factors["python"], trial.measure) for trial in plan(experiment)}
    assert planned == {(THIS_PYTHON, "traced"), (THIS_PYTHON, "profiled"), (unprofiled, "traced")}


@pytest.mark.parametrize("place", ["factors", "constants"])
def test_an_interpreter_without_memory_profiler_gets_no_trials_that_run_it(unprofiled, place):
    python = {"python": [unprofiled] if place == "factors" else unprofiled}
    assert plan(declared(**{place: python}))
    with pytest.raises(
        UsageError, match=r"profiled runs memory_profiler, which .*python-of-mine cannot import"
    ):
        plan(declared(**{place: python}, measures=["profiled"]))
    assert plan(declared(measures=["profiled"]))


def test_a_version_stays_text_and_one_that_is_missing_is_skipped():
    assert parse_levels("python=3.11,3.20") == ("python", ("3.11", "3.20"))
    experiment = declared(factors={"python": [THIS_PYTHON, "3.99"]}, measures=["traced", "profiled"])
    assert {trial.factors["python"] for trial in plan(experiment)} == {THIS_PYTHON}
    assert skipped_levels(experiment) == {
        "python=3.99": "no python3.99 with numpy; `make report` adds numpy where Python 3.99 is installed"
    }


def test_one_interpreter_by_two_names_is_refused():
    with pytest.raises(
        UsageError, match=rf"python=this and python={re.escape(THIS_PYTHON)} are one interpreter"
    ):
        plan(declared(factors={"python": ["this", THIS_PYTHON]}))


def test_where_chooses_by_the_measure_too():
    trials = plan(declared(where=lambda cell: cell["measure"] == "traced"))
    assert {trial.measure for trial in trials} == {"traced"}


def test_an_interpreter_among_the_constants_is_looked_at_too(program):
    with pytest.raises(UsageError, match="cannot import numpy"):
        plan(declared(constants={"python": str(program)}))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder `experiments` of the current folder, the only one there is."""
    scripts = tmp_path / "experiments"
    scripts.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(planning, "__file__", str(tmp_path / "installed" / "toolkit" / "planning.py"))
    return scripts


GOOD = "from toolkit import Experiment\ndef workload(trial): pass\nEXPERIMENT = Experiment(workload, factors={})\n"


def test_the_folder_lists_its_scripts_by_name(folder):
    for name in ("b.py", "a.py", "_helper.py", "notes.txt"):
        (folder / name).write_text(GOOD)
    assert list(experiment_scripts().items()) == [("a", folder / "a.py"), ("b", folder / "b.py")]
    assert load_experiment("a").name == "a"


def test_the_folder_here_goes_before_the_one_beside_the_package(folder, tmp_path):
    beside = tmp_path / "installed" / "experiments"
    beside.mkdir(parents=True)
    for place in (folder, beside):
        (place / "a.py").write_text(GOOD)
    (beside / "c.py").write_text(GOOD)
    assert experiment_scripts() == {"a": folder / "a.py", "c": beside / "c.py"}


def test_without_a_folder_there_are_no_scripts(folder):
    folder.rmdir()
    assert experiment_scripts() == {}
    with pytest.raises(UsageError, match="unknown experiment 'a'; give a script, or one of: none here"):
        load_experiment("a")


def test_a_script_anywhere_can_be_named_by_its_path(folder, tmp_path):
    script = tmp_path / "elsewhere.py"
    script.write_text('"""A question?"""\n' + GOOD)
    experiment = load_experiment("elsewhere.py")
    assert (experiment.script, experiment.question) == (script, "A question?")


@pytest.mark.parametrize("name", ["nothing", "nothing.py", "experiments", "experiments/a.txt", "", "."])
def test_an_unknown_experiment_is_refused_with_the_names_that_there_are(folder, name):
    (folder / "a.py").write_text(GOOD)
    (folder / "a.txt").write_text(GOOD)
    with pytest.raises(UsageError) as refused:
        load_experiment(name)
    assert str(refused.value) == f"unknown experiment {name!r}; give a script, or one of: a"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("raise RuntimeError('first\\nsecond')", "RuntimeError: first"),
        ("1 / 0", "ZeroDivisionError"),
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("x = 1", "declares no EXPERIMENT = Experiment(...)"),
        ("EXPERIMENT = 'mine'", "declares no EXPERIMENT = Experiment(...)"),
        ("from toolkit import Experiment\nEXPERIMENT = Experiment(factors={})", "TypeError"),
        ("\0", "null bytes"),
    ],
)
def test_a_script_that_cannot_be_used_is_refused_in_one_line(folder, source, complaint):
    (folder / "bad.py").write_text(source)
    with pytest.raises(UsageError) as refused:
        load_experiment("bad")
    assert str(refused.value).startswith(f"{folder / 'bad.py'} cannot be used: ")
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def peak_of_planning(count):
    tracemalloc.start()
    grid = plan(declared(factors={"n": list(range(1, count + 1)), "links": list("ab")}, constants={}))
    found = sum(1 for _ in grid)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == len(grid) == 2 * count
    assert next(iter(grid)) == next(iter(grid))
    return peak


def test_a_large_grid_takes_no_more_memory_than_a_small_one():
    small = peak_of_planning(20)
    # Ten thousand trials as a list would be some megabytes.
    assert peak_of_planning(1000) < small + 2**19
