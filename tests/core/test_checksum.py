"""A checksum tells arrays apart by a single bit, and the same numbers in other layouts not at all."""

import tracemalloc

import numpy as np

from toolkit.core.checksum import checksum


def test_it_is_that_of_the_bytes_one_after_the_other():
    # The check value of CRC-32: that of the digits 1 to 9 in ASCII.
    digits = np.frombuffer(b"123456789", np.uint8)
    assert checksum([digits]) == checksum([digits[:4], digits[4:]]) == 0xCBF43926


def test_one_bit_makes_another():
    array = np.linspace(0, 1, 1000)
    other = array.copy()
    other.view(np.uint64)[617] ^= 1
    assert checksum([array]) != checksum([other])


def test_the_layout_does_not_count_and_nothing_contiguous_is_copied():
    array = np.arange(60_000.0).reshape(200, 300)
    expected = checksum([array])
    assert checksum([np.asfortranarray(array)]) == expected
    tracemalloc.start()
    try:
        checksum([array])
        assert tracemalloc.get_traced_memory()[1] < array.nbytes / 10
    finally:
        tracemalloc.stop()
    assert checksum([np.array(2.0)]) == checksum([np.array([2.0])])
