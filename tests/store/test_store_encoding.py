"""Equal values have equal bytes; every value comes back as it was."""

import math
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.store.encoding import (
    MAX_SERIES_LENGTH,
    Packed,
    canonical_json,
    check_values,
    digest_of,
    one_line,
    pack,
    unpack,
    without_surrogates,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(st.lists(INT64))
def test_integers_come_back(values: list[int]) -> None:
    unpacked = unpack(pack(values))
    assert unpacked.dtype == np.int64
    assert unpacked.tolist() == values


@settings(deadline=None)
@given(st.lists(FINITE, min_size=1))
def test_floats_come_back_bit_for_bit(values: list[float]) -> None:
    unpacked = unpack(pack(values))
    assert unpacked.dtype == np.float64
    assert [value.hex() for value in unpacked.tolist()] == [value.hex() for value in values]


def test_one_float_makes_a_series_float() -> None:
    assert pack([1, 2.5]).dtype == "float64"


def test_small_steps_take_little_room() -> None:
    steps = np.random.default_rng(0).integers(-3, 4, 10_000) * 4096
    assert len(pack(np.cumsum(steps).tolist()).data) < 10_000


def test_unpacked_values_may_be_changed() -> None:
    for values in ([1, 2], [1.5, 2.5]):
        unpack(pack(values))[0] = 0


@pytest.mark.parametrize(
    "packed",
    [
        Packed("int64", 2, zlib.compress(bytes(24))),
        Packed("int64", 4, zlib.compress(bytes(24))),
        Packed("float64", 0, zlib.compress(bytes(2**24))),
        Packed("object", 3, zlib.compress(bytes(24))),
        Packed("int64", -1, zlib.compress(b"")),
        Packed("int64", MAX_SERIES_LENGTH + 1, zlib.compress(b"")),
        Packed("int64", 3, b"no zlib"),
        Packed("int64", 3, b""),
    ],
)
def test_bytes_that_do_not_hold_what_they_claim_are_refused(packed: Packed) -> None:
    with pytest.raises(ValueError):
        unpack(packed)


def test_a_series_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="more than the 16777216"):
        pack(range(MAX_SERIES_LENGTH + 1))


def test_the_order_of_names_makes_no_difference() -> None:
    assert canonical_json({"a": 1, "b": {"d": 2.5, "c": True}}) == '{"a":1,"b":{"c":true,"d":2.5}}'
    assert canonical_json({"b": {"c": True, "d": 2.5}, "a": 1}) == '{"a":1,"b":{"c":true,"d":2.5}}'


def test_every_cell_and_every_byte_of_a_series_is_in_the_digest() -> None:
    packed = pack([1, 2, 3])
    rows = [
        (["a", 1, 2.0, None], {"s": packed.fingerprint}),
        (["a", 1, 2.0, None], {}),
        (["a", 1, 2.0, None], {"t": packed.fingerprint}),
        (["a", 1, 2.0, None], {"s": pack([1, 2, 4]).fingerprint}),
        (["a", 1, 2.0, None], {"s": Packed("float64", 3, packed.data).fingerprint}),
        (["a", 1, 2.0, 0], {"s": packed.fingerprint}),
        (["a", 1, 2, None], {"s": packed.fingerprint}),
        (["a", "1", 2.0, None], {"s": packed.fingerprint}),
        ([1, "a", 2.0, None], {"s": packed.fingerprint}),
    ]
    assert len({digest_of(cells, series) for cells, series in rows}) == len(rows)


def test_the_digest_of_a_row_stays_what_it_is_across_releases() -> None:
    assert digest_of(["ü", 1, 0.1, None], {"s": ("int64", 0, "00")}) == (
        "14da917f4aaff57c47f70b2df6bbf8d199dfe29a7ab8b301e3eeadfe07b37c8c"
    )


@pytest.mark.parametrize("cell", ["\udc80", math.nan, b"bytes"])
def test_what_the_store_never_writes_has_no_digest(cell: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        digest_of([cell])


@settings(deadline=None)
@given(FINITE | INT64 | st.booleans() | st.text())
def test_a_plain_value_passes(value: object) -> None:
    check_values({"name": value}, (bool, int, float, str))


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**63, None, [1], np.float64(1.0), b""])
def test_another_value_is_named(value: object) -> None:
    with pytest.raises(ValueError, match="'odd'"):
        check_values({"fine": 1, "odd": value}, (bool, int, float, str))


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=())))
def test_text_without_surrogates_is_unicode(text: str) -> None:
    assert without_surrogates(without_surrogates(text)) == without_surrogates(text)
    without_surrogates(text).encode()


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=())))
def test_one_line_is_one_line(text: str) -> None:
    assert one_line(text).isprintable() and len(one_line(text)) <= 200
