"""What the tests of the probes share."""

import gc
import io
from textwrap import dedent

import pytest

from toolkit.planning import load_experiment, plan
from toolkit.probes import MOMENTS, Position, sampled
from toolkit.trials.supervisor import supervise


@pytest.fixture
def position():
    return Position()


@pytest.fixture
def watched():
    """Return a function that runs a workload in this process under a probe, and returns that, read."""

    def run(probe, workload):
        probe.start()
        try:
            held = workload()  # held until the end is read
        finally:
            probe.stop()
        probe.read("end")
        del held
        for moment in MOMENTS[1:]:
            if moment == "collected":
                gc.collect()
            probe.read(moment)
        return probe

    return run


@pytest.fixture
def until_polled(tmp_path, monkeypatch):
    """Return the lines of a workload that goes on when memory_profiler has polled it from then on."""
    polls = tmp_path / "polls"
    polls.touch()

    class Told(io.StringIO):
        def write(self, line):
            count = super().write(line)
            with polls.open("a") as told:
                told.write(".")
            return count

    monkeypatch.setattr(sampled.io, "StringIO", Told)
    # The first to be told of may have been read before.
    return (
        f"import os; polls = {str(polls)!r}\n"
        "enough = os.stat(polls).st_size + 2\n"
        "while os.stat(polls).st_size < enough: time.sleep(0.01)"
    )


@pytest.fixture
def measured(tmp_path):
    """Return a function that runs the body of a workload as a trial and returns its outcome."""

    def run(body, measure):
        # A name of its own: Python takes a script of one size and second for the one that it compiled before.
        script = tmp_path / f"probed_{measure}.py"
        lines = dedent(body).strip().splitlines()
        script.write_text(
            "import mmap\nimport time\nimport numpy as np\nfrom toolkit import Experiment, Variable, square\n\n"
            + "\n    ".join(["def workload(trial):", *lines])
            + f"\n\nEXPERIMENT = Experiment(workload, factors={{}}, measures=[{measure!r}])\n"
        )
        (trial,) = plan(load_experiment(str(script)), replicates=1)
        outcome = supervise(trial)
        assert outcome.status == "ok", outcome.message
        return outcome

    return run
