"""What is loaded is what was measured: whole rows with true types, and the damaged ones by name."""

import json
import random
import sqlite3
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit
from toolkit.store import BadStore, Contents, DamagedRows, OlderCode, Plan, Row
from toolkit.store.encoding import Packed, digest_of
from toolkit.store.read import damaged_trials, frame, load, read_earlier, read_store, series
from toolkit.store.schema import RUN_CELLS, TRIAL_CELLS
from toolkit.store.write import Writer
from toolkit.trials import Outcome, Trial

MakeTrial: TypeAlias = Callable[..., Trial]
MakeOutcome: TypeAlias = Callable[..., Outcome]

ROW = Row(
    key="k",
    run=1,
    experiment="e",
    measure="timed",
    replicate=0,
    seed=0,
    status="ok",
    exit_code=0,
    message="",
    factors={},
    constants={},
    metrics={},
    conditions={},
    code_digest="c",
    started_at=0.0,
    elapsed_seconds=0.0,
)


def store(results: Path, *trials: tuple[Trial, Outcome]) -> Path:
    with Writer(results) as writer:
        run = writer.begin_run({})
        for trial, outcome in trials:
            writer.add(run, trial, outcome)
    return results


def values(loaded: pd.DataFrame, column: str) -> dict[Any, Any]:
    return {index: None if pd.isna(value) else value for index, value in loaded[column].items()}


def test_a_row_per_trial_with_its_columns_in_order(filled: Path) -> None:
    loaded = load(filled)
    assert list(loaded.columns) == [
        "experiment",
        "iterations",
        "n",
        "references",
        "measure",
        "replicate",
        "status",
        "exit_code",
        "peak_rss_bytes",
        "wall_seconds",
        "key",
        "seed",
        "started_at",
        "elapsed_seconds",
        "code_digest",
        "run",
    ]
    assert loaded["replicate"].tolist() == [0, 1, 2, 3, 4, 5]
    assert loaded["status"].tolist() == ["ok"] * 5 + ["error"]
    assert loaded["exit_code"].tolist() == [0] * 5 + [1]
    assert loaded["wall_seconds"].tolist() == [0.1 + 0.2] * 6
    assert loaded["references"].tolist() == ["weak"] * 6
    assert list(loaded.index) == [0, 1, 2, 3, 4, 5]


def test_the_package_offers_load(filled: Path) -> None:
    assert toolkit.load is load
    assert len(toolkit.load(str(filled))) == 6


