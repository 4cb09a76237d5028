"""What takes the place of an earlier file or folder does so at one stroke, at whatever step it is cut off."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.store import workshop
from toolkit.store.workshop import tidy

#: Cuts itself off at one step after the other: each event is one that the interpreter reports before it happens.
#: A line for each tells what the report held, of how many files, and what the folder of results held in the end.
CUT_OFF = """
import os, signal, sys
from pathlib import Path
from toolkit.report.folder import write_folder
from toolkit.store import workshop

results, fault = Path(sys.argv[1]), sys.argv[2]
if sys.argv[3] == "without exchange":
    workshop._exchange = lambda one, other: False

def write(generation):
    write_folder(results / "report", {"a.txt": generation, "b.txt": generation})

def cut_off(at):
    seen = 0
    def count(event, arguments):
        nonlocal seen
        if event.startswith(("os.", "open", "tempfile.", "shutil.", "ctypes.call")):
            seen += 1
            if seen == at and fault == "SIGKILL":
                os.kill(os.getpid(), signal.SIGKILL)
            if seen == at:
                raise KeyboardInterrupt
    sys.addaudithook(count)

write(b"old")
for step in range(1, 1000):
    process = os.fork()
    if not process:
        cut_off(step)
        try:
            write(b"new")
        except KeyboardInterrupt:
            os._exit(130)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    if fault == "SIGKILL" and sys.argv[3] == "without exchange":
        workshop.tidy(results)
    held = {path.read_bytes().decode() for path in (results / "report").rglob("*.txt")}
    files = sum(1 for _ in (results / "report").rglob("*.txt"))
    workshop.tidy(results)
    print(*held, files, *os.listdir(results), sep=",")
    if status == 0:
        break
    write(b"old")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="folders are exchanged at one stroke on Linux")
@pytest.mark.parametrize("how", ["with exchange", "without exchange"])
@pytest.mark.parametrize("fault", ["SIGKILL", pytest.param("SIGINT", marks=pytest.mark.slow)])
def test_a_report_that_is_cut_off_at_any_step_leaves_the_old_or_the_new_one_whole(tmp_path, fault, how):
    ran = subprocess.run(
        [sys.executable, "-c", CUT_OFF, tmp_path, fault, how], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    steps = ran.stdout.splitlines()
    assert set(steps) == {"old,2,report", "new,2,report"}
    # It was cut off before, and after.
    assert len(steps) > 10 and steps[0] == "old,2,report"


def test_what_a_living_command_makes_is_left_to_it(tmp_path):
    with workshop.workshop(tmp_path) as place:
        (place / "new").write_bytes(b"half")
        tidy(tmp_path)
        with workshop.workshop(tmp_path) as other:
            assert other != place
        assert (place / "new").read_bytes() == b"half"
    assert list(tmp_path.iterdir()) == []


def test_the_next_command_removes_what_a_killed_one_left(tmp_path):
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom toolkit.store.workshop import workshop\n"
        "with workshop(Path(sys.argv[1])) as place:\n"
        "    (place / 'new').mkdir()\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    # Names alone prove nothing: what is no folder is not taken for one.
    stranger = tmp_path / f"{workshop._PREFIX}stranger"
    stranger.symlink_to(Path(os.devnull))
    tidy(tmp_path)
    assert list(tmp_path.iterdir()) == [stranger] and left != stranger
