"""The worker of a cluster: supervises one trial at a time, of the code that was asked for or not at all."""

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock
from typing import Any

from toolkit.trials import Outcome, Trial
from toolkit.trials.capacity import spare_bytes
from toolkit.trials.code import code_digest, toolkit_changed
from toolkit.trials.environment import interpreter, obstacle_to_trials
from toolkit.trials.folder import sweep
from toolkit.trials.host import MUST_AGREE, host_facts, host_name
from toolkit.trials.result import pack_result, unpack_result
from toolkit.trials.script import load_script
from toolkit.trials.supervisor import end_all, supervise
from toolkit.trials.turns import Ended, turn

__all__ = ["Refused", "answer", "end_run", "introduce", "pack_order", "unpack_answer"]

#: What the child tells of itself.
_OF_THE_CHILD = ("python", "numpy", "page_bytes")

_lock = Lock()
_at_work: set[str] = set()
_ended: set[str] = set()


class Refused(Exception):
    """A worker does not run a trial; the message is one line that says which worker, and why."""


def pack_order(run: str, trial: Trial, kind: Mapping[str, Any] | None) -> bytes:
    """Return as bytes what a worker is asked to do.

    Parameters
    ----------
    run : str
        A name that no other run has.
    trial : Trial
        What to run. The script has to lie at the same path on the worker's host.
    kind : mapping or None
        The facts in which the worker's host must agree, by the names of `MUST_AGREE`; None to take any host.
    """
    return pack_result({"run": run, "trial": asdict(trial), "kind": kind})


def answer(order: bytes, begin: Callable[[], None]) -> bytes:
    """Do what `pack_order` asks, when this host's turn for it has come, and return what came of it as bytes.

    Parameters
    ----------
    order : bytes
        What `pack_order` returned.
    begin : callable
        Called when the trial begins.
    """
    asked = unpack_result(order)
    run, trial, facts = asked["run"], Trial(**asked["trial"]), host_facts()
    try:
        if obstacle := _obstacle(trial, asked["kind"], facts):
            return pack_result({"refused": f"{host_name()} {obstacle}"})
        # One at a time, whatever it measures: other runs may share this host.
        with turn(None, lambda: run in _ended):
            begin()
            outcome = _supervised(run, trial)
        where = {name: facts[name] for name in MUST_AGREE if name not in _OF_THE_CHILD}
        conditions = {"host": host_name(), **where, **outcome.conditions}
    except Ended:
        return pack_result({"refused": f"{host_name()}: the run has ended"})
    except Exception as problem:
        # As an answer: of some exceptions that are raised here Dask never tells the one who waits.
        traceback.print_exc()
        reason = f"{type(problem).__name__}: {problem}".splitlines()[0]
        return pack_result({"refused": f"{host_name()} cannot run trials: {reason}"})
    return pack_result({"outcome": asdict(replace(outcome, conditions=conditions))})


def unpack_answer(content: bytes) -> Outcome:
    """Return what came of a trial.

    Raises
    ------
    Refused
        When the worker did not run it.
    """
    answered = unpack_result(content)
    if "refused" in answered:
        raise Refused(answered["refused"])
    return Outcome(**answered["outcome"])


def introduce(codes: Mapping[str, str]) -> dict[str, Any]:
    """Return this host's name, its facts and what keeps it from running scripts, given the code of each by path."""
    sweep()
    obstacles = filter(None, (_obstacle_to_script(Path(path), code) for path, code in codes.items()))
    return {"host": host_name(), "facts": host_facts(), "obstacle": next(obstacles, "")}


def end_run(run: str) -> None:
    """End the trial of that run, if this worker has one, and begin no more of it."""
    with _lock:
        _ended.add(run)
    # Again and again: a trial that is just being started is not there yet to be ended.
    while run in _at_work:
        end_all()
        time.sleep(0.02)


def _supervised(run: str, trial: Trial) -> Outcome:
    with _lock:
        if run in _ended:
            raise Ended
        _at_work.add(run)
    try:
        # Here, because whoever sends trials does not know what this host can spare.
        spare = spare_bytes()
        return supervise(replace(trial, memory_limit_bytes=min(trial.memory_limit_bytes or spare, spare)))
    finally:
        with _lock:
            _at_work.discard(run)


def _obstacle(trial: Trial, kind: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> str:
    if obstacle := _obstacle_to_script(Path(trial.script), trial.code_digest):
        return obstacle
    levels = {**trial.constants, **trial.factors}
    if obstacle := obstacle_to_trials(interpreter(levels)):
        return f"cannot run trials with {levels['python']}, which {obstacle}"
    for name, expected in (kind or {}).items():
        if facts[name] != expected:
            return f"has {name} {facts[name]}, and others have {expected}: leave it out, or allow both with --mix"
    return ""


def _obstacle_to_script(script: Path, code: str) -> str:
    if not script.is_file():
        return f"has no {script}: scripts must lie at the same path on every node"
    try:
        here = code_digest(load_script(script))
    except (Exception, SystemExit) as problem:
        return f"cannot use {script}: {type(problem).__name__}: {problem}".splitlines()[0]
    if toolkit_changed():
        return "has a worker that was started before the toolkit was changed: start it anew"
    if here != code:
        return f"has other code: its toolkit or its {script} is not the one that this run was planned with"
    return ""
