"""The supervisor: starts the child of a trial, watches it, ends it, and says what came of it."""

import json
import os
import select
import signal
import subprocess
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any

from toolkit.trials import Outcome, Status, Trial
from toolkit.trials.environment import command, variables
from toolkit.trials.folder import trial_folder
from toolkit.trials.measuring import probe_metrics, probes_of, watchers_of
from toolkit.trials.result import BadResult, read_result

__all__ = ["end_all", "supervise"]

_MESSAGE_BYTES = 4096

_running: set[int] = set()
_running_lock = Lock()


def supervise(trial: Trial) -> Outcome:
    """Run `trial` in a process of its own, in a process group of its own, and say what came of it.

    A trial that raises, crashes, hangs or is killed is an outcome like any other. Its process group ends with it:
    what a workload starts is left running only where the workload puts it into a session or group of its own.
    Where this process is killed before, Linux ends the trial, but not what the trial has started; the folder is
    left to `folder.sweep`.
    """
    levels = {**trial.constants, **trial.factors}
    with trial_folder() as folder:
        spec, result, log = folder / "spec.json", folder / "result", folder / "log"
        for_child = {
            **asdict(trial),
            "supervisor": os.getpid(),
            "probes": probes_of(trial.measure),
            "taken": sorted(probe_metrics()),
        }
        spec.write_text(json.dumps(for_child), encoding="utf-8")
        watchers = watchers_of(trial.measure).values()
        started_at, started = time.time(), time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                command(trial.measure, levels, spec, result),
                env=variables(trial.measure, levels),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        with _running_lock:
            _running.add(process.pid)
        with ExitStack() as watching:
            try:
                for watcher in watchers:
                    watcher.start(process)
                    watching.callback(watcher.stop)
                in_time = _wait(process, trial.deadline_seconds)
            finally:
                # The group outlives its leader as long as a process that the workload started does.
                _kill_group(process.pid)
                # Before its number is free for another process, which `end_all` must not meet.
                with _running_lock:
                    _running.discard(process.pid)
                process.wait()
        elapsed = time.monotonic() - started
        status, message, content = _judge(process.returncode, in_time, trial.deadline_seconds, result, log)
    metrics, series = dict(content.get("metrics", {})), dict(content.get("series", {}))
    if status == "ok":
        window = content["began"], content["ended"], int(metrics.get("baseline_rss_bytes", 0))
        for watcher in watchers:
            metrics |= watcher.metrics(*window)
            series |= watcher.series(*window)
    return Outcome(
        status=status,
        exit_code=process.returncode,
        message=message,
        metrics=metrics,
        series=series,
        conditions=content.get("conditions", {}),
        started_at=started_at,
        elapsed_seconds=elapsed,
    )


def end_all() -> None:
    """Kill every trial that is running now; each supervisor then reports its own as killed."""
    with _running_lock:
        for process_id in _running:
            _kill_group(process_id)


def _judge(
    exit_code: int, in_time: bool, deadline_seconds: float, result: Path, log: Path
) -> tuple[Status, str, dict[str, Any]]:
    said = _tail(log)
    if not in_time:
        return "timeout", f"ended after {deadline_seconds:g} s\n{said}".strip(), {}
    if exit_code < 0:
        status: Status = "killed" if -exit_code == signal.SIGKILL else "crash"
        return status, f"ended by {_signal_name(-exit_code)}\n{said}".strip(), {}
    try:
        content = read_result(result)
    except BadResult as problem:
        return ("bad-result" if exit_code == 0 else "exit"), f"{problem}\n{said}".strip(), {}
    if "failure" in content:
        failed_as: Status = "mem-error" if content["failure"] == "MemoryError" else "error"
        return failed_as, content["message"][-_MESSAGE_BYTES:], {}
    if exit_code > 0:
        return "exit", f"ended with exit code {exit_code} after its result\n{said}".strip(), {}
    return "ok", "", content


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        # Real-time signals but the first and the last have no name.
        return f"signal {number}"


def _tail(log: Path) -> str:
    with log.open("rb") as output:
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - _MESSAGE_BYTES))
        return output.read().decode("utf-8", errors="replace").strip()


def _wait(process: "subprocess.Popen[bytes]", deadline_seconds: float) -> bool:
    """Return whether the process has ended by itself before the deadline."""
    try:
        # Told by the kernel at once, where Popen.wait with a timeout polls.
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        # This system has no such call, or whoever watches has seen the process end already.
        try:
            process.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
    try:
        return bool(select.select([descriptor], [], [], deadline_seconds)[0])
    finally:
        os.close(descriptor)


def _kill_group(process_id: int) -> None:
    try:
        os.killpg(process_id, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # The whole group has ended. (macOS says so with PermissionError.)
        return
