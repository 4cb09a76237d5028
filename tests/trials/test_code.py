"""The code digest: what changes a trial changes it, and what does not leaves it."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

from toolkit.planning import experiment_scripts
from toolkit.trials import code
from toolkit.trials.code import code_digest, reachable_source
from toolkit.trials.script import load_script

SCRIPT = '''\
"""Question: what is it?

More of it.
"""
import math as mathematics
from os.path import (
    join,
    split,
)

from toolkit import Experiment, square

SIZE = 3
LEVELS = [1, 2]
WIDTH: int = 5
settings = {}
settings["depth"] = 2
if SIZE > 2:
    SCALE = 2
else:
    SCALE = 3
try:
    import fractions
except ImportError:
    fractions = None
LEFT, (RIGHT, *REST) = 1, (2, 3)
SIZE += 1


def decorated(times):
    return lambda function: function


class Helper:
    def help(self):
        return deepest(WIDTH)


def deepest(width):
    return width * RIGHT


@decorated(1)
def workload(trial, *, n):
    # a comment of the workload
    return Helper().help() + SIZE + n


def unused():
    return "nothing"


def formula(cell):
    return mathematics.sqrt(cell["n"])


def predict(cell, interpreter):
    formula(cell)


def figures(results):
    # a comment of the figures
    yield drawn(results)


def drawn(results):
    return results


def findings(results):
    yield "a sentence"


EXPERIMENT = Experiment(
    workload,
    factors={"n": LEVELS},
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
'''


@pytest.fixture
def digest_of(tmp_path):
    def digest(source, name="asked"):
        script = tmp_path / f"{name}.py"
        script.write_text(source)
        return code_digest(load_script(script))

    return digest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("+ SIZE + n", "+ SIZE - n"),
        ("return deepest(WIDTH)", "return deepest(2)"),
        ("return width * RIGHT", "return width"),
        ("SIZE = 3", "SIZE = 4"),
        ("SIZE += 1", "SIZE += 2"),
        ("WIDTH: int = 5", "WIDTH: int = 6"),
        ("LEFT, (RIGHT, *REST) = 1, (2, 3)", "LEFT, (RIGHT, *REST) = 1, (4, 3)"),
        ('settings["depth"] = 2', 'settings["depth"] = 3'),
        ("    SCALE = 2", "    SCALE = 4"),
        ("fractions = None", "fractions = 0"),
        ("@decorated(1)\n", ""),
        ("@decorated(1)", "@decorated(2)"),
        ("lambda function: function", "lambda function: (function)"),
        ("mathematics.sqrt", "mathematics.log"),
        ("import math as mathematics", "import cmath as mathematics"),
        ("    formula(cell)", "    return None"),
        ("# a comment of the workload", "# another comment of the workload"),
        ('if __name__ == "__main__":', "for _ in range(0):"),
    ],
)
def test_what_a_trial_or_its_prediction_reaches_changes_it(digest_of, before, after):
    assert SCRIPT.count(before) == 1
    assert digest_of(SCRIPT.replace(before, after)) != digest_of(SCRIPT)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('return "nothing"', 'return "something"'),
        ("# a comment of the figures", "# another comment"),
        ("    # a comment of the figures\n", ""),
        ("yield drawn(results)", "yield results"),
        ("    return results\n", "    return [results]\n"),
        ('"a sentence"', '"another sentence"'),
        ("Question: what is it?", "Question: what was it?"),
        ("More of it.\n", "More of it.\nAnd more.\n"),
        ("LEVELS = [1, 2]", "LEVELS = [1, 2, 3]"),
        ("    split,\n", ""),
        ("    EXPERIMENT.main()", "    EXPERIMENT.main()\n    print('done')"),
        ("    findings=findings,\n", "    replicates={'timed': 7},\n"),
        ("def unused()", "# a comment between\n\n\ndef unused()"),
    ],
)
def test_what_it_does_not_reach_leaves_it(digest_of, before, after):
    assert SCRIPT.count(before) == 1
    assert digest_of(SCRIPT.replace(before, after)) == digest_of(SCRIPT)


def test_the_name_and_place_of_the_script_leave_it(digest_of):
    assert digest_of(SCRIPT, "one") == digest_of(SCRIPT, "other")


def test_dropping_the_prediction_changes_it(digest_of):
    assert digest_of(SCRIPT.replace("    predict=predict,\n", "")) != digest_of(SCRIPT)


def reach(source, *roots):
    return reachable_source(dedent(source), roots)


def test_all_that_a_name_was_given_is_reached():
    source = "def f(): return 1\ndef f(): return 2\nX = 1\nX = 2\ndef workload(): return f() + X"
    assert reach(source, "workload") == source


def test_a_star_may_bring_any_name():
    assert (
        reach("from os import *\nX = 1\ndef workload(): pass", "workload")
        == "from os import *\ndef workload(): pass"
    )


def test_what_a_statement_without_a_name_needs_is_reached():
    source = "def setup(): return X\nX = 1\nY = 2\nsetup()\ndef workload(): pass"
    assert reach(source, "workload") == "def setup(): return X\nX = 1\nsetup()\ndef workload(): pass"


def test_changing_an_attribute_defines_no_name_and_is_reached():
    source = "import os\nimport re\nos.sep = '+'\ndef workload(): pass"
    assert reach(source, "workload") == "import os\nos.sep = '+'\ndef workload(): pass"


@pytest.mark.parametrize(
    "workload", ["workload = lambda trial: None", "from elsewhere import workload as work"]
)
def test_where_the_root_is_not_to_be_seen_the_whole_source_counts(workload):
    assert reach(f"X = 1\n{workload}\n", "<lambda>") == f"X = 1\n{workload}\n"


def test_a_lambda_for_a_prediction_counts_whole(digest_of):
    source = SCRIPT.replace("predict=predict", "predict=lambda cell, interpreter: None")
    assert digest_of(source) != digest_of(source.replace('"nothing"', '"something"'))


COUNTED = (
    "__init__.py",
    "experiment.py",
    "theory.py",
    "core/functions/add.py",
    "probes/clock.py",
    "trials/child.py",
    "analysis/predictions.py",
)


def test_the_code_of_the_toolkit_that_runs_in_trials_counts(digest_of, monkeypatch, tmp_path):
    package = tmp_path / "toolkit"
    for name in (*COUNTED, "cli.py"):
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("before")
    monkeypatch.setattr(code, "_PACKAGE", package)
    monkeypatch.setattr(code, "_toolkit_digest", code._toolkit_digest.__wrapped__)
    before = digest_of(SCRIPT)
    (package / "cli.py").write_text("after")
    assert digest_of(SCRIPT) == before
    digests = {before}
    for name in COUNTED:
        (package / name).write_text("after")
        digests.add(digest_of(SCRIPT))
    assert len(digests) == 1 + len(COUNTED)


def test_the_patterns_find_what_they_name():
    for pattern in code._RUN_IN_TRIALS:
        assert list(Path(code._PACKAGE).glob(pattern)), pattern


IMPORTED = re.compile(r"^ *(?:from|import) (toolkit[\w.]*)", re.MULTILINE)


def of_the_analysis(source):
    """The files of the analysis that a source imports, wherever it does, relative to the package."""
    found = {name.removeprefix("toolkit.").replace(".", "/") for name in IMPORTED.findall(source)}
    return {
        f"{name}/__init__.py" if (code._PACKAGE / name).is_dir() else f"{name}.py"
        for name in found
        if name.startswith("analysis/")
    }


def test_whatever_of_the_analysis_a_prediction_comes_by_counts():
    counted = {path.relative_to(code._PACKAGE).as_posix() for path in code._toolkit_files()}
    sources = {
        name: (code._PACKAGE / name).read_text(encoding="utf-8")
        for name in counted
        if name.startswith("analysis/")
    }
    for name, script in experiment_scripts().items():
        roots = ["workload", *(["predict"] if "def predict" in script.read_text(encoding="utf-8") else [])]
        sources[name] = reach(script.read_text(encoding="utf-8"), *roots)
    imported = {name: of_the_analysis(source) for name, source in sources.items()}
    assert "analysis/gap_model.py" in imported["gc_policy"]
    assert not {name: others - counted for name, others in imported.items() if others - counted}


def test_where_trials_run_is_no_code_of_theirs_and_whatever_they_run_is():
    """A remark on the cluster takes no figure again; nothing that a figure passes through knows of it."""
    files = {path.relative_to(code._PACKAGE).as_posix(): path for path in code._toolkit_files()}
    assert {"trials/child.py", "trials/supervisor.py", "trials/environment.py", "trials/watching.py"} <= set(
        files
    )
    for name in code._RUN_AROUND_TRIALS:
        assert (code._PACKAGE / name).is_file() and name not in files
        module = f"toolkit.{name.removesuffix('.py').replace('/', '.')} import"
        assert not [file for file, path in files.items() if module in path.read_text(encoding="utf-8")]
