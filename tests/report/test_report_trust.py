"""The section on trust tells what the store tells, and nothing of it is reassuring without cause."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from toolkit.analysis.observing import Observed
from toolkit.report.build import document, write_report
from toolkit.report.names import unique_stems
from toolkit.report.trust import trust
from toolkit.store.read import read_store
from toolkit.store.write import Writer
from toolkit.trials import Outcome, Trial


def trial(replicate: int, **changes) -> Trial:
    fields = {
        "experiment": "loop",
        "script": "loop.py",
        "factors": {"n": 8},
        "constants": {"k": 1},
        "measure": "timed",
        "replicate": replicate,
        "seed": 0,
        "deadline_seconds": 9.0,
        "code_digest": "code",
    }
    return Trial(**{**fields, **changes})


def outcome(seconds: float, status: str = "ok", started_at: float = 1.0) -> Outcome:
    return Outcome(
        status=status,
        exit_code=0 if status == "ok" else -9,
        metrics={"wall_seconds": seconds} if status == "ok" else {},
        started_at=started_at,
        elapsed_seconds=1.0,
    )


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def told(results: Path) -> dict[str, str]:
    made = trust(read_store(results), unique_stems(), Observed())
    return {finding.sentence: finding.status for finding in made.findings}


def rows(results: Path, title: str) -> tuple:
    made = trust(read_store(results), unique_stems(), Observed())
    return next((table.rows for table in made.tables if table.title.startswith(title)), ())


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([("a", False), ("a", True)], "1 commit, with uncommitted changes: some in 1 run, none in 1 run."),
        ([("a", False), ("b", False)], "2 commits, with uncommitted changes: none in 2 runs."),
        (
            [("a", False), (None, None)],
            "1 commit, with uncommitted changes: none in 1 run, unknown in 1 run.",
        ),
        ([("a", True), ("a", True)], ""),
    ],
)
def test_runs_in_other_states_of_the_repository_are_told_beside_the_machine(
    results: Path, states: list, expected: str
) -> None:
    with Writer(results) as store:
        for replicate, (commit, dirty) in enumerate(states):
            run = store.begin_run(
                {"cpu": "Imaginary", "git_commit": commit, "git_dirty": dirty}, [trial(replicate)]
            )
            store.add(run, trial(replicate), outcome(1.0))
            store.end_run(run)
    *_, machine, after = ("", *told(results)) if expected else (*told(results), "")
    assert machine == "All trials ran on one machine with one set-up."
    assert after.startswith(f"Their runs saw the repository at {expected}" if expected else "")


def test_a_sound_run_is_told_to_be_one(results: Path) -> None:
    with Writer(results) as store:
        run = store.begin_run({"cpu": "Imaginary", "boot_id": "b"}, [trial(0)])
        for replicate, seconds in enumerate([1.0, 1.0, 1.1, 1.1]):
            # Stored in another order than they ran.
            store.add(run, trial(replicate), outcome(seconds, started_at=10.0 - replicate))
        store.end_run(run)
    assert told(results) == {
        "The store is whole. All 4 trials are what was written: the digest of each was checked, its series "
        "included.": "confirmed",
        "None of 4 trials failed.": "confirmed",
        "No trial was tried twice.": "confirmed",
        "Between the first and the second half of equal trials medians differ by up to 9.52 %, in the time of "
        "loop: a smaller difference between two of its cells tells nothing. Each experiment has its own such "
        "floor.": "observed",
        "All trials ran on one machine with one set-up.": "confirmed",
    }
    ((experiment, measure, quantity, cells, readings, percent),) = rows(results, "Noise floor")
    assert (experiment, measure, quantity, cells, readings) == ("loop", "timed", "time", 1, 4)
    assert percent == pytest.approx(100 * 0.1 / 1.05)
    assert not rows(results, "Machines")
    assert not rows(results, "Rows left out") and not rows(results, "Failed trials")


def test_the_first_half_is_that_of_what_ran_first(results: Path) -> None:
    with Writer(results) as store:
        run = store.begin_run({})
        for replicate, seconds in enumerate([1.0, 1.1, 1.0, 1.1]):
            store.add(run, trial(replicate), outcome(seconds, started_at=float(replicate)))
    ((*_, percent),) = rows(results, "Noise floor")
    assert percent == pytest.approx(0)


def test_what_wavers_around_0_has_no_percentage_and_says_so(results: Path) -> None:
    with Writer(results) as store:
        run = store.begin_run({})
        for replicate, seconds in enumerate([0.0, 0.0, 0.004]):
            store.add(run, trial(replicate), outcome(seconds, started_at=float(replicate)))
    ((_, _, quantity, _, _, percent),) = rows(results, "Noise floor")
    assert quantity == "time (around 0 up to 2.00\N{NO-BREAK SPACE}ms, which is no percentage)"
    assert percent is None


def test_failures_and_attempts_are_counted_by_kind(results: Path) -> None:
    with Writer(results) as store:
        run = store.begin_run({}, [trial(0)])
        store.add(run, trial(0), outcome(1.0, "killed"))
        store.add(run, trial(0), outcome(1.0, "killed"))
        store.add(run, trial(0), outcome(1.0))
        store.add(run, trial(1), outcome(1.0, "timeout"))
        store.add(run, trial(2), outcome(1.0, "crash"))
        store.add(run, trial(3), outcome(1.0, "crash"))
    sentences = told(results)
    assert sentences["3 of 4 trials failed and give no figures: 2 crash, 1 timeout."] == "deviates"
    tried = "Tried again: 1 trial needed 3 attempts (killed, then killed, then ok)."
    assert sentences[tried] == "observed"
    assert "1 of 1 run did not come to the end, or goes on: 1." in sentences
    assert sentences["No cell ran twice: how much figures waver is not known."] == "deviates"
    assert rows(results, "Failed trials") == (
        ("loop", "crash", 2, 0, 4),
        ("loop", "killed", 0, 2, 4),
        ("loop", "timeout", 1, 0, 4),
    )


def test_what_is_left_out_is_told_with_its_reason(results: Path) -> None:
    with Writer(results) as store:
        run = store.begin_run({})
        store.add(run, trial(0, code_digest="older"), outcome(1.0))
        store.add(run, trial(1, constants={"k": 2}), outcome(1.0))
        store.add(run, trial(2), outcome(1.0))
        store.add(run, trial(3), outcome(1.0))
        store.begin_run({}, [trial(0)])
    with closing(sqlite3.connect(results / "results.db")) as connection:
        connection.execute("UPDATE trial SET seed = 3 WHERE replicate = 3")
        connection.commit()
    damaged = (
        "Rows of the store are damaged and left out: 1 trial. 3 trials are what was written: the digest of "
    )
    assert any(one.startswith(damaged) and status == "deviates" for one, status in told(results).items())
    assert rows(results, "Rows left out") == (
        ("trial", trial(3).key, "is not what was written", 1),
        ("trial", "loop", "of other code than the last run's", 1),
        ("trial", "loop", "of other constants than the last run's", 1),
    )


def test_machines_are_told_apart_and_runs_without_trials_are_none(results: Path) -> None:
    with Writer(results) as store:
        for place, cpu in enumerate(["one", "two", "two", "three"]):
            run = store.begin_run({"cpu": cpu, "memory_bytes": 2**30, "boot_id": str(place)})
            if cpu != "three":
                store.add(run, trial(place), outcome(1.0))
    assert told(results)["Trials ran on 2 machines or set-ups."] == "deviates"
    assert [(row[0], row[2], *row[-3:]) for row in rows(results, "Machines")] == [
        ("one", 2**30, 1, 1, 1),
        ("two", 2**30, 2, 2, 2),
    ]


def test_a_worker_that_was_lost_is_an_attempt(results: Path) -> None:
    with Writer(results) as store:
        run = store.begin_run({}, [trial(0)])
        store.add(run, trial(0), replace(outcome(1.0), conditions={"attempts": 2}))
        store.add(run, trial(1), replace(outcome(1.0), conditions={"attempts": 1}))
        store.add(run, trial(2), replace(outcome(1.0, "killed"), conditions={"attempts": 1}))
        store.add(run, trial(2), replace(outcome(1.0, "worker-lost"), conditions={"attempts": 4}))
    lost = ", then ".join(["killed"] + ["worker-lost"] * 4)
    tried = (
        f"Tried again: 1 trial needed 5 attempts ({lost}); 1 trial needed 2 attempts (worker-lost, then ok)."
    )
    assert told(results)[tried] == "observed"
    assert rows(results, "Failed trials") == (
        ("loop", "killed", 0, 1, 3),
        ("loop", "worker-lost", 1, 4, 3),
    )


def test_hosts_of_one_run_are_told_apart_by_what_its_trials_tell(results: Path) -> None:
    with Writer(results) as store:
        run = store.begin_run({"cpu": ["one", "two"], "python": "3.12.1", "memory_bytes": [1, 2]}, [trial(0)])
        hosts = [("a", "one"), ("b", "two"), ("c", "two")]
        for replicate, (host, cpu) in enumerate(hosts):
            store.add(run, trial(replicate), replace(outcome(1.0), conditions={"host": host, "cpu": cpu}))
    assert told(results)["Trials ran on 3 machines or set-ups."] == "deviates"
    assert [row[:2] for row in rows(results, "Machines")] == hosts
    write_report(results, document(results, {}))


def test_an_interpreter_that_a_level_names_is_no_other_set_up(results: Path) -> None:
    with Writer(results) as store:
        run = store.begin_run({"python": "3.12.1"}, [trial(0)])
        for version in ("3.12.1", "3.13.0"):
            levels = {"python": version[:4]}
            done = replace(outcome(1.0), conditions={"python": version})
            store.add(run, trial(0, factors=levels), done)
    assert told(results)["All trials ran on one machine with one set-up."] == "confirmed"


def test_a_store_of_nothing_claims_nothing(results: Path) -> None:
    with Writer(results):
        pass
    assert told(results)["Where the trials ran is not known."] == "deviates"


def test_the_section_stands_in_every_format(results: Path) -> None:
    with Writer(results) as store:
        run = store.begin_run({"cpu": "</script>|x"}, [trial(0)])
        for replicate in range(2):
            store.add(run, trial(replicate), outcome(1.0))
    folder = write_report(results, document(results, {})).parent
    page, text = (folder / "index.html").read_text(), (folder / "report.md").read_text()
    assert '<section id="trust">' in page and '<a href="#trust">' in page
    assert "## How far to trust this run" in text
    assert "&lt;/script&gt;\\|x" in text and "<td" in page and "&lt;/script&gt;|x" in page
    assert (folder / "tables" / "trust-noise.csv").exists()
