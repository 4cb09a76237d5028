"""The folder of a trial: there for as long as it runs, and no longer, also where the supervisor was killed."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import toolkit
from toolkit.trials.folder import sweep, trial_folder

HOLDER = """
import sys, time
from toolkit.trials.folder import trial_folder
with trial_folder() as folder:
    (folder / "log").touch()
    print("made", flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_gone_after_the_block_also_on_errors(temporary):
    with trial_folder() as folder:
        assert folder.parent == temporary
        (folder / "log").touch()
    with pytest.raises(ZeroDivisionError), trial_folder():
        raise ZeroDivisionError
    assert list(temporary.iterdir()) == []


def test_what_a_killed_supervisor_left_is_swept_and_what_a_living_one_has_is_not(temporary):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        cwd=Path(toolkit.__file__).parents[1],
        env={"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
    )
    with holder.stdout:
        assert holder.stdout.readline() == b"made\n"
        with trial_folder() as mine:
            sweep()
            assert len(list(temporary.iterdir())) == 2
            holder.kill()
            holder.wait()
            sweep()
            assert list(temporary.iterdir()) == [mine]


def test_what_is_no_file_in_the_place_of_a_lock_holds_nobody_up(temporary):
    for name in ("trial-pipe", "trial-link"):
        (temporary / name).mkdir()
    os.mkfifo(temporary / "trial-pipe" / "supervisor.lock")
    (temporary / "file").touch()
    (temporary / "trial-link" / "supervisor.lock").symlink_to(temporary / "file")
    # In a process of its own, which can be ended if it waits for ever.
    subprocess.run(
        [sys.executable, "-c", "from toolkit.trials.folder import sweep; sweep()"],
        cwd=Path(toolkit.__file__).parents[1],
        env={"TMPDIR": str(temporary)},
        check=True,
        timeout=60,
    )
    assert {path.name for path in temporary.iterdir()} == {"trial-pipe", "trial-link", "file"}


def test_folders_of_others_are_left_alone(temporary):
    for name in ("trial-of-something-else", "other"):
        (temporary / name).mkdir()
        (temporary / name / "lock").touch()
    sweep()
    assert len(list(temporary.iterdir())) == 2
