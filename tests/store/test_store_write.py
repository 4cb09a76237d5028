"""The writer's promises, kept against real kills, real locks and real full disks."""

import fcntl
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
import pytest

from toolkit.store import BadStore, StoreLocked, StoreUnwritable, opening, schema
from toolkit.store.read import damaged_trials, load, read_earlier, read_store, series
from toolkit.store.schema import APPLICATION_ID
from toolkit.store.write import Writer
from toolkit.trials import Outcome, Trial

MakeTrial: TypeAlias = Callable[..., Trial]
MakeOutcome: TypeAlias = Callable[..., Outcome]
Start: TypeAlias = Callable[..., "subprocess.Popen[str]"]
InNamespace: TypeAlias = Callable[[str, Path], str]

HOLD = """
with Writer(results):
    print("held", flush=True)
    sys.stdin.read()
"""

ADD_UNTIL_KILLED = """
with Writer(results) as store:
    run = store.begin_run({})
    from toolkit.store.read import read_earlier
    done = read_earlier(results, retry_failed=False).finished
    for replicate in range(100_000):
        if trial(replicate).key not in done:
            store.add(run, trial(replicate), outcome())
            print(trial(replicate).key, flush=True)
"""

REPLACE_A_FAILURE_AGAIN_AND_AGAIN = """
with Writer(results) as store:
    run = store.begin_run({})
    print("begun", flush=True)
    for size in range(1, 100_000):
        failure = Outcome(status="error", exit_code=1, series={"x_bytes": [size]}, started_at=1.0,
                          elapsed_seconds=1.0)
        store.add(run, trial(0), failure)
"""

KILLED_WITHIN_A_TRANSACTION = """
with Writer(results) as store:
    run = store.begin_run({})
    store.add(run, trial(0), outcome())
    def die(statement):
        if statement.startswith("INSERT INTO series"):
            os.kill(os.getpid(), signal.SIGKILL)
    store._connection.set_trace_callback(die)
    store.add(run, trial(1), outcome())
"""

KILLED_WHILE_CHANGING_THE_JOURNAL = """
import sqlite3
store = sqlite3.connect(results / "results.db", isolation_level=None)
store.execute("PRAGMA cache_size = 1")
store.execute("BEGIN IMMEDIATE")
store.execute("UPDATE trial SET message = hex(zeroblob(100000))")
os.kill(os.getpid(), signal.SIGKILL)
"""

FILL_THE_DISK = """
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", results], check=True)
added = 0
try:
    with Writer(results) as store:
        run = store.begin_run({})
        while True:
            store.add(run, trial(added), outcome())
            added += 1
except StoreUnwritable as error:
    assert "full" in str(error) and str(results) in str(error) and "\\n" not in str(error), error
from toolkit.store.read import read_earlier, read_store
contents = read_store(results)
assert [row.replicate for row in contents.rows] == list(range(added)) and not contents.damaged
subprocess.run(["mount", "-o", "remount,size=4m", results], check=True)
with Writer(results) as store:
    stored = read_earlier(results, retry_failed=True).finished
    assert stored == {trial(replicate).key for replicate in range(added)}
    store.add(store.begin_run({}), trial(added), outcome())
assert len(read_store(results).rows) == added + 1
assert sorted(os.listdir(results)) == ["results.db", "results.db.lock"]
print(added)
"""

FULL_AT_THE_END = """
import random
noise = Outcome(status="ok", exit_code=0, series={"x_bytes": [random.getrandbits(40) for _ in range(20_000)]},
                started_at=1.0, elapsed_seconds=1.0)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", results], check=True)
filler = results / "filler"
from toolkit.store.read import read_store
try:
    with Writer(results) as store:
        store.add(store.begin_run({}), trial(0), noise)
        try:
            filler.write_bytes(bytes(2**20))
        except OSError:
            pass
except StoreUnwritable as error:
    print(error)
assert len(read_store(results).rows) == 1
filler.unlink()
with Writer(results):
    pass
assert sorted(os.listdir(results)) == ["results.db", "results.db.lock"]
assert len(read_store(results).rows) == 1
"""

READ_ONLY_FILE_SYSTEM = """
with Writer(results) as store:
    store.add(store.begin_run({}), trial(0), outcome())
subprocess.run(["mount", "--bind", results, results], check=True)
subprocess.run(["mount", "-o", "remount,ro,bind", results], check=True)
for folder in (results, results / "new"):
    try:
        with Writer(folder):
            raise AssertionError("it could write")
    except StoreUnwritable as error:
        assert "Read-only file system" in str(error), error
from toolkit.store.read import load
print(len(load(results)))
"""


