"""Every version that ever was is loaded: from golden files, migrated at one stroke after a backup."""

import hashlib
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import TypeAlias

import pytest

from toolkit.store import BadStore, migrating, schema
from toolkit.store.opening import version_of
from toolkit.store.read import load, read_store, series
from toolkit.store.verify import verify
from toolkit.store.write import Writer

GOLDEN = Path(__file__).with_name("golden")
InNamespace: TypeAlias = Callable[[str, Path], str]


@pytest.fixture(params=sorted(GOLDEN.glob("*.db")), ids=lambda path: path.stem)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a folder with the golden file of a version as its store."""
    shutil.copy(request.param, tmp_path / "results.db")
    return tmp_path


def test_every_version_has_its_golden_file() -> None:
    versions = range(1, schema.VERSION + 1)
    assert {path.stem for path in GOLDEN.glob("*.db")} == {f"version-{number}" for number in versions}


def test_every_version_loads_whole(golden: Path) -> None:
    of_version = version_of(golden / "results.db")
    contents = read_store(golden)
    assert not contents.damaged and verify(golden).problems == ()
    assert [(run.id, run.started_at, run.ended_at) for run in contents.runs] == [
        (1, 1_700_000_000.5, 1_700_000_000.5),
        (2, 1_700_000_000.5, None),
    ]
    assert contents.runs[1].description == {"python": "3.11.7", "load": [0.5, 0.25, 0.125]}
    assert [row.code_digest for row in contents.left_out] == ["older"]
    first, second, failed = contents.rows
    assert first.factors == {"references": "weak", "gc": "off", "n": 2**53 + 1, "rate": 0.1}
    assert first.constants == {"iterations": 400, "label": "한국어 </script>"}
    assert second.metrics == {"peak_rss_bytes": 8_003_585, "wall_seconds": 0.1 + 0.2, "correct": True}
    assert second.conditions == {"python": "3.11.7", "gc_threshold0": 700, "exact_probe": True}
    assert (second.run, second.measure, second.replicate, second.seed) == (2, "resident", 1, 7)
    assert (second.started_at, second.elapsed_seconds) == (1.7e9 + 1, 1.25)
    assert (failed.status, failed.exit_code, failed.message) == ("crash", -11, "Segmentation fault")
    tried = [(one.key, one.run, one.status, one.exit_code, one.message) for one in contents.attempts]
    assert tried == ([] if of_version == 1 else [(second.key, 2, "crash", -11, "Segmentation fault")])
    found = {name: values.tolist() for name, values in series(golden, second.key).items()}
    assert found == {"rss_bytes": [4096, 8192, 4096], "position_seconds": [0.0, 0.1, 0.25]}


def test_a_run_goes_on_in_every_version(golden: Path) -> None:
    with Writer(golden) as store:
        assert store.begin_run({}) == 3
    assert len(read_store(golden).runs) == 3 and verify(golden).problems == ()


def test_the_golden_file_is_what_the_present_code_writes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITE, str(GOLDEN), str(tmp_path)], check=True)
    for table in ("run", "trial", "series", "attempt"):
        with (
            closing(sqlite3.connect(tmp_path / "results.db")) as new,
            closing(
                sqlite3.connect(f"{GOLDEN.as_uri()}/version-{schema.VERSION}.db?mode=ro", uri=True)
            ) as old,
        ):
            query = f"SELECT * FROM {table}"
            assert new.execute(query).fetchall() == old.execute(query).fetchall()


WRITE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import make
make.write(Path(sys.argv[2]))
"""

