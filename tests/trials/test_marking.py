"""The mark: what carries it ends, wherever it has gone, and nobody else does."""

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from toolkit.trials import killing, marking
from toolkit.trials.marking import end_marked, mark, number_of

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the environment of others is read from /proc"
)

SLEEP = "import time; print('.', flush=True); time.sleep(600)"
#: A process that its parent leaves behind in a session of its own.
ORPHAN = (
    "import subprocess, sys\n"
    f"subprocess.Popen([sys.executable, '-S', '-c', {SLEEP!r}], start_new_session=True)"
)


@pytest.fixture
def started():
    processes = []

    def start(program, variables):
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", program], env={**os.environ, **variables}, stdout=subprocess.PIPE
        )
        processes.append(process)
        assert process.stdout.readline() == b".\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_what_carries_the_mark_is_ended_and_nothing_else(started, tmp_path):
    marked = started(SLEEP, mark(tmp_path))
    others = [started(SLEEP, {}), started(SLEEP, mark(tmp_path / "other"))]
    end_marked(tmp_path)
    assert marked.wait() < 0
    assert [one.poll() for one in others] == [None, None]


def test_an_orphan_is_found_and_its_pipe_closes(started, tmp_path):
    left = started(ORPHAN, mark(tmp_path))
    assert left.wait() == 0
    end_marked(tmp_path)
    # The orphan held the other end.
    assert left.stdout.read() == b""


@pytest.mark.parametrize("folder", ["own", "other"])
def test_its_limits_tell_one_that_shed_its_environment_twice_forked_and_in_its_own_session(tmp_path, folder):
    hidden = (
        "import os, time; os.fork() and os._exit(0); os.setsid(); print(os.getpid(), flush=True);"
        "time.sleep(600)"
    )
    program = (
        f"import subprocess, sys; from toolkit.trials.marking import bear; bear({number_of(tmp_path / folder)});"
        f"subprocess.run(['setsid', 'env', '-i', sys.executable, '-S', '-c', {hidden!r}], check=True)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as left:
        orphan = psutil.Process(int(left.stdout.readline()))
        try:
            assert left.wait() == 0
            assert not orphan.environ().get("TOOLKIT_TRIAL")
            end_marked(tmp_path / "own")
            assert (not orphan.is_running() or orphan.status() == "zombie") == (folder == "own")
        finally:
            if orphan.is_running():
                orphan.kill()


def test_what_has_ended_and_waits_for_its_parent_is_not_waited_for(tmp_path):
    program = f"from toolkit.trials.marking import bear; print(bear({number_of(tmp_path)}))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as ended:
        assert ended.stdout.read() == b"True\n"
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert list(marking._carrying(marking._wanted(tmp_path))) == []


def test_it_returns_when_all_have_gone(started, tmp_path):
    for _ in range(5):
        started(SLEEP, mark(tmp_path))
    end_marked(tmp_path)
    assert list(marking._carrying(marking._wanted(tmp_path))) == []


def test_a_number_that_has_come_to_mean_another_process_is_left_alone(started, tmp_path):
    other = started(SLEEP, mark(tmp_path / "other"))
    # As where the process that was found has ended, and this one has got its number.
    killing._kill(other.pid, partial(marking._carries, other.pid, marking._wanted(tmp_path)))
    time.sleep(0.1)
    assert other.poll() is None


def test_it_does_not_wait_for_ever_for_what_the_kernel_holds_back(started, tmp_path, monkeypatch):
    marked = started(SLEEP, mark(tmp_path))
    monkeypatch.setattr(killing, "_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(killing, "_kill", lambda process_id, is_still: None)
    end_marked(tmp_path)
    assert marked.poll() is None


def test_this_process_is_never_among_them():
    wanted = Path("/proc/self/environ").read_bytes().split(b"\0")[0], b"none"
    assert marking._carries(os.getpid(), wanted)
    assert os.getpid() not in [process_id for process_id, _ in marking._carrying(wanted)]
