"""What a trial starts ends with it, however it hides; and nobody else does."""

import subprocess
import sys

import pytest

from toolkit.trials import adoption
from toolkit.trials.adoption import adopting, end_orphans

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux")

#: Leaves behind a process that was forked twice, in a session of its own and without any environment. FOLDER among
#: its arguments lets the proof that nothing is left find it.
HIDE = """
program = "import os, time; os.fork() and os._exit(0); os.setsid(); time.sleep(600)"
subprocess.run(["setsid", "env", "-i", sys.executable, "-S", "-c", program, FOLDER], check=True)
"""


@pytest.mark.parametrize(
    ("ending", "status"),
    [("pass", "ok"), ("os._exit(0)", "bad-result"), ("os.kill(os.getpid(), signal.SIGKILL)", "killed")],
)
def test_nothing_that_hides_outlives_its_trial(run, ending, status):
    assert run(HIDE + ending).status == status


def test_what_hides_is_weighed_with_its_trial(run):
    program = (
        "import os, time; os.fork() and os._exit(0); os.setsid(); x = b'x' * (300 << 20); time.sleep(600)"
    )
    ended = run(
        HIDE.replace(HIDE.splitlines()[1], f"program = {program!r}") + "time.sleep(600)",
        memory_limit_bytes=250 << 20,
    )
    assert ended.status == "mem-limit"


def test_what_this_process_started_itself_is_left_alone():
    with subprocess.Popen(["sleep", "600"]) as before, adopting():
        with subprocess.Popen(["sleep", "600"]) as own:
            end_orphans(but=frozenset([own.pid]))
            assert before.poll() is own.poll() is None
            own.kill()
        before.kill()


def test_a_process_adopts_for_as_long_as_one_of_its_threads_supervises():
    assert not adoption._adopts()
    with adopting():
        with adopting():
            assert adoption._adopts()
        assert adoption._adopts()
    assert not adoption._adopts()
