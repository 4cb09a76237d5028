"""Descendants are ended however they hide, once they were seen; and nobody else is."""

import subprocess
import sys

import psutil
import pytest

from toolkit.trials.descendants import Descendants

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descendants are read from /proc")

#: A process that leaves another one behind, in a session and with an environment of its own, and tells its number.
PARENT = """
import subprocess, sys
program = "import time; time.sleep(600)"
left = subprocess.Popen([sys.executable, "-S", "-c", program], env={}, start_new_session=True)
print(left.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def orphan():
    """Return what was seen of a process, and what it left behind."""
    seen = Descendants()
    with subprocess.Popen(
        [sys.executable, "-S", "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        left = psutil.Process(int(parent.stdout.readline()))
        assert list(seen.look(parent.pid)) == [left.pid]
    yield seen, left
    if left.is_running():
        left.kill()


def test_what_was_seen_is_ended_after_its_parent_has_gone(orphan):
    seen, left = orphan
    assert left.is_running()
    seen.end()
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE


def test_another_process_with_the_number_of_one_that_was_seen_is_left_alone(orphan):
    seen, left = orphan
    seen._seen = {(number, f"{started}0") for number, started in seen._seen}
    seen.end()
    assert left.is_running() and left.status() != psutil.STATUS_ZOMBIE
