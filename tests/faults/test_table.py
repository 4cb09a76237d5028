"""The table of faults: all thirty, and every test that it names is there."""

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TEXT = (HERE / "README.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (\d+) \|.*\| (.*) \|$", TEXT, re.MULTILINE))
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


def test_all_thirty_are_there_in_order():
    assert [str(number) for number in range(1, 31)] == list(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_every_row_names_a_test(row):
    assert "::test_" in ROWS[row]


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_test_that_is_named_is_there(path, name):
    assert f"def {name}(" in (HERE.parents[1] / path).read_text(encoding="utf-8")
