"""The sampled resident set: what memory_profiler sees, watching the trial from outside. The reader's reference."""

import io
import mmap
import subprocess
from threading import Thread

import psutil
from memory_profiler import memory_usage

from toolkit.probes import Datasheet

DATASHEET = Datasheet(
    includes="every resident page of the process, as memory_profiler's memory_usage polls it every 0.1 s",
    excludes="whatever rises and falls between two polls",
    keeps_alive="nothing in the trial: it runs in the process that watches",
    unit="bytes, from MiB",
    error="up to the whole peak: a trial that is over within 0.1 s may not be seen at all",
    cost="nothing in the trial; under 0.1 ms a poll in the process that watches",
    exact_on="nowhere: it is an estimate, kept because readers know it",
    disturbs="nothing",
)

MEASURES = ("resident",)
METRICS = ("sampled_peak_rss_bytes", "sampled_polls_count")
DETAILS: tuple[str, ...] = ()

_INTERVAL_SECONDS = 0.1
_MIB = 1 << 20


class Sampled:
    """Runs `memory_profiler.memory_usage` in a thread of its own until the process has ended."""

    def __init__(self) -> None:
        self._lines = io.StringIO()

    def start(self, process: "subprocess.Popen[bytes]") -> None:
        """Begin to poll."""
        self._thread = Thread(target=self._poll, args=(process,), name="memory_profiler")
        self._thread.start()

    def _poll(self, process: "subprocess.Popen[bytes]") -> None:
        try:
            memory_usage(process, interval=_INTERVAL_SECONDS, stream=self._lines)
        except psutil.Error:
            # The process ended between memory_profiler's look at it and its reading: what it wrote stands.
            return

    def stop(self) -> None:
        """Wait for the last poll."""
        self._thread.join()

    def metrics(self, began: float, ended: float, baseline_rss_bytes: int) -> dict[str, int | float]:
        """Return the highest poll and their number; no peak where no poll fell between the two times."""
        polls = self._polls(began, ended)
        metrics: dict[str, int | float] = {"sampled_polls_count": len(polls)}
        if polls:
            metrics["sampled_peak_rss_bytes"] = max(rss for _, rss in polls) - baseline_rss_bytes
        return metrics

    def series(
        self, began: float, ended: float, baseline_rss_bytes: int
    ) -> dict[str, list[int] | list[float]]:
        """Return the polls, and the seconds since the workload began."""
        polls = self._polls(began, ended)
        return {
            "sampled_rss_bytes": [rss - baseline_rss_bytes for _, rss in polls],
            "sampled_seconds": [time - began for time, _ in polls],
        }

    def _polls(self, began: float, ended: float) -> list[tuple[float, int]]:
        # Each line is "MEM <MiB> <seconds since 1970>", the format of memory_profiler's own .dat files.
        fields = [line.split() for line in self._lines.getvalue().splitlines()]
        polls = [
            (float(time), round(float(mib) * _MIB / mmap.PAGESIZE) * mmap.PAGESIZE) for _, mib, time in fields
        ]
        return [poll for poll in polls if began <= poll[0] <= ended]


WATCHER = Sampled