def files(results: Path) -> list[str]:
    return sorted(path.name for path in results.iterdir())


def keys(results: Path) -> set[str]:
    return read_earlier(results, retry_failed=False).finished


def test_what_is_added_comes_back(filled: Path, make_trial: MakeTrial, make_outcome: MakeOutcome) -> None:
    contents = read_store(filled)
    trial, outcome = make_trial(0), make_outcome(message="trial number 0")
    row = contents.rows[0]
    for name in ("key", "experiment", "measure", "replicate", "seed", "factors", "constants", "code_digest"):
        assert getattr(row, name) == getattr(trial, name)
    for name in ("status", "exit_code", "message", "metrics", "conditions", "started_at", "elapsed_seconds"):
        assert getattr(row, name) == getattr(outcome, name)
    assert {name: list(values) for name, values in series(filled, trial.key).items()} == outcome.series
    assert not contents.damaged


def test_a_run_is_described_and_ends(filled: Path) -> None:
    (run,) = read_store(filled).runs
    assert run.id == 1
    assert run.description == {"git": {"commit": "abc123"}, "command": ["toolkit", "run"]}
    assert run.ended_at is not None and run.started_at <= run.ended_at <= time.time()


def test_runs_count_up_and_one_that_is_cut_off_has_no_end(filled: Path) -> None:
    with Writer(filled) as store:
        assert store.begin_run({}) == 2
    assert [run.ended_at is None for run in read_store(filled).runs] == [False, True]


def test_a_run_that_never_began_takes_no_trial(
    results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    with Writer(results) as store, pytest.raises(sqlite3.IntegrityError):
        store.add(1, make_trial(), make_outcome())
    assert not read_store(results).rows


def test_a_failure_is_finished_unless_it_is_to_be_retried(filled: Path, make_trial: MakeTrial) -> None:
    every = {make_trial(replicate).key for replicate in range(6)}
    earlier, again = (read_earlier(filled, retry_failed=retry) for retry in (False, True))
    assert earlier.finished == every and earlier.failed == {make_trial(5).key}
    assert again.finished == every - {make_trial(5).key} and not again.failed


def test_a_damaged_row_is_finished_unless_it_is_to_be_retried(filled: Path, make_trial: MakeTrial) -> None:
    with closing(sqlite3.connect(filled / "results.db")) as connection:
        connection.execute("UPDATE trial SET metrics = '{}' WHERE replicate = 2")
        connection.commit()
    assert make_trial(2).key in read_earlier(filled, retry_failed=False).finished
    assert make_trial(2).key not in read_earlier(filled, retry_failed=True).finished
    assert damaged_trials(filled) == {make_trial(2).key}


def test_a_retried_failure_is_replaced_with_its_series(
    filled: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    with Writer(filled) as store:
        store.add(store.begin_run({}), make_trial(5), make_outcome(series={"traced_bytes": [1]}))
    contents = read_store(filled)
    assert len(contents.rows) == 6 and not contents.failed and not contents.damaged
    assert contents.rows[5].run == 2
    assert list(series(filled, make_trial(5).key)) == ["traced_bytes"]


def test_a_trial_that_ended_well_stays(
    filled: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    before = read_store(filled).rows
    with Writer(filled) as store:
        store.add(1, make_trial(0), make_outcome("error"))
        store.add(1, make_trial(0), make_outcome(started_at=2e9))
    assert read_store(filled).rows == before


def test_a_damaged_row_is_measured_again(
    filled: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    with closing(sqlite3.connect(filled / "results.db")) as connection:
        connection.execute("UPDATE trial SET seed = 8 WHERE replicate = 2")
        connection.commit()
    assert len(read_store(filled).damaged) == 1
    with Writer(filled) as store:
        assert make_trial(2).key not in read_earlier(filled, retry_failed=True).finished
        store.add(1, make_trial(2), make_outcome())
    contents = read_store(filled)
    assert len(contents.rows) == 6 and not contents.damaged


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": {"x_seconds": math.nan}},
        {"metrics": {"x_seconds": -math.inf}},
        {"metrics": {"x_bytes": 2**63}},
        {"metrics": {"x_bytes": 8.0}},
        {"metrics": {"x_count": 1.5}},
        {"metrics": {"x_count": np.int64(1)}},
        {"series": {"x_seconds": [0.5, math.nan]}},
        {"series": {"x_bytes": [-(2**63) - 1]}},
        {"conditions": {"load": math.inf}},
        {"started_at": math.nan},
        {"elapsed_seconds": math.inf},
    ],
    ids=str,
)
def test_what_is_no_plain_number_is_refused_and_nothing_is_stored(
    filled: Path, make_trial: MakeTrial, make_outcome: MakeOutcome, changes: dict[str, object]
) -> None:
    before = read_store(filled)
    with Writer(filled) as store:
        for trial in (make_trial(5), make_trial(9)):
            with pytest.raises(ValueError):
                store.add(1, trial, make_outcome(**changes))
    assert read_store(filled) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"factors": {"n": 2**70}}, "'n' does not fit 64 bits"),
        ({"constants": {"rate": math.inf}}, "'rate' is inf"),
        ({"seed": 2**64}, "'seed' does not fit 64 bits"),
        ({"factors": {"n": 1}, "constants": {"n": 1}}, "n is both a factor and a constant"),
    ],
)
def test_levels_that_no_format_can_hold_are_refused(
    results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome, changes: dict[str, object], words: str
) -> None:
    with Writer(results) as store:
        run = store.begin_run({})
        with pytest.raises(ValueError, match=words):
            store.add(run, make_trial(**changes), make_outcome())
    assert not read_store(results).rows


