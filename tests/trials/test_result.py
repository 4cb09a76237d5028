"""The frame of a result: whole and as it was written, or refused."""

import hashlib
import json
import math
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.trials import result
from toolkit.trials.result import BadResult, pack_result, read_result, write_result

CONTENT = {
    "metrics": {"peak_rss_bytes": 2**62, "wall_seconds": 0.1},
    "series": {"event_rss_bytes": [1, 2]},
    "conditions": {"words": "메모리 \ud800", "exact_probe": True},
    "began": 1.0,
    "ended": 2.0,
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "result"


@pytest.fixture
def written(path):
    write_result(path, pack_result(CONTENT))
    return path


def test_what_is_written_is_read(written):
    assert read_result(written) == CONTENT
    assert os.listdir(written.parent) == ["result"]


def test_no_result_is_bad(path):
    with pytest.raises(BadResult, match="without a result"):
        read_result(path)


def test_a_result_cut_short_anywhere_is_bad(written):
    content = written.read_bytes()
    for length in range(len(content)):
        written.write_bytes(content[:length])
        with pytest.raises(BadResult, match=r"cut short|damaged"):
            read_result(written)


def test_a_flipped_bit_anywhere_makes_it_bad(written):
    content = written.read_bytes()
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << (position % 8)
        written.write_bytes(flipped)
        with pytest.raises(BadResult, match="damaged"):
            read_result(written)


def test_more_than_was_written_is_bad(written):
    with written.open("ab") as end:
        end.write(b" ")
    with pytest.raises(BadResult, match="damaged"):
        read_result(written)


def test_a_frame_of_another_kind_is_bad(path):
    body = json.dumps(CONTENT).encode()
    frame = struct.pack(">16sQ32s", b"toolkit result 2", len(body), hashlib.sha256(body).digest())
    path.write_bytes(frame + body)
    with pytest.raises(BadResult, match="damaged"):
        read_result(path)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_lacks_is_refused_and_nothing_written(path, number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_result(path, pack_result({"metrics": {"peak_rss_bytes": number}}))
    assert os.listdir(path.parent) == []


def test_an_earlier_result_stays_until_the_next_is_whole(written, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(result.os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_result(written, pack_result({}))
    assert read_result(written) == CONTENT


@given(st.binary(max_size=200))
def test_garbage_is_bad(tmp_path_factory, garbage):
    path = tmp_path_factory.mktemp("garbage") / "result"
    path.write_bytes(garbage)
    with pytest.raises(BadResult):
        read_result(path)


@pytest.mark.parametrize(
    "forged",
    [
        {"metrics": {}},
        {**CONTENT, "began": None},
        {**CONTENT, "metrics": {"peak_rss_bytes": 0.5}},
        {**CONTENT, "metrics": {"sum_value": 2**80}},
        {**CONTENT, "series": {"event_rss_bytes": {"0": 1}}},
        {**CONTENT, "series": {"event_rss_bytes": ["much"]}},
        {**CONTENT, "conditions": {"python": ["3.11"]}},
        {**CONTENT, "conditions": {"page_bytes": "many"}},
        {**CONTENT, "metrics": {f"loss{step}": 0.5 for step in range(1001)}},
        {"failure": "MemoryError"},
        {"failure": 1, "message": ""},
    ],
)
def test_a_frame_that_holds_no_result_of_a_trial_is_bad(path, forged):
    write_result(path, pack_result(forged))
    with pytest.raises(BadResult, match="is not one of a trial"):
        read_result(path)


@pytest.mark.parametrize("body", [b"[]", b"7", b"{", b"\xff", b'{"began": NaN}', b"[" * 100_000])
def test_a_frame_of_anything_but_a_json_object_is_bad(path, body):
    frame = struct.pack(">16sQ32s", b"toolkit result 1", len(body), hashlib.sha256(body).digest())
    path.write_bytes(frame + body)
    with pytest.raises(BadResult, match="is no JSON"):
        read_result(path)


def place_fifo(path):
    os.mkfifo(path)


def place_link(path):
    path.symlink_to("/dev/zero")


def place_hole(path):
    with path.open("wb") as file:
        file.truncate(8 << 30)


@pytest.mark.parametrize("place", [place_fifo, place_link, place_hole, os.mkdir])
def test_what_a_trial_puts_in_the_place_of_a_result_is_not_waited_for(path, place):
    place(path)
    with pytest.raises(BadResult):
        read_result(path)
