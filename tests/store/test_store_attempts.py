"""Earlier attempts at a trial: kept for good, and counted."""

import sqlite3

from toolkit.store.read import read_earlier, read_store
from toolkit.store.write import Writer


def stored(results, make_trial, *outcomes):
    with Writer(results) as store:
        for outcome in outcomes:
            store.add(store.begin_run({}), make_trial(), outcome)
    return read_store(results)


def test_a_trial_that_was_tried_once_has_no_earlier_attempt(results, make_trial, make_outcome):
    contents = stored(results, make_trial, make_outcome())
    assert contents.attempts == ()


def test_an_attempt_that_failed_stays_beside_the_one_row_of_its_trial(results, make_trial, make_outcome):
    failures = [
        make_outcome("killed", exit_code=-9, message="ended by SIGKILL", started_at=5.0, elapsed_seconds=0.0),
        make_outcome("crash", exit_code=None, message="메모리 \ud800", started_at=6.0),
    ]
    contents = stored(results, make_trial, *failures, make_outcome())
    (row,) = contents.rows
    assert row.status == "ok"
    assert [(one.id, one.key, one.run, one.status) for one in contents.attempts] == [
        (1, row.key, 1, "killed"),
        (2, row.key, 2, "crash"),
    ]
    first, second = contents.attempts
    assert (first.exit_code, first.message, first.started_at, first.elapsed_seconds) == (
        -9,
        "ended by SIGKILL",
        5.0,
        0.0,
    )
    assert (second.exit_code, second.message) == (None, "메모리 \\ud800")
    assert contents.earlier_endings == {row.key: ("killed", "crash")}


def test_what_ended_well_is_never_superseded(results, make_trial, make_outcome):
    contents = stored(results, make_trial, make_outcome(), make_outcome("killed"))
    assert (contents.rows[0].status, contents.attempts) == ("ok", ())


def test_what_says_nothing_of_the_trial_is_not_finished_until_it_was_tried_three_times(
    results, make_trial, make_outcome
):
    key = make_trial().key
    for attempts, finished in ((1, set()), (2, set()), (3, {key})):
        stored(results, make_trial, make_outcome("killed"))
        earlier, again = (read_earlier(results, retry_failed=retry) for retry in (False, True))
        assert (earlier.finished, earlier.tried[key]) == (finished, 0 if finished else attempts)
        assert (again.finished, again.tried[key]) == (set(), attempts)


def test_a_damaged_attempt_is_named_and_left_out(results, make_trial, make_outcome):
    stored(results, make_trial, make_outcome("killed"), make_outcome("error"), make_outcome())
    with sqlite3.connect(results / "results.db") as connection:
        connection.execute("UPDATE attempt SET status = 'ok' WHERE id = 1")
    connection.close()
    contents = read_store(results)
    assert [str(one) for one in contents.damaged] == ["attempt 1 is not what was written"]
    assert [one.status for one in contents.attempts] == ["error"]
    assert len(contents.rows) == 1
