"""A Dask cluster: its workers supervise trials, and what comes of each streams back to the one writer here."""

import logging
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from itertools import islice
from threading import Thread
from types import TracebackType
from typing import Any, TypeVar

import distributed
from distributed.scheduler import KilledWorker

from toolkit.trials import ExecutorLost, ExecutorUnusable, Outcome, Trial, Trials
from toolkit.trials.host import MUST_AGREE
from toolkit.trials.worker import Refused, answer, end_run, introduce, pack_order, unpack_answer

__all__ = ["Cluster"]

Answer = TypeVar("Answer")

#: What a worker offers once, and a trial takes: it keeps one worker to one trial.
_RESOURCE = "trial"
_CONNECT_SECONDS = 10
#: How long the scheduler may take to answer, and every worker to load the scripts. A process that is stopped keeps
#: its connections: nothing else would end these waits.
_ANSWER_SECONDS = 30.0
_INTRODUCTION_SECONDS = 60.0
#: How long nothing may be heard of a worker, which tells of itself every few seconds.
_SILENCE_SECONDS = 60.0
_LOOK_SECONDS = 1.0
#: How long there may be no worker: one that was killed is started again within seconds.
_PATIENCE_SECONDS = 20.0
#: How long past its deadline a trial may be without an answer. Its supervisor ends it, so the host must be stuck.
_GRACE_SECONDS = 60.0


