"""The supervisor: starts the child of a trial, has it watched, ends it, and says what came of it."""

import json
import os
import signal
import subprocess
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from threading import Lock

from toolkit.trials import Outcome, Trial
from toolkit.trials.capacity import spare_bytes
from toolkit.trials.descendants import Descendants
from toolkit.trials.environment import command, variables
from toolkit.trials.folder import note_of, trial_folder
from toolkit.trials.judging import Ending, judge, kernel_kills
from toolkit.trials.marking import end_marked, mark, number_of
from toolkit.trials.measuring import probe_metrics, probes_of, watchers_of
from toolkit.trials.output import Output
from toolkit.trials.watching import Samples, watch

__all__ = ["end_all", "supervise"]

#: What a trial may reserve beside its limit: room for threads and libraries.
_ADDRESS_SPACE_BYTES = 1 << 30

_running: set[int] = set()
_running_lock = Lock()


def supervise(trial: Trial) -> Outcome:
    """Run `trial` in a process of its own, in a process group of its own, and say what came of it.

    A trial that raises, crashes, hangs, is killed or passes a limit is an outcome like any other. On Linux whatever
    it has started ends with it, and nothing else does: what bears a mark of the trial, in its environment or its
    limits, or was met by one of the looks at the trial's descendants, 10 ms apart. Where this process is killed
    before, Linux ends the trial; what the trial has started is left to `folder.sweep`, as is its folder, and told
    in the same ways.

    Raises
    ------
    OSError
        When the folder for temporary files cannot be written to: that says nothing of the trial.
    """
    memory_limit_bytes = trial.memory_limit_bytes or spare_bytes()
    samples = Samples()
    with trial_folder() as folder, Output() as output:
        descendants = Descendants(note_of(folder))
        result = folder / "result"
        watchers = watchers_of(trial.measure).values()
        killed_before = kernel_kills()
        started_at, started = time.time(), time.monotonic()
        process = _start(trial, folder, result, output, memory_limit_bytes)
        with ExitStack() as watching:
            try:
                for watcher in watchers:
                    watcher.start(process)
                    watching.callback(watcher.stop)
                watch_end = watch(
                    process,
                    output,
                    samples,
                    descendants,
                    deadline_seconds=trial.deadline_seconds,
                    memory_limit_bytes=memory_limit_bytes,
                )
            finally:
                _end(process, folder, descendants)
        elapsed = time.monotonic() - started
        # What was on its way when the process ended.
        output.read()
        ending = Ending(
            watch_end=watch_end,
            exit_code=process.returncode,
            deadline_seconds=trial.deadline_seconds,
            resident_bytes=max(samples.resident_bytes, default=0),
            memory_limit_bytes=memory_limit_bytes,
            out_of_memory=kernel_kills() > killed_before,
            said=output.tail,
        )
        status, message, content = judge(ending, result)
    metrics, series = dict(content.get("metrics", {})), dict(content.get("series", {}))
    if status == "ok":
        window = content["began"], content["ended"], int(metrics.get("baseline_rss_bytes", 0))
        for watcher in watchers:
            metrics |= watcher.metrics(*window)
            series |= watcher.series(*window)
    elif samples.seconds:
        series = {"outside_rss_bytes": samples.resident_bytes, "outside_seconds": samples.seconds}
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


def _start(
    trial: Trial, folder: Path, result: Path, output: Output, memory_limit_bytes: int
) -> "subprocess.Popen[bytes]":
    levels = {**trial.constants, **trial.factors}
    spec = folder / "spec.json"
    for_child = {
        **asdict(trial),
        "supervisor": os.getpid(),
        "number": number_of(folder),
        "probes": probes_of(trial.measure),
        "taken": sorted(probe_metrics()),
        # Far beyond what it may touch, for what is reserved and never touched; it stops what outruns the watch.
        "address_space_bytes": 2 * memory_limit_bytes + _ADDRESS_SPACE_BYTES,
    }
    spec.write_text(json.dumps(for_child), encoding="utf-8")
    process = subprocess.Popen(
        command(trial.measure, levels, spec, result),
        env=variables(trial.measure, levels) | mark(folder),
        stdin=subprocess.DEVNULL,
        stdout=output.writer,
        stderr=output.writer,
        start_new_session=True,
    )
    with _running_lock:
        _running.add(process.pid)
    output.close_writer()
    return process


def _end(process: "subprocess.Popen[bytes]", folder: Path, descendants: Descendants) -> None:
    # The group outlives its leader as long as a process that the workload started does.
    _kill_group(process.pid)
    # Before its number is free for another process, which `end_all` must not meet.
    with _running_lock:
        _running.discard(process.pid)
    process.wait()
    # Whatever has left the group, and what has shed its mark as well.
    end_marked(folder)
    descendants.end()


def _kill_group(process_id: int) -> None:
    try:
        os.killpg(process_id, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # The whole group has ended. (macOS says so with PermissionError.)
        return
