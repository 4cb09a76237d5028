"""Whatever bytes a file holds, reading it ends soon: in rows that are what was written, or in one line."""

import json
import random
import signal
import sqlite3
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolkit.report.build import document
from toolkit.report.formats import csv, html, markdown
from toolkit.store import BadStore, Contents, StoreError
from toolkit.store.encoding import Packed, digest_of, unpack
from toolkit.store.export import FORMATS, export
from toolkit.store.read import load, read_store, series
from toolkit.store.schema import RUN_CELLS, TRIAL_CELLS
from toolkit.store.verify import verify
from toolkit.store.write import Writer
from toolkit.trials import MEASURES, Outcome, Trial

MakeTrial: TypeAlias = Callable[..., Trial]
MakeOutcome: TypeAlias = Callable[..., Outcome]
Mutation: TypeAlias = Callable[[bytearray], None]

#: Inputs of a test: the full suite has some fifteen thousand in all.
FEW, MANY = 200, 4000
THOROUGH = [FEW, pytest.param(MANY, marks=pytest.mark.slow)]
SETTINGS: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


@contextmanager
def soon(seconds: int = 300) -> Iterator[None]:
    """End what hangs; a busy machine needs a small part of this."""

    def give_up(*_: object) -> None:
        raise AssertionError(f"it took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def flipped(place: float, bit: int) -> Mutation:
    def mutate(content: bytearray) -> None:
        if content:
            content[int(place * len(content))] ^= 1 << bit

    return mutate


def written(place: float, new: bytes) -> Mutation:
    def mutate(content: bytearray) -> None:
        begin = int(place * len(content))
        content[begin : begin + len(new)] = new

    return mutate


def moved(source: float, target: float, size: int) -> Mutation:
    def mutate(content: bytearray) -> None:
        begin = int(source * len(content)) // size * size
        end = int(target * len(content)) // size * size
        content[end : end + size] = content[begin : begin + size]

    return mutate


def cut(place: float) -> Mutation:
    def mutate(content: bytearray) -> None:
        del content[int(place * len(content)) :]

    return mutate


#: Most of what hits the first page, which holds the schema, is refused: the others have rows.
PLACES = st.floats(0, 1, exclude_max=True) | st.floats(0.125, 1, exclude_max=True)
#: The first bytes of a file, and those of its pages, decide how SQLite reads the others.
HEADERS = st.builds(
    lambda page, offset: (4096 * page + offset) / 32_768, st.integers(0, 7), st.integers(0, 119)
).filter(lambda place: place < 1)
MUTATIONS = st.lists(
    st.one_of(
        st.builds(flipped, PLACES | HEADERS, st.integers(0, 7)),
        st.builds(written, PLACES | HEADERS, st.binary(min_size=1, max_size=8)),
        st.builds(written, PLACES | HEADERS, st.sampled_from([b"\xff" * 9, b"\0" * 64, b"\x7f\xff\xff\xff"])),
        st.builds(moved, PLACES, PLACES, st.sampled_from([16, 512, 4096])),
        st.builds(cut, PLACES),
    ),
    min_size=1,
    max_size=4,
)


def check(results: Path, before: Contents) -> str:
    """Check that what can be read of a mutated store is what was written, and that errors are one line.

    Return how it ended.
    """
    ended = "refused"
    with soon():
        for use in (read_store, verify, load_a_series(before)):
            try:
                found = use(results)
            except StoreError as error:
                assert str(error).isprintable(), error
                continue
            if isinstance(found, Contents):
                assert set(map(str, found.rows)) <= set(map(str, before.rows))
                assert set(map(str, found.runs)) <= set(map(str, before.runs))
                assert all(str(one).isprintable() for one in found.damaged)
                ended = "damaged" if found.damaged else "whole"
    return ended


def load_a_series(before: Contents) -> Callable[[Path], object]:
    def use(results: Path) -> None:
        with suppress(KeyError):
            series(results, before.rows[1].key)

    return use


@pytest.mark.parametrize("examples", THOROUGH)
def test_mutated_bytes_end_in_whole_rows_or_in_one_line(filled: Path, examples: int) -> None:
    before, content = read_store(filled), (filled / "results.db").read_bytes()
    ends: Counter[str] = Counter()

    @settings(max_examples=examples, derandomize=examples < 1000, **SETTINGS)
    @given(MUTATIONS)
    def mutated(mutations: list[Mutation]) -> None:
        changed = bytearray(content)
        for mutate in mutations:
            mutate(changed)
        for path in filled.iterdir():
            path.unlink()
        (filled / "results.db").write_bytes(changed)
        ends[check(filled, before)] += 1

    mutated()
    assert len(ends) == 3, ends


@pytest.mark.parametrize("examples", THOROUGH)
def test_random_changes_end_in_whole_rows_or_in_one_line(filled: Path, examples: int) -> None:
    # Hypothesis likes small changes; these are as wild as they come.
    before, content = read_store(filled), (filled / "results.db").read_bytes()
    chance, ends = random.Random(5), Counter[str]()
    for _ in range(examples):
        changed = bytearray(content)
        for _ in range(2 ** chance.randrange(8)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        # Most of them with a first page that lets SQLite in.
        if chance.random() < 0.75:
            changed[:4096] = content[:4096]
        for path in filled.iterdir():
            path.unlink()
        (filled / "results.db").write_bytes(changed)
        ends[check(filled, before)] += 1
    assert len(ends) == 3, ends


@pytest.mark.parametrize("examples", [FEW // 3, pytest.param(MANY // 4, marks=pytest.mark.slow)])
def test_a_writer_opens_mutated_bytes_or_says_in_one_line_why_not(filled: Path, examples: int) -> None:
    content, chance = (filled / "results.db").read_bytes(), random.Random(6)
    for _ in range(examples):
        changed = bytearray(content)
        for _ in range(chance.randrange(1, 20)):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        for path in filled.iterdir():
            path.unlink()
        (filled / "results.db").write_bytes(changed)
        with soon():
            try:
                with Writer(filled) as store:
                    store.begin_run({})
            except StoreError as error:
                assert str(error).isprintable(), error


CELLS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
    st.sampled_from(
        ["{}", "[]", "null", '{"a":NaN}', '{"a":1e999}', "[" * 3000, '{"a":' * 3000, '{"\\ud800":"\\udfff"}']
    ),
)


@pytest.mark.parametrize("examples", [FEW // 3, pytest.param(MANY // 4, marks=pytest.mark.slow)])
def test_forged_cells_under_true_digests_are_read_or_left_out(filled: Path, examples: int) -> None:
    @settings(max_examples=examples, derandomize=examples < 1000, **SETTINGS)
    @given(st.sampled_from(TRIAL_CELLS[1:]), CELLS, st.sampled_from(RUN_CELLS[1:]), CELLS)
    def forged(trial_cell: str, one: Any, run_cell: str, other: Any) -> None:
        with closing(sqlite3.connect(filled / "results.db", isolation_level=None)) as connection:
            connection.execute("BEGIN")
            if not all(
                forge(connection, *change)
                for change in (("trial", TRIAL_CELLS, trial_cell, one), ("run", RUN_CELLS, run_cell, other))
            ):
                return
            connection.execute("COMMIT")
        with soon():
            contents = read_store(filled)
            assert len(contents.rows) + len(contents.left_out) + len(contents.runs) >= 5
            assert all(str(one).isprintable() for one in contents.damaged)
            with warnings.catch_warnings(action="ignore"):
                assert len(load(filled)) == len(contents.rows)

    forged()


def forge(connection: sqlite3.Connection, table: str, cells: tuple[str, ...], cell: str, value: Any) -> bool:
    """Change a cell of the second row, without series, and give the row the digest that it should then have."""
    where = "id = (SELECT max(id) FROM trial)" if table == "trial" else "id = 1"
    try:
        connection.execute(f"UPDATE {table} SET {cell} = ? WHERE {where}", (value,))
    except sqlite3.IntegrityError:
        return False
    if table == "trial":
        connection.execute(f"DELETE FROM series WHERE trial = (SELECT key FROM trial WHERE {where})")
    row = connection.execute(f"SELECT {', '.join(cells)} FROM {table} WHERE {where}").fetchone()
    with suppress(TypeError, ValueError):
        connection.execute(f"UPDATE {table} SET digest = ? WHERE {where}", (digest_of(row),))
    return True


#: What a run and a trial may tell, with the names that readers take something from.
TOLD = {
    "arguments": ["run", "--set", "n=1"],
    "profile": "default",
    "order_seed": 5,
    "skipped_levels": {"step17": {"malloc=jemalloc": "not here"}},
    "python": "3.11.7",
    "cpu": ["one", "two"],
    "memory_bytes": 2**33,
    "load": [0.5],
    "memory_environment": {"PYTHONHASHSEED": "0"},
    "git_commit": None,
}
CONDITIONS = {
    "attempts": 1,
    "exact_probe": True,
    "page_bytes": 4096,
    "prediction_array_bytes": 80,
    "prediction_basis": "k S",
    "prediction_exact": True,
    "prediction_exception": "the collector",
    "prediction_exception_percent": 1.5,
    "python": "3.11.7",
    "workload_first_line": 3,
    "workload_source": "def f():\n    pass\n",
}
METRICS = {"peak_rss_bytes": 8192, "predicted_peak_bytes": 8192, "peak_traced_bytes": 90, "wall_seconds": 0.5}
NUMBERS = (
    st.integers(-(2**70), 2**70) | st.floats() | st.sampled_from([1e308, -1e308, 5e-324, 2**63 - 1, 10**4000])
)
WORDS = st.text(max_size=8) | st.sampled_from(["", "abc", "\ud800", "\x1b[2J", "=1", *MEASURES])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
CHANGES = st.one_of(
    st.tuples(st.just("description"), st.sampled_from([*TOLD, "x_seconds"]), ANY_JSON),
    st.tuples(st.just("plans"), st.sampled_from(["step17", "other"]), ANY_JSON),
    st.tuples(st.just("conditions"), st.sampled_from([*CONDITIONS, "host"]), ANY_JSON),
    st.tuples(st.just("metrics"), st.sampled_from([*METRICS, "x_count"]), ANY_JSON),
    st.tuples(st.just("factors"), st.sampled_from(["n", "python", "new"]), ANY_JSON),
    st.tuples(st.just("constants"), st.sampled_from(["iterations", "new"]), ANY_JSON),
    st.tuples(
        st.sampled_from(["measure", "status", "replicate", "started_at", "run"]), st.none(), NUMBERS | WORDS
    ),
)


@pytest.fixture
def told(results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome) -> Path:
    """Return a folder whose store holds a trial of each measure, without series, and all that readers look at."""
    with Writer(results) as store:
        trials = [make_trial(measure=measure) for measure in MEASURES]
        run = store.begin_run(TOLD, trials)
        for trial in trials:
            store.add(run, trial, make_outcome(metrics=METRICS, conditions=CONDITIONS, series={}))
    return results


def retell(connection: sqlite3.Connection, place: int, cell: str, name: str | None, value: Any) -> None:
    """Put a value where a run or a trial tells of `name`, under the digest that the row should then have."""
    table, cells = ("run", RUN_CELLS) if cell in ("description", "plans") else ("trial", TRIAL_CELLS)
    where = "id = 1" if table == "run" else f"id = {place}"
    new = value
    if name is not None:
        (text,) = connection.execute(f"SELECT {cell} FROM {table} WHERE {where}").fetchone()
        new = json.dumps({**json.loads(text), name: value})
    with suppress(OverflowError, UnicodeEncodeError, sqlite3.IntegrityError):
        connection.execute(f"UPDATE {table} SET {cell} = ? WHERE {where}", (new,))
    row = connection.execute(f"SELECT {', '.join(cells)} FROM {table} WHERE {where}").fetchone()
    with suppress(ValueError):
        connection.execute(f"UPDATE {table} SET digest = ? WHERE {where}", (digest_of(row),))


def look_at(results: Path) -> None:
    """Use a store in every way but for the report, which takes a second."""
    assert all(problem.isprintable() for problem in verify(results).problems)
    with warnings.catch_warnings(action="ignore"):
        frame = load(results)
    for format in FORMATS:
        export(frame, results / "out", format)
    assert read_store(results).earlier_endings is not None


def look_at_all(results: Path) -> None:
    look_at(results)
    made = document(results, {})
    for format in (html, markdown, csv):
        format.render(made)


@pytest.mark.parametrize(
    ("examples", "look"),
    [
        (FEW // 8, look_at),
        pytest.param(MANY // 4, look_at, marks=pytest.mark.slow),
        pytest.param(MANY // 40, look_at_all, marks=pytest.mark.slow),
    ],
)
def test_whatever_a_run_or_a_trial_tells_is_shown_or_left_out(
    told: Path, examples: int, look: Callable[[Path], None]
) -> None:
    content = (told / "results.db").read_bytes()

    @settings(max_examples=examples, derandomize=examples < 1000, **SETTINGS)
    @given(st.lists(st.tuples(st.integers(1, len(MEASURES)), CHANGES), min_size=1, max_size=3))
    def retold(changes: list[tuple[int, tuple[str, str | None, Any]]]) -> None:
        (told / "results.db").write_bytes(content)
        with closing(sqlite3.connect(told / "results.db", isolation_level=None)) as connection:
            for place, change in changes:
                retell(connection, place, *change)
        with soon():
            look(told)

    retold()


@pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_no_bytes_of_a_series_do_harm(examples: int) -> None:
    kinds = st.sampled_from(["int64", "float64", "object", "", None, 3, b"int64"])
    counts = st.one_of(st.integers(-3, 40), st.integers(), st.floats(), st.none(), st.text())

    @settings(max_examples=examples, derandomize=examples < 1000, **SETTINGS)
    @given(kinds, counts, st.binary() | st.binary().map(zlib.compress))
    def unpacked(dtype: Any, count: Any, data: bytes) -> None:
        try:
            values = unpack(Packed(dtype, count, data))
        except ValueError:
            return
        assert len(values) == count and values.dtype == dtype

    unpacked()


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"SQLite format 3\0", b"SQLite format 3\0" * 300, bytes(8192)]
)
def test_files_of_nothing_end_in_one_line(results: Path, content: bytes) -> None:
    results.mkdir()
    (results / "results.db").write_bytes(content)
    for use in (read_store, verify):
        with pytest.raises(BadStore) as refusal:
            use(results)
        assert str(refusal.value).isprintable()
    assert [path.name for path in results.iterdir()] == ["results.db"]
