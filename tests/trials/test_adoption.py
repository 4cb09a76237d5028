"""What a trial starts ends with it, however it hides; and nobody else does."""

import platform
import signal
import subprocess
import sys
from threading import Thread

import psutil
import pytest

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


def test_what_others_start_outlives_the_trials_of_their_time(run, eventually, tmp_path):
    """Be it what is older than the command and starts more in the background, or is of a thread that has ended."""
    told, began = tmp_path / "told", tmp_path / "began"
    # It starts the other while a trial runs, and says so when it has.
    script = (
        f"(until [ -e {began} ]; do sleep 0.02; done; sleep 600 & echo $! >{told}.new; mv {told}.new {told})"
        " & exec sleep 600"
    )
    body = "(Path(FOLDER) / 'began').touch()\nwhile not (Path(FOLDER) / 'told').exists(): time.sleep(0.01)"
    threads_own = []
    thread = Thread(target=lambda: threads_own.append(subprocess.Popen(["sleep", "600"])))
    with subprocess.Popen(["sh", "-c", script]) as launcher:
        thread.start()
        thread.join()
        try:
            assert run(body).status == "ok"
            service = psutil.Process(int(told.read_text()))
            assert run("pass").status == "ok"
            # It has only just been started where it is not asleep yet.
            eventually(lambda: service.status() == psutil.STATUS_SLEEPING)
            assert launcher.poll() is threads_own[0].poll() is None
        finally:
            if told.exists():
                psutil.Process(int(told.read_text())).kill()
            launcher.kill()
            threads_own[0].kill()
            # Its owner is told how it ended.
            assert threads_own[0].wait() == -signal.SIGKILL


#: Refuses prctl(PR_SET_CHILD_SUBREAPER) to this process and all that it starts, as a sandbox does: seccomp(2).
SANDBOX = """
import ctypes, platform, struct
number = {"x86_64": 157, "aarch64": 167}[platform.machine()]  # of prctl
load, equal, answer = 0x20, 0x15, 0x06
steps = [(load, 0, 0, 0), (equal, 0, 3, number), (load, 0, 0, 16), (equal, 0, 1, 36),
         (answer, 0, 0, 0x50001), (answer, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0, "no filter here"
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="the filter has numbers of these")
def test_where_nobody_may_adopt_the_outcome_says_so(tmp_path):
    script = tmp_path / "plain.py"
    script.write_text(
        "from toolkit import Experiment\n"
        "EXPERIMENT = Experiment(lambda trial: None, factors={}, measures=['traced'])\n"
    )
    program = (
        "from toolkit.planning import load_experiment, plan\n"
        "from toolkit.trials.supervisor import supervise\n"
        f"(one,) = plan(load_experiment({str(script)!r}), replicates=1)\n"
        "print(supervise(one).conditions['orphans_adopted'])\n"
    )
    told = [
        subprocess.check_output([sys.executable, "-c", before + program], text=True).strip()
        for before in ("", SANDBOX)
    ]
    assert told == ["True", "False"]


def test_a_mark_that_is_refused_is_told():
    # As where a trial is run by a trial: a limit can be set lower, and higher by root alone.
    program = (
        "import os; from toolkit.trials.marking import bear; os.getuid() or os.setuid(65534);"
        "print(bear(2**62 + 1), bear(2**62 + 2))"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "True False\n"