class Cluster:
    """The workers of a Dask scheduler; a context manager that is connected while it is open.

    A worker that is lost has its trial started again by the scheduler, on another one and up to three times.

    Parameters
    ----------
    address : str
        Of the scheduler. What TLS needs is in Dask's own configuration.

    Raises
    ------
    ExecutorUnusable
        When the address asks for TLS, and Dask's configuration names no certificates.
    ExecutorLost
        On entering, when no scheduler answers there.
    """

    def __init__(self, address: str) -> None:
        if address.startswith("tls:") and not _has_certificates():
            raise ExecutorUnusable(
                f"{address} needs certificates, and Dask's configuration names none: see docs/clusters.md"
            )
        self._address = address
        self.facts: Mapping[str, Any] = {}
        self._topic = uuid.uuid4().hex
        self._kind: dict[str, Any] | None = None
        #: On which workers each trial that is on its way has begun, and when, by key.
        self._begun: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
        #: What each worker told last of when it was there, by the scheduler's clock, and by ours when that was new.
        self._heard: dict[str, tuple[float, float]] = {}

    def __enter__(self) -> "Cluster":
        with ExitStack() as opened:
            # Of a lost connection it tells on many lines, and this module on one.
            logger = logging.getLogger("distributed")
            opened.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL + 1)
            try:
                # Twice: its own deadline is not kept by what accepts a connection and is silent.
                self._client = self._within(
                    2 * _CONNECT_SECONDS,
                    lambda: distributed.Client(self._address, timeout=_CONNECT_SECONDS, set_as_default=False),
                )
                opened.callback(self._leave)
                self._client.subscribe_topic(self._topic, self._note)
            except (OSError, ValueError, TypeError, RuntimeError) as problem:
                raise ExecutorLost(f"{self._address}: {_first_line(problem)}") from None
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def _leave(self) -> None:
        # Nobody else needs it: what a lost scheduler makes of it changes nothing.
        with suppress(Exception, CancelledError):
            self._within(_CONNECT_SECONDS, self._client.close)

    def _within(self, seconds: float, call: Callable[[], Answer]) -> Answer:
        """Return what `call` returns; one that takes longer is left to itself.

        Raises
        ------
        ExecutorLost
            When it takes longer.
        """
        answer: Future[Answer] = Future()

        def ask() -> None:
            try:
                answer.set_result(call())
            except BaseException as problem:
                answer.set_exception(problem)

        # Not in the pool of an executor: the interpreter would wait for that at its end.
        Thread(target=ask, daemon=True).start()
        if wait([answer], seconds).not_done:
            raise ExecutorLost(f"{self._address} does not answer")
        return answer.result()

    def admit(self, scripts: Mapping[str, str], *, mix: bool) -> None:
        """Check the hosts that are there, and take down their facts: see `executors.opened`."""
        introduced = self._introduced(scripts, self._await_workers())
        for one in introduced:
            if one["obstacle"]:
                raise ExecutorUnusable(f"{one['host']} {one['obstacle']}")
        if not mix:
            _refuse_different_kinds(introduced)
            self._kind = {name: introduced[0]["facts"][name] for name in MUST_AGREE}
        told = [one["facts"] for one in introduced]
        self.facts = {
            **{name: _together([facts[name] for facts in told]) for name in told[0]},
            "executor": f"Dask {version('distributed')}",
            "workers": dict(Counter(one["host"] for one in introduced)),
        }

    def run(self, trials: Trials) -> Generator[tuple[Trial, Outcome], None, None]:
        """Run every trial on the cluster: see `executors.Executor`."""
        # A name of its own: trials that are tried again are not to meet the end of the first attempts.
        name, waiting = uuid.uuid4().hex, iter(trials)
        running: dict[Future[bytes], Trial] = {}
        has_given_up = False
        executor: Executor = self._client.get_executor(pure=False, retries=0, resources={_RESOURCE: 1})
        workers, looked = self._await_workers(), time.monotonic()
        try:
            while True:
                # Enough that no worker waits for the next: a million orders would fill the scheduler's memory.
                for trial in islice(waiting, max(0, 2 * len(workers) - len(running))):
                    order = pack_order(name, trial, self._kind)
                    running[executor.submit(_answer, self._topic, trial.key, order)] = trial
                if not running:
                    return
                for future in wait(running, _LOOK_SECONDS, FIRST_COMPLETED).done:
                    yield running[future], self._outcome(running.pop(future), future)
                if time.monotonic() - looked > _LOOK_SECONDS:
                    workers, looked = self._await_workers(), time.monotonic()
                    for given_up in self._given_up(running, workers):
                        has_given_up = True
                        yield given_up
        finally:
            if running or has_given_up:
                self._drop(executor, name)

    def _outcome(self, trial: Trial, future: "Future[bytes]") -> Outcome:
        try:
            outcome = unpack_answer(future.result())
        except KilledWorker:
            return self._lost(trial, "each worker that began it was lost")
        except Refused as refusal:
            raise ExecutorLost(str(refusal)) from None
        except CancelledError:
            raise ExecutorLost(f"the scheduler at {self._address} is lost") from None
        except Exception as problem:
            raise ExecutorLost(f"{self._address} cannot run trials: {_first_line(problem)}") from problem
        begun = self._begun.pop(trial.key, [])
        return replace(outcome, conditions={**outcome.conditions, "attempts": max(1, len(begun))})

    def _lost(self, trial: Trial, message: str) -> Outcome:
        # Forgotten, as of a trial that ended: it may be tried again, and a grid may have a million.
        begun = self._begun.pop(trial.key, [])
        _, began_at = begun[-1] if begun else ("", time.time())
        return Outcome(
            status="worker-lost",
            exit_code=None,
            message=message,
            conditions={"attempts": max(1, len(begun))},
            started_at=began_at,
            elapsed_seconds=time.time() - began_at,
        )

    def _given_up(
        self, running: dict["Future[bytes]", Trial], workers: Collection[str]
    ) -> Generator[tuple[Trial, Outcome], None, None]:
        """Yield the trials whose hosts should have answered long ago.

        One whose worker is no longer there waits for another worker: nobody owes an answer.
        """
        now = time.time()
        for future, trial in list(running.items()):
            worker, began_at = self._begun[trial.key][-1] if trial.key in self._begun else ("", now)
            is_overdue = worker in workers and now - began_at > trial.deadline_seconds + _GRACE_SECONDS
            if is_overdue and not future.done():
                future.cancel()
                del running[future]
                yield trial, self._lost(trial, "its worker did not answer, long after its deadline")

    def _drop(self, executor: Executor, name: str) -> None:
        """Take back what is queued and end what runs, as far as anybody is there to be told."""
        with suppress(OSError, RuntimeError, CancelledError, TimeoutError):
            executor.shutdown(wait=False)
            if self._client.status == "running":
                # Not for ever: a worker that did not answer for its trial may not answer to this.
                self._client.sync(
                    self._client.run, end_run, name, on_error="ignore", callback_timeout=_CONNECT_SECONDS
                )

    def _introduced(self, scripts: Mapping[str, str], workers: list[str]) -> list[dict[str, Any]]:
        try:
            answers = self._within(
                _INTRODUCTION_SECONDS,
                lambda: self._client.run(introduce, dict(scripts), workers=workers, on_error="raise"),
            )
        except ExecutorLost:
            raise ExecutorLost(f"{self._address}: a worker does not answer") from None
        except OSError as problem:
            raise ExecutorLost(f"{self._address}: a worker is lost: {_first_line(problem)}") from None
        except Exception as problem:
            raise ExecutorUnusable(
                f"{self._address}: a worker cannot run trials: {_first_line(problem)}"
            ) from None
        if not answers:
            raise ExecutorLost(f"{self._address}: every worker for trials is lost")
        return list(answers.values())

    def _workers(self) -> dict[str, float]:
        """Return of each worker that offers to run trials, by its address, when the scheduler heard of it last."""
        known = {}
        if self._is_connected():
            with suppress(OSError, CancelledError):
                told = self._within(_ANSWER_SECONDS, lambda: self._client.scheduler_info(n_workers=-1))
                known = told.get("workers", {})
        return {
            address: worker["last_seen"]
            for address, worker in known.items()
            if worker["resources"].get(_RESOURCE, 0) >= 1
        }

    def _await_workers(self) -> list[str]:
        """Wait until there is a worker, but not for ever as the scheduler would; return the addresses of all."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while not self._is_any_heard(workers := self._workers()):
            if not self._is_connected():
                raise ExecutorLost(f"the scheduler at {self._address} is lost")
            if time.monotonic() > until:
                raise ExecutorLost(
                    f"{self._address}: no worker for trials answers"
                    if workers
                    else f"{self._address} has no worker for trials: start one with dask worker {self._address} "
                    "--nworkers 1 --nthreads 1 --resources trial=1 --memory-limit 0"
                )
            time.sleep(_LOOK_SECONDS / 10)
        return list(workers)

    def _is_any_heard(self, workers: Mapping[str, float]) -> bool:
        """Return whether a worker still tells of itself; one that is stopped stays known to the scheduler."""
        now = time.monotonic()
        # By our own clock: that of the scheduler may be another.
        self._heard = {
            address: before if (before := self._heard.get(address, (0.0, 0.0)))[0] == seen else (seen, now)
            for address, seen in workers.items()
        }
        return any(now - at < _SILENCE_SECONDS for _, at in self._heard.values())

    def _is_connected(self) -> bool:
        return bool(self._client.status == "running")

    def _note(self, event: tuple[float, tuple[str, str]]) -> None:
        """Note that a trial has begun: a second time where the first worker was lost."""
        _, (key, worker) = event
        self._begun[key].append((worker, time.time()))


def _answer(topic: str, key: str, order: bytes) -> bytes:
    """Do on a worker what is asked, and let the run know when it begins."""
    worker = distributed.get_worker()
    return answer(order, partial(worker.log_event, topic, (key, worker.address)))


def _has_certificates() -> bool:
    # A client that is made without them takes long to go again, and prints how.
    try:
        return distributed.Security().get_connection_args("client")["ssl_context"] is not None
    except OSError as problem:
        raise ExecutorUnusable(f"Dask's certificates cannot be read: {problem}") from None


def _refuse_different_kinds(introduced: Sequence[Mapping[str, Any]]) -> None:
    first = introduced[0]
    for other in introduced[1:]:
        for name in MUST_AGREE:
            here, there = first["facts"][name], other["facts"][name]
            if here != there:
                raise ExecutorUnusable(
                    f"the cluster's hosts differ: {first['host']} has {name} {here}, and {other['host']} has "
                    f"{there}: let hosts of one kind offer trial=1, or allow all with --mix"
                )


def _together(values: Sequence[Any]) -> Any:
    """Return the value that all hosts have, or a list of what they have."""
    different = [value for index, value in enumerate(values) if value not in values[:index]]
    return different[0] if len(different) == 1 else different


def _first_line(problem: BaseException) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0]
