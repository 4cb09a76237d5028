"""What a worker answers, without a cluster: an outcome with where it ran, or in one line why not."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

import toolkit
from toolkit.planning import load_experiment, plan
from toolkit.trials import Outcome, worker
from toolkit.trials.host import MUST_AGREE, host_facts
from toolkit.trials.worker import Refused, answer, end_run, introduce, pack_order, unpack_answer

SCRIPT = """
import time
from pathlib import Path
from toolkit import Experiment

def workload(trial, *, nap):
    Path(__file__).with_name("began").touch()
    time.sleep(nap)
    trial.record(label_count=1)

EXPERIMENT = Experiment(workload, factors={"nap": [0.0]}, measures=["timed"], replicates={"timed": 1})
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "napping.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture
def trial(script):
    (made,) = plan(load_experiment(str(script)))
    return made


def ask(trial, kind=None, run="a run"):
    began = []
    try:
        return unpack_answer(answer(pack_order(run, trial, kind), lambda: began.append(True)))
    except Refused:
        assert not began
        raise


def test_the_outcome_tells_where_it_was(trial):
    facts = host_facts()
    outcome = ask(trial, {name: facts[name] for name in MUST_AGREE})
    assert (outcome.status, outcome.metrics["label_count"]) == ("ok", 1)
    assert {name: outcome.conditions[name] for name in MUST_AGREE} == {
        name: facts[name] for name in MUST_AGREE
    }
    assert outcome.conditions["host"]


@pytest.mark.parametrize("asked", [None, 1 << 40, 300 << 20])
def test_no_trial_may_take_more_than_its_host_can_spare(trial, monkeypatch, asked):
    limits = []
    outcome = Outcome(status="ok", exit_code=0, started_at=1.0, elapsed_seconds=1.0)
    monkeypatch.setattr(worker, "supervise", lambda one: limits.append(one.memory_limit_bytes) or outcome)
    monkeypatch.setattr(worker, "spare_bytes", lambda: 1 << 30)
    ask(replace(trial, memory_limit_bytes=asked))
    assert limits == [300 << 20 if asked == 300 << 20 else 1 << 30]


def test_an_order_of_other_code_is_refused(trial, script):
    with pytest.raises(Refused, match=r"has other code: its toolkit or its .*napping\.py"):
        ask(replace(trial, code_digest="0" * 64))
    script.write_text(SCRIPT.replace("label_count=1", "label_count=2"))
    with pytest.raises(Refused, match="has other code"):
        ask(trial)
    # How it draws is no concern of a trial.
    script.write_text(SCRIPT + "\n\ndef figures(results):\n    return []\n")
    assert ask(trial).status == "ok"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (
            lambda script: script.unlink(),
            r"has no .*napping\.py: scripts must lie at the same path on every node",
        ),
        (
            lambda script: script.write_text("import nothing_of_that_name"),
            "cannot use .*: ModuleNotFoundError: ",
        ),
        (lambda script: script.write_text("raise SystemExit(7)"), "cannot use .*: SystemExit: 7"),
    ],
)
def test_a_script_that_cannot_be_used_there_is_refused_in_one_line(trial, script, damage, reason):
    damage(script)
    with pytest.raises(Refused, match=reason) as refused:
        ask(trial)
    assert len(str(refused.value).splitlines()) == 1
    (code,) = {trial.code_digest}
    assert introduce({str(script): code})["obstacle"] in str(refused.value)


@pytest.mark.parametrize("name", MUST_AGREE)
def test_a_host_of_another_kind_refuses(trial, name):
    with pytest.raises(Refused, match=f"has {name} .*, and others have another: leave it out, or allow both"):
        ask(trial, {name: "another"})


def test_an_interpreter_that_is_not_there_is_refused(trial):
    with pytest.raises(Refused, match="no interpreter 'python-of-nobody' on the PATH"):
        ask(replace(trial, constants={"python": "python-of-nobody"}))


def test_what_goes_wrong_on_the_worker_itself_is_an_answer_too(trial, monkeypatch, capfd):
    def fail(*_):
        raise RecursionError("too deep\nby far")

    monkeypatch.setattr(worker, "supervise", fail)
    with pytest.raises(Refused, match=r"cannot run trials: RecursionError: too deep$"):
        unpack_answer(answer(pack_order("a run", trial, None), lambda: None))
    assert "RecursionError" in capfd.readouterr().err


def test_the_end_of_a_run_ends_its_trial_and_lets_no_more_begin(script, eventually):
    (long,) = plan(load_experiment(str(script)), overrides={"nap": [600.0]})
    outcomes = []
    at_work = Thread(target=lambda: outcomes.append(ask(long, run="an ended run")))
    at_work.start()
    eventually((script.parent / "began").exists)
    end_run("another run")
    assert at_work.is_alive()
    end_run("an ended run")
    at_work.join(300)
    assert [one.status for one in outcomes] == ["killed"]
    with pytest.raises(Refused, match="the run has ended"):
        unpack_answer(answer(pack_order("an ended run", long, None), lambda: None))


def test_a_worker_that_is_older_than_its_toolkit_refuses(trial, script, tmp_path):
    copy = tmp_path / "copy"
    package = Path(toolkit.__file__).parent
    shutil.copytree(package, copy / "toolkit", ignore=shutil.ignore_patterns("__pycache__"))
    program = f"""
import sys
sys.path.insert(0, {str(copy)!r})
from toolkit.trials.worker import introduce
codes = {{{str(script)!r}: {trial.code_digest!r}}}
print(introduce(codes)["obstacle"])
with open({str(copy / "toolkit" / "core" / "variable.py")!r}, "a") as source:
    source.write("# Changed.")
print(introduce(codes)["obstacle"])
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told == "\nhas a worker that was started before the toolkit was changed: start it anew\n"