def test_text_that_is_no_unicode_is_spelt_out(
    results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    odd = "a\udc80b"
    trial = make_trial(experiment=odd, factors={odd: odd, "n": 1})
    outcome = make_outcome("error", message=f"{odd}\0 ü \U0001f600", metrics={odd: 1}, series={odd: [1]})
    with Writer(results) as store:
        run = store.begin_run({"argv": [odd]})
        store.add(run, trial, outcome)
        assert read_earlier(results, retry_failed=False).finished == {trial.key}
    contents = read_store(results)
    (row,) = contents.rows
    assert row.message == "a\\udc80b\0 ü \U0001f600"
    assert row.experiment == "a\\udc80b" and row.factors == {"a\\udc80b": "a\\udc80b", "n": 1}
    assert contents.runs[0].description == {"argv": ["a\\udc80b"]}
    assert list(series(results, trial.key)) == ["a\\udc80b"]
    assert load(results)["experiment"].tolist() == ["a\\udc80b"]


def test_each_add_is_on_the_disk_before_the_next(filled: Path) -> None:
    with Writer(filled) as store:
        assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_one_file_is_left_that_can_be_copied(filled: Path, tmp_path: Path) -> None:
    assert files(filled) == ["results.db", "results.db.lock"]
    (tmp_path / "copy").mkdir()
    shutil.copy(filled / "results.db", tmp_path / "copy")
    assert read_store(tmp_path / "copy") == read_store(filled)


def test_one_file_is_left_also_after_an_error(
    results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    with pytest.raises(KeyboardInterrupt), Writer(results) as store:
        store.add(store.begin_run({}), make_trial(), make_outcome())
        raise KeyboardInterrupt
    assert files(results) == ["results.db", "results.db.lock"]
    assert keys(results) == {make_trial().key}


def test_a_reader_sees_what_is_stored_while_the_run_goes_on(
    results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    with Writer(results) as store:
        run = store.begin_run({})
        for replicate in range(3):
            store.add(run, make_trial(replicate), make_outcome())
            assert len(load(results)) == replicate + 1


def test_a_reader_beside_a_busy_writer_sees_only_whole_rows(results: Path, start: Start) -> None:
    with start(REPLACE_A_FAILURE_AGAIN_AND_AGAIN, results) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "begun\n"
        try:
            for _ in range(100):
                contents = read_store(results)
                assert len(contents.rows) <= 1 and not contents.damaged
        finally:
            writer.kill()
    assert len(read_store(results).rows) == 1


@pytest.mark.parametrize("reading", [False, True])
def test_a_reader_does_not_keep_the_writer_from_ending(
    filled: Path,
    make_trial: MakeTrial,
    make_outcome: MakeOutcome,
    reading: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opening, "_PATIENCE_SECONDS", 0.1)
    with Writer(filled) as store:
        reader = opening.open_for_reading(filled / "results.db")
        if reading:
            reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM trial").fetchone() == (6,)
        store.add(1, make_trial(6), make_outcome())
    assert len(read_store(filled).rows) == 7
    reader.close()
    with Writer(filled):
        pass
    assert files(filled) == ["results.db", "results.db.lock"]
    assert len(read_store(filled).rows) == 7


def test_a_second_writer_is_turned_away_at_once(
    filled: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, flock = [], fcntl.flock

    def ask(file: IO[bytes], how: int) -> None:
        asked.append(how)
        flock(file, how)

    with start(HOLD, filled) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        monkeypatch.setattr(fcntl, "flock", ask)
        with pytest.raises(StoreLocked) as refusal, Writer(filled):
            pass
        # Once, and without waiting in the call.
        assert asked == [fcntl.LOCK_EX | fcntl.LOCK_NB]
        assert str(filled / "results.db") in str(refusal.value)
        assert len(read_store(filled).rows) == 6
        holder.kill()
        holder.wait()
        with Writer(filled):
            assert len(read_earlier(filled, retry_failed=False).finished) == 6


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_link_leads_to_the_same_lock(
    filled: Path, tmp_path: Path, make_trial: MakeTrial, make_outcome: MakeOutcome, linked: str
) -> None:
    other = tmp_path / "other"
    if linked == "folder":
        other.symlink_to(filled)
    else:
        other.mkdir()
        (other / "results.db").symlink_to(filled / "results.db")
    for one, another in ((filled, other), (other, filled)):
        with Writer(one), pytest.raises(StoreLocked), Writer(another):
            pass
    with Writer(other) as store:
        store.add(1, make_trial(6), make_outcome())
        assert len(read_store(filled).rows) == len(read_store(other).rows) == 7
    # The link is still one, and nothing lies beside it.
    assert (other if linked == "folder" else other / "results.db").is_symlink()
    assert files(filled) == ["results.db", "results.db.lock"]
    assert linked == "folder" or files(other) == ["results.db"]


def test_a_store_with_two_names_is_not_written_to(filled: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "results.db").hardlink_to(filled / "results.db")
    with pytest.raises(BadStore, match="has another name, by a hard link"), Writer(filled):
        pass
    assert len(read_store(tmp_path / "other").rows) == 6


def test_a_link_to_nowhere_is_where_a_store_is_made(results: Path, tmp_path: Path) -> None:
    results.mkdir()
    (results / "results.db").symlink_to(tmp_path / "elsewhere" / "mine.db")
    with Writer(results) as store:
        store.begin_run({})
    assert files(results) == ["results.db"] and files(tmp_path / "elsewhere") == ["mine.db", "mine.db.lock"]


def test_another_program_that_holds_the_file_is_told_apart(
    filled: Path, make_trial: MakeTrial, make_outcome: MakeOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_PATIENCE_SECONDS", 0.1)
    with Writer(filled) as store, closing(sqlite3.connect(filled / "results.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked, match="another program holds it"):
            store.add(1, make_trial(7), make_outcome())
        other.rollback()
        store.add(1, make_trial(7), make_outcome())


def test_kill_9_loses_no_trial_that_was_acknowledged(results: Path, start: Start) -> None:
    acknowledged: list[str] = []
    for kills in range(6):
        with start(ADD_UNTIL_KILLED, results) as writer:
            assert writer.stdout is not None
            acknowledged += [writer.stdout.readline().strip() for _ in range(3 + 7 * kills)]
            writer.kill()
            acknowledged += writer.stdout.read().split()
            assert writer.wait() == -signal.SIGKILL
        with Writer(results):
            stored = read_earlier(results, retry_failed=True).finished
        # The one that was under way may be there, and nobody was told.
        assert set(acknowledged) <= stored and len(stored) <= len(acknowledged) + kills + 1
    assert len(set(acknowledged)) == len(acknowledged) > 100
    assert not read_store(results).damaged


def test_a_killed_store_can_be_read_before_the_next_run(results: Path, start: Start) -> None:
    with start(ADD_UNTIL_KILLED, results) as writer:
        assert writer.stdout is not None
        acknowledged = {writer.stdout.readline().strip() for _ in range(20)}
        writer.kill()
        acknowledged |= set(writer.stdout.read().split())
    assert "results.db-wal" in files(results)
    assert acknowledged <= keys(results)


def test_a_transaction_that_is_cut_off_leaves_nothing(results: Path, start: Start) -> None:
    with start(KILLED_WITHIN_A_TRANSACTION, results) as writer:
        assert writer.wait() == -signal.SIGKILL
    contents = read_store(results)
    assert [row.replicate for row in contents.rows] == [0]
    assert not contents.damaged


def test_the_next_writer_mends_a_file_that_was_cut_off_while_its_journal_changed(
    filled: Path, start: Start
) -> None:
    before = read_store(filled)
    with start(KILLED_WHILE_CHANGING_THE_JOURNAL, filled) as writer:
        assert writer.wait() == -signal.SIGKILL
    assert "results.db-journal" in files(filled)
    with pytest.raises(BadStore, match="`toolkit run` mends it"):
        read_store(filled)
    with Writer(filled):
        pass
    assert read_store(filled) == before


def test_a_full_disk_loses_nothing_and_the_run_resumes(results: Path, in_namespace: InNamespace) -> None:
    results.mkdir()
    assert int(in_namespace(FILL_THE_DISK, results)) > 5


def test_a_disk_that_is_full_in_the_end_loses_nothing(results: Path, in_namespace: InNamespace) -> None:
    results.mkdir()
    assert in_namespace(FULL_AT_THE_END, results) == f"{results}/results.db: database or disk is full\n"


def test_a_read_only_file_system_is_refused_for_writing_and_can_be_read(
    results: Path, in_namespace: InNamespace
) -> None:
    results.mkdir()
    assert in_namespace(READ_ONLY_FILE_SYSTEM, results) == "1\n"


@pytest.mark.parametrize("place", ["file/results", "/proc/results", "/dev/null"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnwritable) as refusal, Writer(tmp_path / place):
        pass
    assert str(tmp_path / place) in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_folder_in_the_place_of_the_file_is_refused(results: Path) -> None:
    (results / "results.db").mkdir(parents=True)
    with pytest.raises(StoreUnwritable), Writer(results):
        pass


def of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE holiday (photo BLOB)")


def of_a_newer_version(path: Path) -> None:
    with Writer(path.parent):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")


def with_a_trigger(path: Path) -> None:
    with Writer(path.parent):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TRIGGER t AFTER INSERT ON trial BEGIN DELETE FROM trial; END")


def no_database(path: Path) -> None:
    path.write_text("replicate,seed\n" * 1000)


def forged_with_its_journal_beside_it(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 2")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE trial (key)")


@pytest.mark.parametrize(
    "make",
    [
        of_another_program,
        of_a_newer_version,
        with_a_trigger,
        no_database,
        forged_with_its_journal_beside_it,
    ],
)
@pytest.mark.parametrize("use", [read_store, lambda results: Writer(results).__enter__()])
def test_a_file_that_is_not_ours_is_left_as_it_was_with_nothing_beside_it(
    results: Path, make: Callable[[Path], None], use: Callable[[Path], object]
) -> None:
    results.mkdir()
    make(results / "results.db")
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    with pytest.raises(BadStore):
        use(results)
    assert {path.name: path.read_bytes() for path in results.iterdir()} == before


@pytest.mark.parametrize("use", [read_store, lambda results: Writer(results).__enter__()])
def test_what_is_no_ordinary_file_is_refused_and_waited_for_in_no_case(
    results: Path, use: Callable[[Path], object]
) -> None:
    results.mkdir()
    os.mkfifo(results / "results.db")
    with pytest.raises(BadStore):
        use(results)


def test_an_empty_file_becomes_a_store(
    results: Path, make_trial: MakeTrial, make_outcome: MakeOutcome
) -> None:
    results.mkdir()
    (results / "results.db").touch()
    with Writer(results) as store:
        store.add(store.begin_run({}), make_trial(), make_outcome())
    assert keys(results) == {make_trial().key}


def test_a_folder_may_have_any_name(tmp_path: Path, make_trial: MakeTrial, make_outcome: MakeOutcome) -> None:
    results = tmp_path / "new" / "50% #1? ü&mode=memory"
    with Writer(results) as store:
        store.add(store.begin_run({}), make_trial(), make_outcome())
    assert files(results) == ["results.db", "results.db.lock"]
    assert keys(results) == {make_trial().key}


def test_the_writer_loads_no_pandas(results: Path, start: Start) -> None:
    script = "with Writer(results): print([name for name in ('pandas', 'pyarrow') if name in sys.modules])"
    with start(script, results) as writer:
        assert writer.communicate()[0] == "[]\n"
