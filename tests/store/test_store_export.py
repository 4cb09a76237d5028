"""What other programs get is what `load` gives, and a file is replaced whole or not at all."""

import csv
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.store import StoreUnwritable
from toolkit.store.export import FORMATS, export, harmless
from toolkit.store.read import load
from toolkit.store.write import Writer
from toolkit.trials import Outcome, Trial

MakeTrial: TypeAlias = Callable[..., Trial]
MakeOutcome: TypeAlias = Callable[..., Outcome]
InNamespace: TypeAlias = Callable[[str, Path], str]

BIG = 2**63 - 1
FORMULA = '=HYPERLINK("http://example.org","x")'

FULL_DISK = """
import pandas
from toolkit.store.export import FORMATS, export
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", results], check=True)
frame = pandas.DataFrame({"x": range(100_000)})
for format in FORMATS:
    path = results / f"old.{format}"
    path.write_text("what was there")
    try:
        export(frame, path, format)
    except StoreUnwritable as error:
        assert "No space left" in str(error), error
        print(format, path.read_text(), len(os.listdir(results)))
    path.unlink()
"""


@pytest.fixture
def loaded(results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome) -> pd.DataFrame:
    """Return a frame with a value of every kind, and with gaps."""
    factors = {"n": BIG, "shift": -1, "flag": True, "gc": "default", "label": FORMULA, "@risk": "-1"}
    with Writer(results) as store:
        run = store.begin_run({})
        store.add(run, make_trial(0, factors=factors), make_outcome(metrics={"x_seconds": 0.1 + 0.2}))
        store.add(
            run,
            make_trial(1, factors={"gc": 700, "flag": False, "label": 'ü, "quoted"\nand | more'}),
            make_outcome("killed", exit_code=-9, metrics={"x_bytes": BIG, "x_seconds": 5e-324}),
        )
    return load(results).sort_values("replicate", ignore_index=True)


def test_parquet_comes_back_with_its_types(loaded: pd.DataFrame, tmp_path: Path) -> None:
    export(loaded, tmp_path / "out.parquet", "parquet")
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "out.parquet"), loaded.assign(gc=loaded["gc"].astype("string"))
    )


def test_json_holds_every_value_exactly(loaded: pd.DataFrame, tmp_path: Path) -> None:
    export(loaded, tmp_path / "out.json", "json")
    first, second = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert list(first) == list(second) == list(loaded.columns)
    assert (first["n"], first["shift"], first["label"], first["x_bytes"]) == (BIG, -1, FORMULA, None)
    assert (first["gc"], second["gc"]) == ("default", 700)
    assert (first["flag"], second["flag"], second["n"], second["exit_code"]) == (True, False, None, -9)
    assert (first["x_seconds"], second["x_seconds"], second["x_bytes"]) == (0.1 + 0.2, 5e-324, BIG)
    assert second["label"] == 'ü, "quoted"\nand | more'


def test_csv_holds_numbers_exactly_and_no_formulas(loaded: pd.DataFrame, tmp_path: Path) -> None:
    export(loaded, tmp_path / "out.csv", "csv")
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert list(first) == [f"'{name}" if name == "@risk" else name for name in loaded.columns]
    assert (first["n"], second["x_bytes"], second["n"], first["x_bytes"]) == (str(BIG), str(BIG), "", "")
    assert (first["shift"], second["exit_code"]) == ("-1", "-9")
    assert (float(first["x_seconds"]), float(second["x_seconds"])) == (0.1 + 0.2, 5e-324)
    assert (first["label"], first["'@risk"]) == (f"'{FORMULA}", "'-1")
    assert second["label"] == 'ü, "quoted"\nand | more'
    assert (first["gc"], second["gc"], first["flag"]) == ("default", "700", "True")


@pytest.mark.parametrize(
    "start",
    [
        *"=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\ufe63",
        " =",
        "\x0b+",
        "\xa0-",
        "\ufeff@",
        "\0=",
        "\u200b\uff1d",
        "'=",
        "''\t",
    ],
)
def test_no_text_of_a_csv_begins_a_formula(tmp_path: Path, start: str) -> None:
    frame = pd.DataFrame(
        {f"{start}name": pd.Series([f"{start}1", None], dtype="string"), "mixed": [f"{start}x", -1]}
    )
    export(frame, tmp_path / "out.csv", "csv")
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            [f"'{start}name", "mixed"],
            [f"'{start}1", f"'{start}x"],
            ["", "-1"],
        ]


@pytest.mark.parametrize("separator", [";", "\t", "\r", "\n"])
def test_no_formula_begins_where_another_program_may_split_a_text(separator: str) -> None:
    assert harmless(f"a{separator} =1") == f"a{separator}' =1"
    assert harmless(f"a{separator}b=1, -1") == f"a{separator}b=1, -1"


@given(st.text(st.sampled_from("='\t\r\n; -\uff20ab\ufeff")))
def test_a_guarded_text_can_be_had_back(text: str) -> None:
    guarded = harmless(text)
    begin = re.compile(r"(\A|(?<=[;\t\r\n]))'(?=['\s\ufeff]*[=\-\uff20])|\A'(?='*[\t\r\n])")
    assert begin.sub("", guarded) == text
    for cell in re.split(r"[;\t\r\n]", guarded):
        assert not re.match(r"[\s\ufeff]*[=\-\uff20]", cell)


@pytest.mark.parametrize("format", FORMATS)
def test_equal_frames_make_equal_bytes(loaded: pd.DataFrame, tmp_path: Path, format: str) -> None:
    export(loaded, tmp_path / "one", format)
    export(loaded.copy(), tmp_path / "two", format)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("format", FORMATS)
def test_a_store_without_trials_can_be_exported(results: Path, format: str) -> None:
    with Writer(results):
        pass
    export(load(results), results / "out", format)
    if format == "json":
        assert json.loads((results / "out").read_text()) == []
    else:
        read = pd.read_csv(results / "out") if format == "csv" else pd.read_parquet(results / "out")
        assert read.empty and list(read.columns) == list(load(results).columns)


@pytest.mark.parametrize("format", FORMATS)
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, format: str) -> None:
    (tmp_path / "out").write_text("what was there")

    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("cannot be written")

    with pytest.raises((RuntimeError, TypeError)):
        export(pd.DataFrame({"x": [1, Odd()]}), tmp_path / "out", format)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_text() == "what was there"


def test_a_full_disk_leaves_the_old_file(results: Path, in_namespace: InNamespace) -> None:
    results.mkdir()
    assert in_namespace(FULL_DISK, results).splitlines() == [
        f"{format} what was there 1" for format in FORMATS
    ]


@pytest.mark.parametrize("place", ["missing/out.csv", "/proc/out.csv"])
def test_a_file_that_cannot_be_made_gets_one_line(tmp_path: Path, place: str) -> None:
    with pytest.raises(StoreUnwritable) as refusal:
        export(pd.DataFrame({"x": [1]}), tmp_path / place, "csv")
    assert str(refusal.value) == f"{tmp_path / place}: No such file or directory"


def test_an_unknown_format_is_told_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'xlsx' is no format; the formats are csv, json, parquet"):
        export(pd.DataFrame(), tmp_path / "out", "xlsx")


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        export(pd.DataFrame({"x": [1]}), tmp_path / "out.csv", "csv")
    finally:
        os.umask(old)
    assert (tmp_path / "out.csv").stat().st_mode & 0o777 == 0o644
