"""Memory that is in no resident set is weighed all the same, and nothing is weighed twice."""

import mmap
import os
import sys

import pytest

from toolkit.trials import watching
from toolkit.trials.descendants import Descendants
from toolkit.trials.shared import unmapped_bytes
from toolkit.trials.watching import _memory_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="shared memory is read from /proc")

MIB = 1 << 20
FILL = "\nfor _ in range(600): os.write(held, bytes(1 << 20))\n"


@pytest.mark.parametrize(
    "hold",
    [
        "held = os.memfd_create('held')",
        "held = os.open(f'/dev/shm/toolkit-test-{os.getpid()}', os.O_CREAT | os.O_RDWR)\n"
        "os.unlink(f'/dev/shm/toolkit-test-{os.getpid()}')",
    ],
    ids=["memfd", "shm"],
)
def test_what_is_held_in_shared_memory_passes_no_limit(run, hold):
    ended = run(hold + FILL + "time.sleep(600)", memory_limit_bytes=250 * MIB)
    assert ended.status == "mem-limit", ended
    assert max(ended.series["outside_rss_bytes"]) > 250 * MIB


@pytest.fixture
def held():
    descriptor = os.memfd_create("held")
    yield descriptor
    os.close(descriptor)


def test_a_file_counts_its_pages_once_and_what_of_it_is_mapped_is_resident(held):
    here = os.getpid()
    assert unmapped_bytes([here]) == 0
    # What has a size has no pages yet.
    os.ftruncate(held, 64 * MIB)
    assert unmapped_bytes([here]) == 0
    os.pwrite(held, bytes(32 * MIB), 0)
    before = unmapped_bytes([here])
    second = os.dup(held)
    try:
        assert 31 * MIB < before == unmapped_bytes([here, here]) <= 32 * MIB
        with mmap.mmap(held, 32 * MIB) as mapped:
            for page in range(0, 32 * MIB, mmap.PAGESIZE):
                mapped[page]
            assert unmapped_bytes([here]) == 0
    finally:
        os.close(second)


def test_what_leaves_its_mapping_while_it_is_weighed_is_not_weighed_twice(held, monkeypatch):
    """As all does when a process ends."""
    os.ftruncate(held, 64 * MIB)
    with mmap.mmap(held, 64 * MIB) as mapped, _memory_of(os.getpid(), Descendants()) as memory:
        mapped[:] = bytes(64 * MIB)

        def unmapped(process_ids):
            mapped.close()
            return unmapped_bytes(process_ids)

        before = memory()
        monkeypatch.setattr(watching, "unmapped_bytes", unmapped)
        assert abs(memory() - before) < 32 * MIB
        monkeypatch.undo()
        assert abs(memory() - before) < 32 * MIB


def test_what_is_mapped_is_not_weighed_twice(run):
    body = """
        import mmap
        held = os.memfd_create("held")
        os.ftruncate(held, 150 << 20)
        mapped = mmap.mmap(held, 150 << 20)
        mapped[:] = bytes(150 << 20)
        time.sleep(0.1)
    """
    # With numpy and the toolkit it takes some 50 MiB more, and for a moment the bytes on the other side.
    assert run(body, memory_limit_bytes=420 * MIB).status == "ok"


def test_a_process_that_has_gone_holds_nothing():
    assert unmapped_bytes([2**22 + 1]) == 0
