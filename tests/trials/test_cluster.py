"""Trials on a real Dask cluster: figures as at home, and of what is lost it is told in one line."""

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from threading import Thread
from types import SimpleNamespace

import psutil
import pytest
from distributed.comm import CommClosedError

import toolkit
from toolkit import cli
from toolkit.analysis.observing import Observed
from toolkit.planning import load_experiment, plan
from toolkit.report.names import unique_stems
from toolkit.report.trust import trust
from toolkit.store.read import read_store
from toolkit.trials import ExecutorLost, ExecutorUnusable, Outcome, cluster
from toolkit.trials.executors import opened
from toolkit.trials.result import pack_result
from toolkit.trials.supervisor import supervise

PACKAGE = Path(toolkit.__file__).parent

SCRIPT = '''
"""Little?"""
import os, signal, time
from pathlib import Path
import numpy as np
from toolkit import Experiment, Variable, square

FOLDER = Path({folder!r})

def workload(trial, *, n):
    with (FOLDER / "began").open("a") as log:
        log.write(f"{{n}} {{os.getpid()}} {{os.getppid()}}\\n")
    if (FOLDER / f"hang {{n}}").exists():
        time.sleep(600)
    if (FOLDER / f"kill {{n}}").exists():
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    for _ in trial.steps(3):
        y = square(square(Variable(trial.rng.standard_normal(n))))
        y.backward()

EXPERIMENT = Experiment(workload, factors={{"n": [100_000]}}, measures={measures}, replicates={replicates})
'''


class Machines:
    """A scheduler and workers, as the how-to starts them."""

    def __init__(self, folder):
        self.folder, self.started = folder, []
        self.scheduler = None
        self.address = ""

    def start(self, *words, **environment):
        number = len(self.started)
        log = (self.folder / f"machine{number}.log").open("w")
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words, "--no-dashboard"],
            cwd=self.folder,
            env={**os.environ, "TMPDIR": str(self.folder), **environment},
            stdout=log,
            stderr=log,
        )
        log.close()
        self.started.append(process)
        return process

    def start_scheduler(self, *words):
        told = self.folder / "scheduler.json"
        fixed = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(told)]
        self.scheduler = self.start("scheduler", *fixed, *words)
        wait_until(lambda: told.exists() and told.read_text().endswith("}"))
        self.address = json.loads(told.read_text())["address"]

    def start_worker(self, *words, **settings):
        """Start a worker and wait until the scheduler knows it."""
        return self.start_workers(words, **settings)[0]

    def start_workers(self, *each, **settings):
        """Start workers side by side, each with words of its own, and wait until the scheduler knows them all."""
        begun = [self._begin_worker(*words, **settings) for words in each]
        for log, _ in begun:
            wait_until(lambda log=log: "Registered to" in log.read_text())
        return [process for _, process in begun]

    def _begin_worker(self, *words, offers="trial=1", **environment):
        log = self.folder / f"machine{len(self.started)}.log"
        fixed = ["--nworkers", "1", "--nthreads", "1", "--memory-limit", "0", "--host", "127.0.0.1"]
        process = self.start("worker", self.address, *fixed, "--resources", offers, *words, **environment)
        return log, process

    def end(self):
        for process in self.started:
            # A nanny would start its worker again.
            with_children = [process.pid]
            if psutil.pid_exists(process.pid):
                with_children += [one.pid for one in psutil.Process(process.pid).children(recursive=True)]
            for number in with_children:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            process.wait()
        self.started.clear()