NEXT = """
from types import SimpleNamespace
from toolkit.store import migrating, schema
from toolkit.store.opening import version_of

def migrate(connection):
    connection.execute("CREATE TABLE next (id INTEGER PRIMARY KEY)")
    {fault}

step = SimpleNamespace(TABLES=schema.TABLES, migrate=migrate)
migrating._step = lambda version: step
schema.TABLES += ("CREATE TABLE next (id INTEGER PRIMARY KEY)",)
schema.VERSION += 1
"""


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Make this toolkit one of the next version, which adds a table."""
    table = "CREATE TABLE next (id INTEGER PRIMARY KEY)"
    step = SimpleNamespace(TABLES=schema.TABLES, migrate=lambda connection: connection.execute(table))
    monkeypatch.setattr(migrating, "_step", {schema.VERSION: step}.__getitem__)
    monkeypatch.setattr(schema, "TABLES", (*schema.TABLES, table))
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    yield step


def write_nothing(results: Path) -> None:
    with Writer(results):
        pass


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("use", [read_store, verify, load])
def test_an_older_store_is_read_without_a_change_where_nothing_can_be_written(
    filled: Path, next_version: SimpleNamespace, use: Callable[[Path], object]
) -> None:
    (filled / "results.db.lock").unlink()
    before = digest(filled / "results.db")
    filled.chmod(0o500)
    try:
        use(filled)
        assert len(read_store(filled).rows) == 6 and verify(filled).problems == ()
    finally:
        filled.chmod(0o700)
    assert [(path.name, digest(path)) for path in filled.iterdir()] == [("results.db", before)]


def test_an_older_store_is_read_while_its_run_goes_on(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Writer(filled) as store:
        store.begin_run({"added": 1})
        table = "CREATE TABLE next (id INTEGER PRIMARY KEY)"
        step = SimpleNamespace(TABLES=schema.TABLES, migrate=lambda connection: connection.execute(table))
        with monkeypatch.context() as patch:
            patch.setattr(migrating, "_step", {schema.VERSION: step}.__getitem__)
            patch.setattr(schema, "TABLES", (*schema.TABLES, table))
            patch.setattr(schema, "VERSION", schema.VERSION + 1)
            assert [run.description for run in read_store(filled).runs][1:] == [{"added": 1}]


def test_an_older_store_is_migrated_after_a_backup(
    filled: Path, next_version: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_nothing(filled)
    after = read_store(filled)
    assert len(after.rows) == 6 and not after.damaged
    backup = filled / f"results.db.version-{schema.VERSION - 1}"
    assert sorted(path.name for path in filled.iterdir()) == ["results.db", "results.db.lock", backup.name]
    monkeypatch.undo()
    with pytest.raises(BadStore, match="update the toolkit"):
        read_store(filled)
    backup.replace(filled / "results.db")
    assert read_store(filled) == after


def test_a_backup_of_another_store_stays_and_one_of_this_is_not_made_twice(
    filled: Path, next_version: SimpleNamespace
) -> None:
    path, name = filled / "results.db", f"results.db.version-{schema.VERSION - 1}"
    original = path.read_bytes()
    (filled / name).write_bytes(b"of another store")
    for _ in range(2):
        path.write_bytes(original)
        write_nothing(filled)
    assert (filled / name).read_bytes() == b"of another store"
    assert sorted(filled.glob("*.version-*")) == [filled / name, filled / f"{name}.2"]
    with closing(sqlite3.connect(filled / f"{name}.2")) as copy, closing(sqlite3.connect(path)) as migrated:
        query = "SELECT * FROM trial"
        assert copy.execute(query).fetchall() == migrated.execute(query).fetchall()


def test_a_migration_that_fails_leaves_the_store_as_it_was(
    filled: Path, next_version: SimpleNamespace
) -> None:
    before = digest(filled / "results.db")
    next_version.migrate = lambda connection: connection.execute("DELETE FROM series")
    for use in (read_store, write_nothing):
        with pytest.raises(BadStore, match="does not have the tables"):
            use(filled)
        assert digest(filled / "results.db") == before


def test_an_older_file_that_is_no_store_is_not_migrated(filled: Path, next_version: SimpleNamespace) -> None:
    with closing(sqlite3.connect(filled / "results.db")) as connection:
        connection.execute("CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM run; END")
    (filled / "results.db.lock").unlink()
    before = {path.name: digest(path) for path in filled.iterdir()}
    for use in (read_store, write_nothing):
        with pytest.raises(BadStore, match="does not have the tables"):
            use(filled)
    assert {path.name: digest(path) for path in filled.iterdir()} == before


def test_a_migration_that_is_killed_leaves_the_store_as_it_was(filled: Path) -> None:
    before = read_store(filled)
    script = NEXT.format(fault="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    script += f"from toolkit.store.write import Writer\nwith Writer({str(filled)!r}): pass\n"
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (filled / f"results.db.version-{schema.VERSION}").exists()
    if (filled / "results.db-journal").exists():
        with Writer(filled):
            pass
    assert read_store(filled) == before


def test_a_backup_that_does_not_fit_leaves_the_store_as_it_was(
    results: Path, filled: Path, in_namespace: InNamespace
) -> None:
    script = (
        """
import shutil
kept = results.with_name("kept")
shutil.copytree(results, kept)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", results], check=True)
shutil.copy(kept / "results.db", results / "results.db")
(results / "filler").write_bytes(bytes(24576))
"""
        + NEXT.format(fault="")
        + """
before = (results / "results.db").read_bytes()
try:
    Writer(results).__enter__()
except StoreUnwritable as error:
    assert "full" in str(error), error
    assert (results / "results.db").read_bytes() == before
    print(sorted(os.listdir(results)))
"""
    )
    assert in_namespace(script, results) == "['filler', 'results.db', 'results.db.lock']\n"
