"""What this machine can spare: the tightest of the limits on it."""

import psutil
import pytest

from toolkit.trials.capacity import available_bytes, mebibytes, spare_bytes

GIB = 1 << 30


@pytest.fixture
def group(tmp_path):
    """Return a function that makes a control group with these files, and tells of it as the one of this process."""

    def make(path, membership, **files):
        folder = tmp_path / "groups" / path
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)
        (tmp_path / "membership").write_text(membership)
        return tmp_path / "groups", tmp_path / "membership"

    return make


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine of which 20 GiB are available."""
    memory = psutil.virtual_memory()._replace(available=20 * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


def test_without_control_groups_it_is_what_the_machine_has(tmp_path):
    assert available_bytes(tmp_path, tmp_path / "none") == 20 * GIB


def test_the_limit_of_a_group_counts_less_what_is_used_in_it_but_for_unused_files(group):
    places = group(
        "docker/box",
        "0::/docker/box/inner\n",
        memory__max=str(4 * GIB),
        memory__current=str(3 * GIB),
        memory__stat=f"anon 5\ninactive_file {GIB // 2}\n",
    )
    # The limit is that of the group above.
    assert available_bytes(*places) == GIB + GIB // 2


def test_older_groups_count_too(group):
    places = group(
        "memory/box",
        "5:cpu:/\n4:cpuacct,memory:/box\n0::/\n",
        memory__limit_in_bytes=str(2 * GIB),
        memory__usage_in_bytes=str(GIB),
        memory__stat="total_inactive_file 4096\n",
    )
    assert available_bytes(*places) == GIB + 4096


def test_inside_a_container_the_group_is_the_root(group):
    places = group(
        "",
        "0::/system.slice/of-the-host\n",
        memory__max=str(GIB),
        memory__current="0",
        memory__stat="",
    )
    assert available_bytes(*places) == GIB


def test_a_group_without_a_limit_limits_nothing(group):
    places = group("box", "0::/box\n", memory__max="max\n", memory__current="5", memory__stat="")
    assert available_bytes(*places) == 20 * GIB


def test_a_group_that_is_full_leaves_nothing(group):
    places = group("box", "0::/box\n", memory__max="4096", memory__current="8192", memory__stat="")
    assert available_bytes(*places) == 0


def test_trials_may_have_nine_tenths():
    assert 0 < spare_bytes() <= 20 * GIB * 9 // 10


def test_bytes_are_told_as_limits_are():
    assert [mebibytes(count) for count in (209_715_200, 10 * GIB)] == ["200.0 MiB", "10.0 GiB"]