def wait_until(condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """Two workers that stay whole."""
    made = Machines(tmp_path_factory.mktemp("machines"))
    try:
        made.start_scheduler()
        made.start_workers((), ())
        yield made
    finally:
        made.end()


@pytest.fixture
def own_machines(tmp_path):
    """A scheduler for a test that does it harm."""
    folder = tmp_path / "machines"
    folder.mkdir()
    made = Machines(folder)
    try:
        made.start_scheduler()
        yield made
    finally:
        made.end()


@pytest.fixture
def write_script(tmp_path):
    def write(measures=("timed",), **replicates):
        script = tmp_path / "little.py"
        script.write_text(SCRIPT.format(folder=str(tmp_path), measures=list(measures), replicates=replicates))
        return script

    return write


@pytest.fixture
def trials_of(write_script):
    """Return a function that plans trials of the script."""

    def make(*levels, measures=("timed",), replicates=1):
        experiment = load_experiment(str(write_script(measures)))
        return plan(experiment, overrides={"n": list(levels)}, replicates=replicates)

    return make


@pytest.fixture
def toolkit_run(write_script, tmp_path, capsys, monkeypatch):
    """Return a function that runs ``toolkit run`` here and returns its exit code and what it prints."""
    monkeypatch.chdir(tmp_path)

    def run_one(address, *words):
        command = ["run", str(write_script()), "--executor", address, "--results", "results", *words]
        with pytest.raises(SystemExit) as ended:
            cli.main(command)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return ended.value.code, out, err

    return run_one


@pytest.fixture
def heard(monkeypatch):
    """Return a list to which is added whatever this process hears of trials that begin."""
    events, note = [], cluster.Cluster._note

    def hear(self, event):
        note(self, event)
        events.append(event)

    monkeypatch.setattr(cluster.Cluster, "_note", hear)
    return events


def began(folder):
    """Return of each trial that began its level, its process and its worker."""
    log = folder / "began"
    return [tuple(map(int, line.split())) for line in log.read_text().splitlines()] if log.exists() else []


def run_on(address, trials, mix=False):
    with opened(address, 1, codes_of(trials), mix=mix) as executor:
        return executor.facts, list(executor.run(trials))


def codes_of(trials):
    return {trial.script: trial.code_digest for trial in trials}


def test_figures_are_those_of_trials_at_home_to_the_byte(machines, trials_of):
    trials = trials_of(100_000, measures=("resident", "traced"))
    facts, ended = run_on(machines.address, trials)
    assert {trial.key for trial, _ in ended} == {trial.key for trial in trials}
    names = ["peak_rss_bytes", "end_rss_bytes", "peak_traced_bytes", "end_traced_bytes"]
    for trial, outcome in ended:
        assert outcome.status == "ok", outcome.message
        at_home = supervise(trial)
        for name in names:
            assert outcome.metrics.get(name) == at_home.metrics.get(name)
        # Opening a file leaves a string in CPython's cache of methods, or not: that hangs on addresses.
        total = "peak_traced_total_bytes"
        assert outcome.metrics.get(total, 0) == pytest.approx(at_home.metrics.get(total, 0), abs=1024)
        assert outcome.conditions["attempts"] == 1
        assert {name: outcome.conditions[name] for name in at_home.conditions} == at_home.conditions
        for name in ("cpu", "kernel", "libc", "machine", "transparent_hugepages"):
            assert outcome.conditions[name] == facts[name]
        assert facts["workers"] == {outcome.conditions["host"]: 2}


def test_a_run_over_the_cluster_is_stored_and_goes_on_at_home(machines, toolkit_run, tmp_path):
    code, out, err = toolkit_run(machines.address, "--set", "n=10,20,30")
    assert (code, out.splitlines()[0]) == (0, "3 trials: 3 run, 0 finished before, 0 failed"), err
    (run,) = read_store(tmp_path / "results").runs
    assert run.description["executor"].startswith("Dask ")
    code, out, _ = toolkit_run("local", "--set", "n=10,20,30,40")
    assert (code, out.splitlines()[0]) == (0, "4 trials: 1 run, 3 finished before, 0 failed")
    # It is one host, whoever started the trials there.
    findings = trust(read_store(tmp_path / "results"), unique_stems(), Observed()).findings
    assert "All trials ran on one machine with one set-up." in {finding.sentence for finding in findings}


def test_a_trial_that_fails_is_an_outcome_and_its_worker_stays(machines, trials_of, tmp_path):
    (tmp_path / "hang 11").touch()
    # A busy machine may need longer until a trial begins.
    for deadline_seconds in (1.0, 10.0, 100.0):
        trials = [
            trial if trial.factors["n"] != 11 else replace(trial, deadline_seconds=deadline_seconds)
            for trial in trials_of(11, 12, 13, 14)
        ]
        _, ended = run_on(machines.address, trials)
        assert {trial.factors["n"]: outcome.status for trial, outcome in ended} == {
            11: "timeout",
            12: "ok",
            13: "ok",
            14: "ok",
        }
        hung = [process for n, process, _ in began(tmp_path) if n == 11]
        if hung:
            break
    assert hung and all(map(has_gone, hung))


@pytest.mark.slow
def test_one_trial_runs_at_a_time_where_workers_share_a_host(machines, trials_of):
    _, ended = run_on(machines.address, trials_of(1, 2, 3, measures=("resident",)))
    spans = sorted((one.started_at, one.started_at + one.elapsed_seconds) for _, one in ended)
    assert len(spans) == 3
    assert all(ends <= begins for (_, ends), (begins, _) in pairwise(spans))


def test_a_worker_that_is_killed_costs_one_more_attempt_and_no_row(
    own_machines, toolkit_run, tmp_path, heard
):
    own_machines.start_workers(["--no-nanny"], ["--no-nanny"])
    (tmp_path / "hang 1").touch()
    victims = []

    def kill_its_worker():
        # What a worker says that is killed at once is not heard.
        wait_until(lambda: began(tmp_path) and heard)
        _, _, worker = began(tmp_path)[0]
        (tmp_path / "hang 1").unlink()
        victims.append(worker)
        os.kill(worker, signal.SIGKILL)

    code, _, err = while_it_runs(kill_its_worker, toolkit_run, own_machines.address, "--set", "n=1")
    assert code == 0, err
    (row,) = read_store(tmp_path / "results").rows
    assert (row.status, row.conditions["attempts"]) == ("ok", 2)
    assert [n for n, _, _ in began(tmp_path)] == [1, 1]
    assert began(tmp_path)[1][2] not in victims
    # The trial of the killed worker has gone with it.
    wait_until(lambda: has_gone(began(tmp_path)[0][1]))


def has_gone(number):
    """Whether a process has ended; who is to ask for it may take its time."""
    try:
        return psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def while_it_runs(act, call, *arguments):
    acting = Thread(target=act)
    acting.start()
    try:
        return call(*arguments)
    finally:
        acting.join()


@pytest.mark.slow
def test_a_trial_that_takes_every_worker_with_it_is_given_up(
    own_machines, toolkit_run, tmp_path, monkeypatch
):
    # Each time it takes as long as a Python needs to start until there is a worker again.
    monkeypatch.setattr(cluster, "_PATIENCE_SECONDS", 300.0)
    own_machines.start_worker()
    (tmp_path / "kill 1").touch()
    code, _, err = toolkit_run(own_machines.address, "--set", "n=1,2")
    assert code == 3, err
    rows = {row.factors["n"]: row for row in read_store(tmp_path / "results").rows}
    assert (rows[1].status, rows[1].conditions["attempts"]) == ("worker-lost", 4)
    assert rows[2].status == "ok"


def test_a_scheduler_that_is_lost_makes_69_and_the_run_goes_on_later(own_machines, toolkit_run, tmp_path):
    own_machines.start_worker("--no-nanny")
    (tmp_path / "hang 2").touch()

    def kill_the_scheduler():
        wait_until(lambda: [one for one in began(tmp_path) if one[0] == 2])
        own_machines.scheduler.kill()

    code, out, err = while_it_runs(
        kill_the_scheduler, toolkit_run, own_machines.address, "--set", "n=1,2", "--replicates", "2"
    )
    assert (code, out) == (69, "")
    assert err.splitlines()[-1] == (
        f"toolkit: the scheduler at {own_machines.address} is lost; "
        "what is finished is stored, and the same command goes on from there"
    )
    stored = len(read_store(tmp_path / "results").rows)
    # Its trial has the turn of this host until the worker gives up.
    own_machines.end()
    (tmp_path / "hang 2").unlink()
    code, out, _ = toolkit_run("local", "--set", "n=1,2", "--replicates", "2")
    assert (code, out.splitlines()[0]) == (
        0,
        f"4 trials: {4 - stored} run, {stored} finished before, 0 failed",
    )


@pytest.mark.slow
def test_a_worker_whose_scheduler_is_lost_gives_up_and_its_trial_goes_with_it(
    own_machines, trials_of, tmp_path
):
    worker = own_machines.start_worker("--no-nanny")
    (tmp_path / "hang 1").touch()

    def kill_the_scheduler():
        wait_until(lambda: began(tmp_path))
        own_machines.scheduler.kill()

    with pytest.raises(ExecutorLost):
        while_it_runs(kill_the_scheduler, run_on, own_machines.address, trials_of(1))
    ((_, process, _),) = began(tmp_path)
    wait_until(lambda: has_gone(process))
    worker.wait(300)


def test_workers_that_are_all_lost_make_69(own_machines, toolkit_run, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE_SECONDS", 2.0)
    worker = own_machines.start_worker("--no-nanny")
    (tmp_path / "hang 1").touch()

    def kill_the_worker():
        wait_until(lambda: began(tmp_path))
        worker.kill()

    code, out, err = while_it_runs(kill_the_worker, toolkit_run, own_machines.address, "--set", "n=1")
    assert (code, out) == (69, "")
    assert f"toolkit: {own_machines.address} has no worker for trials: start one with dask worker" in err
    assert read_store(tmp_path / "results").rows == ()


@pytest.mark.slow
def test_workers_that_offer_no_trials_make_69(own_machines, toolkit_run, monkeypatch, tmp_path):
    monkeypatch.setattr(cluster, "_PATIENCE_SECONDS", 2.0)
    own_machines.start_worker(offers="gpu=1")
    code, out, err = toolkit_run(own_machines.address)
    assert (code, out) == (69, "")
    assert len(err.splitlines()) == 1 and "--resources trial=1" in err
    assert not (tmp_path / "results").exists()


def test_nobody_at_the_address_makes_69(toolkit_run, monkeypatch):
    client = cluster.distributed.Client
    # It asks again and again until then; how long the command waits for that stays as it is.
    monkeypatch.setattr(
        cluster.distributed, "Client", lambda address, **how: client(address, **{**how, "timeout": 1})
    )
    code, out, err = toolkit_run("tcp://127.0.0.1:9")
    assert (code, out, len(err.splitlines())) == (69, "", 1)
    assert err.startswith("toolkit: tcp://127.0.0.1:9: ")


def test_what_accepts_and_is_silent_makes_69(toolkit_run, monkeypatch):
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        code, out, err = toolkit_run(address)
    assert (code, out, len(err.splitlines())) == (69, "", 1)
    assert err.startswith(f"toolkit: {address} does not answer; ")


@pytest.mark.parametrize(
    "frozen",
    [
        "the scheduler",
        pytest.param("its worker", marks=pytest.mark.slow),
        pytest.param("a worker before it began", marks=pytest.mark.slow),
    ],
)
def test_what_is_frozen_makes_69_and_the_run_goes_on_later(
    own_machines, toolkit_run, tmp_path, monkeypatch, frozen
):
    worker = own_machines.start_worker("--no-nanny")
    (tmp_path / "hang 2").touch()

    def stop(process, **patience):
        """Freeze it, and from then on wait for its answer no longer than so."""
        os.kill(process.pid, signal.SIGSTOP)
        for name, seconds in patience.items():
            monkeypatch.setattr(cluster, f"_{name}_SECONDS", seconds)

    def freeze():
        wait_until(lambda: [one for one in began(tmp_path) if one[0] == 2])
        if frozen == "the scheduler":
            stop(own_machines.scheduler, ANSWER=0.5, CONNECT=1)
        else:
            stop(worker, SILENCE=2.0, PATIENCE=0.5, CONNECT=1)

    if frozen == "a worker before it began":
        stop(worker, INTRODUCTION=4.0)
        code, out, err = toolkit_run(own_machines.address, "--set", "n=2")
    else:
        code, out, err = while_it_runs(freeze, toolkit_run, own_machines.address, "--set", "n=2")
    assert (code, out) == (69, "")
    assert {
        "the scheduler": f"toolkit: {own_machines.address} does not answer; ",
        "its worker": f"toolkit: {own_machines.address}: no worker for trials answers; ",
        "a worker before it began": f"toolkit: {own_machines.address}: a worker does not answer; ",
    }[frozen] in err
    # Its trial has the turn of this host until its worker is gone.
    own_machines.end()
    (tmp_path / "hang 2").unlink()
    code, out, _ = toolkit_run("local", "--set", "n=2")
    assert (code, out.splitlines()[0]) == (0, "1 trials: 1 run, 0 finished before, 0 failed")


@pytest.mark.parametrize(
    "where",
    [
        *("nowhere", "127.0.0.1:8786", "http://127.0.0.1:8786", "tcp://", "tcp://127.0.0.1", "tcp://:8786"),
        *("tcp://127.0.0.1:99999", "tcp://127.0.0.1:0", "tcp://no such host:8786", "tcp://[::1:8786"),
        *(
            "tcp://127.0.0.1:8786/",
            "tcp://me@127.0.0.1:8786",
            "tcp://-:8786",
            "tcp://127.0.0.1:",
            "tcp://[::1]",
        ),
    ],
)
def test_what_is_no_address_is_refused(toolkit_run, where):
    code, _, err = toolkit_run(where)
    assert code == 2
    assert err == (
        "toolkit: --executor takes local or the address of a Dask scheduler, as in tcp://127.0.0.1:8786, "
        f"not {where!r}\n"
    )


def test_without_dask_one_line_tells_which_extra_brings_it(write_script, tmp_path):
    program = dedent(
        """
        import sys
        sys.modules["distributed"] = None
        from toolkit.cli import main
        main()
        """
    )
    words = ["run", str(write_script()), "--executor", "tcp://127.0.0.1:9"]
    ended = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "toolkit: tcp://127.0.0.1:9 needs Dask: install the extra with "
        "pip install 'autograd-memory-toolkit[dask]'\n"
    )
    assert not (tmp_path / "results").exists()


def test_a_worker_with_another_toolkit_refuses_before_anything_runs(own_machines, toolkit_run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(PACKAGE, other / "toolkit", ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "toolkit" / "core" / "variable.py").open("a") as source:
        source.write("\n# Changed.\n")
    own_machines.start_worker(PYTHONPATH=str(other))
    code, out, err = toolkit_run(own_machines.address)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "has other code: its toolkit or its" in err
    assert not (tmp_path / "results").exists() and not began(tmp_path)


#: What a worker loads before anything else: it says that it is another machine.
DISGUISE = """
from toolkit.trials import worker
from toolkit.trials.host import host_facts
worker.host_facts = lambda: host_facts() | {"cpu": "Another 9000"}
worker.host_name = lambda: "another"
"""


@pytest.fixture
def of_two_kinds(own_machines):
    (own_machines.folder / "disguise.py").write_text(DISGUISE)
    own_machines.start_workers(["--no-nanny"], ["--no-nanny", "--preload", "disguise.py"])
    return own_machines


def test_hosts_of_two_kinds_are_refused_and_recorded_where_they_are_asked_for(
    of_two_kinds, toolkit_run, tmp_path
):
    code, out, err = toolkit_run(of_two_kinds.address)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "the cluster's hosts differ: " in err and " has cpu " in err
    assert "Another 9000" in err and "--mix" in err
    code, _, err = toolkit_run(of_two_kinds.address, "--mix", "--set", "n=1,2,3,4")
    assert code == 0, err
    contents = read_store(tmp_path / "results")
    (run,) = contents.runs
    assert "Another 9000" in run.description["cpu"] and len(run.description["cpu"]) == 2
    seen = {row.conditions["host"]: row.conditions["cpu"] for row in contents.rows}
    assert seen["another"] == "Another 9000" and len(set(seen.values())) == 2
    # Figures of one kind do not stand beside those of the other, unless it is asked for.
    code, _, err = toolkit_run("local", "--set", "n=9")
    assert code == 2 and "holds figures taken with cpu Another 9000, and this is cpu " in err


def test_a_host_of_another_kind_that_comes_later_ends_the_run(own_machines, trials_of, tmp_path):
    (own_machines.folder / "disguise.py").write_text(DISGUISE)
    own_machines.start_worker()
    trials = trials_of(*range(6))
    for n in range(1, 6):
        (tmp_path / f"hang {n}").touch()
    # The first to come back, whichever that is, leaves work for whoever comes later.
    with opened(own_machines.address, 1, codes_of(trials), mix=False) as executor:
        ended = executor.run(trials)
        next(ended)
        own_machines.start_worker("--preload", "disguise.py")
        with pytest.raises(ExecutorLost, match=r"^another has cpu Another 9000, and others have "):
            list(ended)


def test_a_script_that_the_workers_do_not_have_is_refused(machines, trials_of):
    (trial,) = trials_of(1)
    Path(trial.script).unlink()
    with pytest.raises(ExecutorUnusable, match=r"has no .*little\.py: scripts must lie at the same path"):
        run_on(machines.address, [trial])


def test_a_trial_without_an_answer_is_given_up(own_machines, trials_of, tmp_path, monkeypatch):
    own_machines.start_worker()
    (tmp_path / "hang 1").touch()
    trials = [replace(trial, deadline_seconds=3000.0) for trial in trials_of(1)]

    def lose_patience():
        wait_until(lambda: began(tmp_path))
        monkeypatch.setattr(cluster, "_GRACE_SECONDS", -3000.0)

    with opened(own_machines.address, 1, codes_of(trials), mix=False) as executor:
        ((_, outcome),) = while_it_runs(lose_patience, list, executor.run(trials))
        assert (outcome.status, outcome.exit_code) == ("worker-lost", None)
        # It does not run on in secret, and the worker is there for others.
        ((_, process, _),) = began(tmp_path)
        wait_until(lambda: has_gone(process))
        (tmp_path / "hang 1").unlink()
        monkeypatch.undo()
        ((_, outcome),) = executor.run(trials)
        assert outcome.status == "ok"


@pytest.fixture
def unconnected():
    return cluster.Cluster("tcp://127.0.0.1:9")


def answered(status):
    future = Future()
    outcome = Outcome(status=status, exit_code=-9, started_at=1.0, elapsed_seconds=1.0)
    future.set_result(pack_result({"outcome": asdict(outcome)}))
    return future


def test_a_trial_that_waits_to_be_tried_again_is_not_overdue_and_counts_anew(
    unconnected, trials_of, monkeypatch
):
    monkeypatch.setattr(cluster, "_GRACE_SECONDS", -1e9)
    (trial,) = trials_of(1)
    unconnected._note((0.0, (trial.key, "here")))
    waiting = {Future(): trial}
    # A worker that is gone owes no answer: the scheduler has the trial wait for another one.
    assert list(unconnected._given_up(waiting, ["elsewhere"])) == [] and waiting
    unconnected._note((0.0, (trial.key, "elsewhere")))
    assert unconnected._outcome(trial, answered("killed")).conditions["attempts"] == 2
    assert list(unconnected._given_up(waiting, ["here", "elsewhere"])) == [] and waiting
    unconnected._note((0.0, (trial.key, "here")))
    ((given_up, outcome),) = unconnected._given_up(waiting, ["here"])
    assert (given_up, outcome.status, outcome.conditions["attempts"]) == (trial, "worker-lost", 1)
    assert not waiting and not unconnected._begun


@pytest.mark.parametrize("ends_at", ["connecting", "subscribing"])
def test_a_connection_that_is_cut_off_leaves_nothing_behind(unconnected, monkeypatch, ends_at):
    closed = []

    class Client:
        def __init__(self, *_, **__):
            if ends_at == "connecting":
                raise KeyboardInterrupt

        def subscribe_topic(self, *_):
            raise KeyboardInterrupt

        def close(self, **_):
            closed.append(True)

    monkeypatch.setattr(cluster.distributed, "Client", Client)
    level = logging.getLogger("distributed").level
    with pytest.raises(KeyboardInterrupt), unconnected:
        pass
    assert logging.getLogger("distributed").level == level
    assert len(closed) == (ends_at == "subscribing")


@pytest.mark.parametrize("ends", ["silently", "loudly"])
def test_a_last_worker_that_goes_between_two_looks_is_lost(unconnected, ends):
    def run(*_, workers, **__):
        assert workers == ["tcp://127.0.0.1:10"]
        if ends == "loudly":
            raise CommClosedError("closed\nby the other side")
        return {}

    known = {"tcp://127.0.0.1:10": {"resources": {"trial": 1}, "last_seen": 1.0}}
    unconnected._client = SimpleNamespace(
        status="running", scheduler_info=lambda **_: {"workers": known}, run=run
    )
    with pytest.raises(ExecutorLost, match=r"^tcp://127\.0\.0\.1:9: .*lost[^\n]*$"):
        unconnected.admit({}, mix=False)


TLS = """
distributed:
  comm:
    require-encryption: true
    tls:
      ca-file: {folder}/ca.pem
      scheduler: {{cert: {folder}/bench.pem, key: {folder}/bench.key}}
      worker: {{cert: {folder}/bench.pem, key: {folder}/bench.key}}
      client: {{cert: {folder}/bench.pem, key: {folder}/bench.key}}
"""
CERTIFICATES = """
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=authority -keyout ca.key -out ca.pem
openssl req -newkey rsa:2048 -nodes -subj /CN=bench -keyout bench.key -out bench.csr
openssl x509 -req -in bench.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out bench.pem
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_tls_works_as_the_how_to_says(tmp_path, write_script, monkeypatch):
    how_to = (PACKAGE.parent / "docs" / "clusters.md").read_text()
    assert CERTIFICATES in how_to and TLS.format(folder="/path/to") in how_to
    subprocess.run(["sh", "-ec", CERTIFICATES], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "dask").mkdir()
    (tmp_path / "dask" / "tls.yaml").write_text(TLS.format(folder=tmp_path))
    words = ["run", str(write_script()), "--results", "results", "--executor"]
    made = Machines(tmp_path)
    try:
        with monkeypatch.context() as patch:
            patch.setenv("DASK_CONFIG", str(tmp_path / "dask"))
            made.start_scheduler("--protocol", "tls")
            assert made.address.startswith("tls://")
            made.start_worker()
            with_tls = run_command(tmp_path, *words, made.address)
        assert (with_tls.returncode, with_tls.stdout.splitlines()[0][:16]) == (0, "1 trials: 1 run,"), (
            with_tls
        )
        without = run_command(tmp_path, *words, made.address)
        assert (without.returncode, len(without.stderr.splitlines())) == (2, 1), without
        assert f"{made.address} needs certificates" in without.stderr
    finally:
        made.end()


def run_command(folder, *words):
    return subprocess.run(
        [sys.executable, "-m", "toolkit", *words], cwd=folder, capture_output=True, text=True, check=False
    )


def test_an_interrupt_drops_the_queue_and_ends_what_runs(machines, write_script, tmp_path):
    for n in range(6):
        (tmp_path / f"hang {n}").touch()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "toolkit", "run", str(write_script()), "--set", "n=0,1,2,3,4,5"),
            *("--executor", machines.address, "--results", "results"),
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: began(tmp_path))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err and "toolkit: interrupted" in err.splitlines()[-1]
    wait_until(lambda: all(has_gone(number) for _, number, _ in began(tmp_path)))
    begun = len(began(tmp_path))
    _, ((_, outcome),) = run_on(
        machines.address, plan(load_experiment(str(write_script())), overrides={"n": [7]}, replicates=1)
    )
    assert outcome.status == "ok"
    assert len(began(tmp_path)) == begun + 1
