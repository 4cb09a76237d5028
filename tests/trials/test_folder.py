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


@pytest.mark.parametrize("left", [[], ["log"], ["a/b/log"]])
def test_one_is_swept_at_whatever_moment_its_supervisor_was_killed(temporary, left):
    folder = temporary / "toolkit-trial-left"
    folder.mkdir()
    for name in left:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    sweep()
    assert list(temporary.iterdir()) == []


def test_one_that_is_swept_before_it_is_locked_is_made_again(temporary, monkeypatch):
    made, make = [], tempfile.mkdtemp

    def swept_at_once(**how):
        made.append(make(**how))
        if len(made) < 3:
            sweep()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", swept_at_once)
    with trial_folder() as folder:
        assert [str(folder)] == made[2:]


def test_folders_nested_deeper_than_the_interpreter_follows_are_removed(temporary):
    with trial_folder() as folder:
        at = os.open(folder, os.O_RDONLY)
        for _ in range(3000):
            os.mkdir("d", dir_fd=at)
            below = os.open("d", os.O_RDONLY, dir_fd=at)
            os.close(at)
            at = below
        os.close(at)
    assert list(temporary.iterdir()) == []


def test_what_is_no_folder_in_the_place_of_one_holds_nobody_up(temporary):
    os.mkfifo(temporary / "toolkit-trial-pipe")
    (temporary / "folder").mkdir()
    (temporary / "toolkit-trial-link").symlink_to(temporary / "folder")
    # In a process of its own, which can be ended if it waits for ever.
    subprocess.run(
        [sys.executable, "-c", "from toolkit.trials.folder import sweep; sweep()"],
        cwd=Path(toolkit.__file__).parents[1],
        env={"TMPDIR": str(temporary)},
        check=True,
        timeout=60,
    )
    assert {path.name for path in temporary.iterdir()} == {
        "toolkit-trial-pipe",
        "toolkit-trial-link",
        "folder",
    }


def test_folders_of_others_are_left_alone(temporary):
    for name in ("toolkit-of-something-else", "other"):
        (temporary / name).mkdir()
        (temporary / name / "lock").touch()
    sweep()
    assert len(list(temporary.iterdir())) == 2