def test_every_kind_of_value_has_its_type(
    results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    factors = {"flag": True, "n": 2**53 + 1, "rate": 1, "gc": "default", "label": "weak", "sparse": False}
    other = {"flag": False, "n": -(2**63), "rate": 0.5, "gc": 700, "label": "strong", "only": 3, "text": "x"}
    metrics = {"peak_bytes": 2**63 - 1, "pause_seconds": 1, "right": True}
    loaded = load(
        store(
            results,
            (make_trial(0, factors=factors), make_outcome(metrics=metrics)),
            (make_trial(1, factors=other), make_outcome("killed", exit_code=None, metrics={})),
        )
    ).set_index("replicate")
    types = {name: str(dtype) for name, dtype in loaded.dtypes.items()}
    assert {name: types[name] for name in ("flag", "sparse", "right")} == {
        "flag": "boolean",
        "sparse": "boolean",
        "right": "boolean",
    }
    assert (
        types["n"] == types["only"] == types["peak_bytes"] == types["exit_code"] == types["seed"] == "Int64"
    )
    assert types["rate"] == types["pause_seconds"] == types["started_at"] == "float64"
    assert types["label"] == types["text"] == types["experiment"] == types["key"] == "string"
    assert types["gc"] == "object"
    assert loaded["n"].to_dict() == {0: 2**53 + 1, 1: -(2**63)}
    assert loaded["peak_bytes"][0] == 2**63 - 1
    assert loaded["gc"].to_dict() == {0: "default", 1: 700}
    assert loaded[loaded["flag"]].index.tolist() == [0]
    for name, absent in {
        "sparse": 1,
        "only": 0,
        "text": 0,
        "peak_bytes": 1,
        "pause_seconds": 1,
        "exit_code": 1,
    }.items():
        assert pd.isna(loaded[name][absent]), name


@settings(deadline=None, max_examples=50)
@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_integers_never_pass_through_a_float(values: list[int | None]) -> None:
    made = frame([replace(ROW, metrics={} if value is None else {"x_bytes": value}) for value in values])
    if any(value is not None for value in values):
        assert [None if pd.isna(value) else int(value) for value in made["x_bytes"]] == values


def test_a_store_without_trials_has_the_fixed_columns(results: Path) -> None:
    loaded = load(store(results))
    assert len(loaded) == 0
    assert {"experiment", "measure", "replicate", "status", "key"} <= set(loaded.columns)
    assert str(loaded["exit_code"].dtype) == "Int64" and str(loaded["status"].dtype) == "string"


def test_rows_stand_in_one_order_however_they_came(
    tmp_path: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    trials = [
        make_trial(replicate, experiment=experiment, measure=measure, factors={"gc": gc, "n": n})
        for experiment in ("step15", "step17")
        for gc in (9, 700, "default", "off")
        for n in (9, 10)
        for measure in ("resident", "timed")
        for replicate in (0, 1)
    ]
    shuffled = random.Random(0).sample(trials, len(trials))
    store(tmp_path / "sorted", *((trial, make_outcome()) for trial in trials))
    for run in range(0, len(trials), 16):
        store(tmp_path / "shuffled", *((trial, make_outcome()) for trial in shuffled[run : run + 16]))
    one, other = load(tmp_path / "sorted"), load(tmp_path / "shuffled")
    assert one["key"].tolist() == [trial.key for trial in trials]
    pd.testing.assert_frame_equal(one.drop(columns="run"), other.drop(columns="run"))


def plan_again(results: Path, *trials: Trial) -> None:
    with Writer(results) as writer:
        writer.begin_run({}, trials)


def test_the_code_that_was_planned_last_is_the_newest_whenever_it_ran(
    results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    first, second = make_trial(code_digest="first"), make_trial(code_digest="second")
    store(results, (first, make_outcome(started_at=1.0)), (second, make_outcome(started_at=2.0)))
    plan_again(results, second)
    plan_again(results, first)
    with pytest.warns(OlderCode, match="1 trials of earlier code were left out"):
        assert load(results)["code_digest"].tolist() == ["first"]
    contents = read_store(results)
    assert [row.code_digest for row in contents.left_out] == ["second"]
    assert read_earlier(results, retry_failed=True).finished == {first.key, second.key}
    assert contents.plans == {"step17": Plan(code_digest="first", seed=7, constants={"iterations": 400})}


def test_what_was_planned_and_has_not_run_leaves_nothing_to_load(filled: Path, make_trial: MakeTrial) -> None:
    plan_again(filled, make_trial(code_digest="newest"))
    with pytest.warns(OlderCode, match="6 trials"):
        assert load(filled).empty
    assert len(load(filled, every_code=True)) == 6


@pytest.mark.parametrize(
    "plans", ["[]", '{"e":1}', '{"e":{}}', '{"e":{"code_digest":1,"seed":1,"constants":{}}}',
              '{"e":{"code_digest":"c","seed":true,"constants":{}}}',
              '{"e":{"code_digest":"c","seed":1,"constants":{"n":null}}}'],
)  # fmt: skip
def test_a_plan_that_the_store_never_writes_costs_its_run(filled: Path, plans: str) -> None:
    (cells,) = [rewrite(filled, f"SELECT {', '.join(RUN_CELLS)} FROM run")]
    digest = digest_of([*cells[:-1], plans])
    rewrite(filled, "UPDATE run SET plans = ?, digest = ?", plans, digest)
    contents = read_store(filled)
    assert contents.runs == () and [damage.table for damage in contents.damaged] == ["run"]
    assert len(contents.rows) == 6


def test_a_trial_differs_from_a_plan_in_its_constants_and_its_seed_alone() -> None:
    plan = Plan(code_digest="c", seed=0, constants={"n": 1, "gc": "off"})
    alike = replace(ROW, constants={"gc": "off"}, factors={"n": 1, "k": 5})
    assert plan.differing(alike) == {}
    assert plan.differing(replace(alike, factors={"n": True})) == {"n": True}
    assert plan.differing(replace(alike, constants={})) == {"gc": None}
    assert plan.differing(replace(alike, seed=3)) == {"random seed": 3}


def test_only_the_newest_code_of_each_experiment_is_loaded(
    results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    def at(experiment: str, code: str, started_at: float, replicate: int = 0) -> tuple[Trial, Outcome]:
        trial = make_trial(replicate, experiment=experiment, code_digest=code)
        return trial, make_outcome(started_at=started_at)

    store(
        results,
        at("a", "new", 30.0),
        at("a", "old", 20.0, replicate=1),
        at("a", "new", 10.0, replicate=2),
        at("b", "old", 5.0),
    )
    with pytest.warns(OlderCode):
        newest = load(results)
    every = load(results, every_code=True)
    assert list(zip(newest["experiment"], newest["code_digest"], newest["replicate"], strict=True)) == [
        ("a", "new", 0),
        ("a", "new", 2),
        ("b", "old", 0),
    ]
    assert sorted(every["code_digest"]) == ["new", "new", "old", "old"]


def test_a_name_with_two_meanings_clobbers_nothing(
    results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    loaded = load(
        store(
            results,
            (
                make_trial(experiment="a", factors={"depth": 3, "seed": 99}),
                make_outcome(metrics={"width": 1}),
            ),
            (
                make_trial(experiment="b", factors={"width": 5}),
                make_outcome(metrics={"depth": 7, "status": 2}),
            ),
            (make_trial(experiment="c", factors={}, constants={"seed": 4, "iterations": 5}), make_outcome()),
        )
    ).set_index("experiment")
    assert not {"depth", "width"} & set(loaded.columns)
    assert values(loaded, "factor.depth") == {"a": 3, "b": None, "c": None}
    assert values(loaded, "metric.depth") == {"a": None, "b": 7, "c": None}
    assert values(loaded, "factor.width") == {"a": None, "b": 5, "c": None}
    assert values(loaded, "metric.width") == {"a": 1, "b": None, "c": None}
    assert loaded["seed"].tolist() == [7, 7, 7]
    assert values(loaded, "factor.seed") == {"a": 99, "b": None, "c": 4}
    assert loaded["status"].tolist() == ["ok"] * 3 and loaded["metric.status"]["b"] == 2
    # A factor of one experiment that is a constant of another means the same in both.
    assert loaded["iterations"].to_dict() == {"a": 400, "b": 400, "c": 5}


NAMES = st.sampled_from(["n", "seed", "factor.n", "metric.n", "factor.seed", "factor.factor.n", "key"])


@settings(deadline=None, max_examples=50)
@given(st.sets(NAMES), st.sets(NAMES))
def test_every_level_and_metric_has_a_column_of_its_own(levels: set[str], metrics: set[str]) -> None:
    row = replace(
        ROW, factors={name: f"level {name}" for name in levels}, metrics=dict.fromkeys(metrics, 0.5)
    )
    made = frame([row]).iloc[0].tolist()
    assert {f"level {name}" for name in levels} <= set(made)
    assert made.count(0.5) == len(metrics)
    assert len(made) == 11 + len(levels) + len(metrics)


def test_what_a_run_has_to_know_is_told_without_the_rows(
    filled: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    with Writer(filled) as store:
        for _ in range(2):
            store.add(1, make_trial(6), make_outcome("killed"))
        store.add(1, make_trial(7, factors={"n": 1, "python": "this"}), make_outcome())
    contents, earlier = read_store(filled), read_earlier(filled, retry_failed=False)
    assert earlier.runs == contents.runs
    assert earlier.finished == {row.key for row in contents.rows if row.status != "killed"}
    assert earlier.failed == {make_trial(5).key}
    assert earlier.tried == {make_trial(6).key: 2}
    # Those of all trials but one are alike: of their levels only the interpreter would count.
    assert [dict(one.factors) for one in earlier.settings] == [{}, {"n": 1, "python": "this"}]
    for one in earlier.settings:
        assert (one.run, one.experiment, one.code_digest) == (1, "step17", "c0de")
        assert one.conditions == contents.rows[0].conditions and one.constants == contents.rows[0].constants
    assert read_earlier(filled, retry_failed=True).tried == {make_trial(5).key: 1, make_trial(6).key: 2}


def test_rows_are_taken_at_their_word_until_all_are_looked_at(filled: Path, make_trial: MakeTrial) -> None:
    rewrite(filled, "UPDATE trial SET seed = 8 WHERE replicate = 2")
    rewrite(filled, "UPDATE trial SET conditions = 'no JSON' WHERE replicate = 3")
    keys = {replicate: make_trial(replicate).key for replicate in range(6)}
    quick, careful = (read_earlier(filled, retry_failed=retry) for retry in (False, True))
    assert quick.finished == set(keys.values()) and quick.failed == {keys[5]}
    assert careful.finished == {keys[0], keys[1], keys[4]} and careful.tried == {
        keys[2]: 0,
        keys[3]: 0,
        keys[5]: 1,
    }
    assert len(quick.settings) == len(careful.settings) == 1
    assert damaged_trials(filled) == {keys[2], keys[3]}


def test_failed_trials_tell_how(filled: Path) -> None:
    (failed,) = read_store(filled).failed
    assert (failed.replicate, failed.status, failed.exit_code) == (5, "error", 1)
    assert failed.message == "Traceback: it broke"


def test_what_is_read_cannot_be_changed(filled: Path) -> None:
    row = read_store(filled).rows[0]
    for mapping in (row.factors, row.constants, row.metrics, row.conditions):
        with pytest.raises(TypeError):
            mapping["n"] = 1  # type: ignore[index]


def test_series_are_arrays(filled: Path, make_trial: MakeTrial) -> None:
    found = series(filled, make_trial(3).key)
    assert found["rss_bytes"].dtype == np.int64 and found["rss_bytes"].tolist() == [4096, 8192, 4096]
    assert found["position_seconds"].dtype == np.float64
    assert found["position_seconds"].tolist() == [0.0, 0.1, 0.25]


def test_a_trial_without_series_has_none(
    results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    assert series(store(results, (make_trial(), make_outcome(series={}))), make_trial().key) == {}


def test_a_trial_that_is_not_there_has_no_series(filled: Path) -> None:
    with pytest.raises(KeyError, match="feed"):
        series(filled, "feed")


def rewrite(results: Path, sql: str, *values: object) -> Any:
    with closing(sqlite3.connect(results / "results.db")) as connection:
        found = connection.execute(sql, values).fetchone()
        connection.commit()
        return found


def flip(path: Path, place: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def check_only_lost(results: Path, before: Contents, replicate: int) -> None:
    """Check that one trial is left out and named, and that all others are as they were."""
    after = read_store(results)
    assert list(after.rows) == [row for row in before.rows if row.replicate != replicate]
    assert after.runs == before.runs
    lost = before.rows[replicate].key
    assert [str(one) for one in after.damaged] == [f"trial {lost[:12]} is not what was written"]


@pytest.mark.parametrize("cell", [*TRIAL_CELLS, "digest"])
def test_a_changed_cell_costs_its_row_alone(filled: Path, cell: str) -> None:
    before = read_store(filled)
    (value,) = rewrite(filled, f"SELECT {cell} FROM trial WHERE replicate = 2")
    other = f"{value} " if isinstance(value, str) else value + 1
    rewrite(filled, f"UPDATE trial SET {cell} = ? WHERE replicate = 2", other)
    check_only_lost(filled, before, 2)


@pytest.mark.parametrize("value", [None, b"bytes", "text", 0.5, 2**40])
def test_a_cell_of_another_type_is_damage(filled: Path, value: object) -> None:
    before = read_store(filled)
    rewrite(filled, "UPDATE trial SET exit_code = ? WHERE replicate = 2", value)
    check_only_lost(filled, before, 2)


@pytest.mark.parametrize(
    "change", ["name = name || 's'", "dtype = 'float64'", "count = count - 1", "data = 'text'"]
)
def test_a_changed_series_costs_its_trial_alone(filled: Path, make_trial: MakeTrial, change: str) -> None:
    before, key = read_store(filled), make_trial(2).key
    rewrite(filled, f"UPDATE series SET {change} WHERE trial = ? AND name = 'rss_bytes'", key)
    check_only_lost(filled, before, 2)
    with pytest.raises(BadStore, match="is not what was written"):
        series(filled, key)
    assert len(series(filled, make_trial(3).key)) == 2


def test_a_lost_series_costs_its_trial_alone(filled: Path, make_trial: MakeTrial) -> None:
    before = read_store(filled)
    rewrite(filled, "DELETE FROM series WHERE trial = ? AND name = 'rss_bytes'", make_trial(2).key)
    check_only_lost(filled, before, 2)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT message FROM trial WHERE replicate = 2",
        "SELECT digest FROM trial WHERE replicate = 2",
        "SELECT data FROM series WHERE trial = (SELECT key FROM trial WHERE replicate = 2)",
    ],
)
@pytest.mark.parametrize("bit", [0, 4, 7])
def test_a_flipped_bit_in_the_file_costs_its_row_alone(
    results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome, sql: str, bit: int
) -> None:
    trials = [
        (
            make_trial(replicate),
            make_outcome(message=f"trial {replicate}", series={"x_bytes": [replicate, 99]}),
        )
        for replicate in range(4)
    ]
    before = read_store(store(results, *trials))
    (value,) = rewrite(results, sql)
    content = value if isinstance(value, bytes) else value.encode()
    place = (results / "results.db").read_bytes().index(content)
    flip(results / "results.db", place + 3, bit)
    check_only_lost(results, before, 2)


def test_a_row_that_vanished_with_its_place_is_named(filled: Path, make_trial: MakeTrial) -> None:
    content = (filled / "results.db").read_bytes()
    page = content.index(b"trial number 0") // 4096 * 4096
    assert content[page] == 0x0D  # a leaf of a table; its bytes 3 and 4 count the rows
    flip(filled / "results.db", page + 4, 1)
    after = read_store(filled)
    assert [row.replicate for row in after.rows] == [0, 1, 2, 3]
    assert {one.name for one in after.damaged} == {make_trial(4).key, make_trial(5).key}
    assert {one.reason for one in after.damaged} == {"has gone"}
    # Nor can a run, which takes them for failures until it is told to run failures again.
    assert {make_trial(4).key, make_trial(5).key} == read_earlier(filled, retry_failed=False).failed
    assert len(read_earlier(filled, retry_failed=True).finished) == 4


def test_no_flipped_bit_changes_a_value_or_loses_a_row_in_silence(filled: Path) -> None:
    before = read_store(filled)
    content = (filled / "results.db").read_bytes()
    whole, refused, named = 0, 0, 0
    chance = random.Random(1)
    for _ in range(250):
        (filled / "results.db").write_bytes(content)
        flip(filled / "results.db", chance.randrange(len(content)), chance.randrange(8))
        try:
            after = read_store(filled)
        except BadStore as error:
            assert str(error).isprintable()
            refused += 1
            continue
        assert all(row in before.rows for row in after.rows)
        assert all(run in before.runs for run in after.runs)
        lost = len(before.rows) + len(before.runs) - len(after.rows) - len(after.runs)
        assert len(after.damaged) >= lost
        assert all(str(one).isprintable() for one in after.damaged)
        whole, named = whole + (not after.damaged), named + bool(after.damaged)
    assert min(whole, refused, named) > 10


def test_a_changed_run_is_named_and_its_trials_stay(filled: Path) -> None:
    rewrite(filled, "UPDATE run SET description = replace(description, 'abc', 'abd')")
    contents = read_store(filled)
    assert not contents.runs and len(contents.rows) == 6
    assert [str(one) for one in contents.damaged] == ["run 1 is not what was written"]


def test_load_warns_of_what_it_leaves_out(filled: Path, make_trial: MakeTrial) -> None:
    rewrite(filled, "UPDATE trial SET seed = 8 WHERE replicate < 2")
    with pytest.warns(DamagedRows) as caught:
        loaded = load(filled)
    assert len(loaded) == 4
    (warning,) = caught
    assert warning.filename == __file__
    assert str(warning.message).startswith(f"{filled / 'results.db'}: 2 damaged rows were left out: trial ")
    assert make_trial(0).key[:12] in str(warning.message) and make_trial(1).key[:12] in str(warning.message)


def test_load_names_ten_of_many(results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome) -> None:
    store(results, *((make_trial(replicate), make_outcome()) for replicate in range(12)))
    rewrite(results, "UPDATE trial SET seed = 8")
    with pytest.warns(DamagedRows, match=r"12 damaged rows were left out: trial .*; and 2 more$"):
        assert load(results).empty


def forge(results: Path, cell: str, value: object) -> None:
    """Change a cell and give the row the digest that it should then have."""
    rewrite(results, f"UPDATE trial SET {cell} = ? WHERE replicate = 2", value)
    *cells, key = rewrite(
        results, f"SELECT {', '.join(TRIAL_CELLS)}, key FROM trial WHERE message LIKE '% 2'"
    )
    with closing(sqlite3.connect(results / "results.db")) as connection:
        found = connection.execute("SELECT name, dtype, count, data FROM series WHERE trial = ?", (key,))
        fingerprints = {name: Packed(*packed).fingerprint for name, *packed in found}
    rewrite(results, "UPDATE trial SET digest = ? WHERE key = ?", digest_of(cells, fingerprints), key)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("metrics", '{"x_bytes":NaN}'),
        ("metrics", '{"x_bytes":1e999}'),
        ("metrics", '{"x_bytes":-Infinity}'),
        ("metrics", '{"x_bytes":9223372036854775808}'),
        ("metrics", '{"x_bytes":' + "9" * 5000 + "}"),
        ("metrics", '{"x_bytes":"text"}'),
        ("metrics", '{"x_bytes":null}'),
        ("metrics", '{"x_bytes":[1]}'),
        ("factors", '{"n":{}}'),
        ("factors", "[]"),
        ("factors", ""),
        ("factors", "not JSON"),
        ("conditions", "[" * 200_000),
        ("conditions", '{"a":' * 200_000),
        ("constants", "null"),
        ("seed", "text"),
        ("replicate", 2.5),
        ("started_at", "text"),
    ],
)
def test_what_the_store_never_writes_is_left_out_even_under_a_true_digest(
    filled: Path, cell: str, value: object
) -> None:
    forge(filled, cell, value)
    contents = read_store(filled)
    assert [row.replicate for row in contents.rows] == [0, 1, 3, 4, 5]
    (damage,) = contents.damaged
    assert damage.reason != "is not what was written" and str(damage).isprintable()
    assert len(str(damage)) < 250


def test_the_forger_of_these_tests_makes_true_digests(filled: Path) -> None:
    forge(filled, "seed", 8)
    assert [row.seed for row in read_store(filled).rows] == [7, 7, 8, 7, 7, 7]


@pytest.mark.parametrize("escape", ["\\ud800", "\\uD800"])
def test_lone_surrogates_of_a_foreign_file_are_spelt_out(filled: Path, escape: str) -> None:
    forge(filled, "factors", json.dumps({"label": "?"}).replace("?", escape))
    loaded = load(filled)
    assert loaded["label"].dropna().tolist() == ["\\ud800"]


@pytest.mark.parametrize("count", [3, 2**62])
def test_a_series_that_unpacks_to_more_than_it_claims_takes_no_memory(
    filled: Path, make_trial: MakeTrial, count: int
) -> None:
    bomb, key = zlib.compress(bytes(300 * 2**20), 9), make_trial(2).key
    rewrite(filled, "UPDATE series SET data = ?, count = ? WHERE trial = ?", bomb, count, key)
    forge(filled, "seed", 7)
    assert len(load(filled)) == 6
    tracemalloc.start()
    with pytest.raises(BadStore, match="series"):
        series(filled, key)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**22
