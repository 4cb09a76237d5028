"""Memory that is in no resident set is weighed all the same, and nothing is weighed twice."""

import mmap
import os
import sys

import pytest

from toolkit.trials.shared import unmapped_bytes

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
