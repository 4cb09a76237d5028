import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.report.names import in_directions, legible, unique_stems

LABELS = st.text(st.characters(), max_size=40)


@given(st.lists(LABELS, max_size=20))
def test_names_of_files_are_safe_and_differ_in_more_than_case(labels):
    stem = unique_stems()
    names = [stem(label) for label in labels]
    assert len({name.lower() for name in names}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,70}", name) for name in names)
    assert not any("--" in name for name in names)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("step17_weak_references", "step17_weak_references"),
        ("../../etc/passwd", "etc-passwd"),
        ("a/b\\c:d", "a-b-c-d"),
        ("é\u202ex", "ex"),
        ("한국어", "unnamed"),
        ("", "unnamed"),
        ("-rf", "rf"),
        ("x" * 300, "x" * 60),
    ],
)
def test_a_name_keeps_what_is_safe_of_its_label(label, name):
    assert unique_stems()(label) == name


def test_a_label_that_comes_again_gets_another_name():
    stem = unique_stems()
    assert [stem("peak"), stem("Peak"), stem("peak")] == ["peak", "Peak-2", "peak-3"]


@given(LABELS)
def test_whatever_is_visible_can_be_written_and_read(label):
    shown = legible(label)
    assert shown.encode().decode() == shown
    assert legible(shown) == shown
    assert len(shown) == len(label)


def test_what_hides_or_turns_text_is_marked():
    assert legible("a\u202eb\x00c\ud800d\ufffee\n\tf") == "a\ufffdb\ufffdc\ufffdd\ufffde\n\tf"
    assert legible("Schrödinger 17 − 18 한국어") == "Schrödinger 17 − 18 한국어"


@given(LABELS)
def test_the_parts_of_a_text_are_the_text(label):
    parts = list(in_directions(label))
    assert "".join(part for part, _ in parts) == label
    for part, from_the_right in parts:
        kinds = {unicodedata.bidirectional(letter) for letter in part}
        assert not kinds & ({"L"} if from_the_right else {"R", "AL", "AN"})


@pytest.mark.parametrize(
    ("label", "parts"),
    [
        ("n=5", [("n=5", False)]),
        ("שלום עולם: 5", [("", False), ("שלום עולם", True), (": 5", False)]),
        ("a שלום b سلام 7", [("a ", False), ("שלום", True), (" b ", False), ("سلام", True), (" 7", False)]),
    ],
)
def test_what_is_written_from_the_right_is_told_apart(label, parts):
    assert list(in_directions(label)) == parts
