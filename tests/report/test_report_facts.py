"""Where trials ran, as the report tells it."""

from toolkit.report import facts
from toolkit.store import Run


def machine(**description):
    return dict(facts.machine([Run(id=1, started_at=1.0, ended_at=2.0, description=description, plans={})]))


def test_what_git_did_not_tell_is_unknown_and_not_clean():
    assert machine(git_commit=None, git_dirty=None) == {"commit": "unknown", "uncommitted changes": "unknown"}
    told = machine(git_commit="0123456789abcdef", git_dirty=False)
    assert told == {"commit": "0123456789ab", "uncommitted changes": "no"}


def test_the_environment_of_trials_is_told_without_the_places_of_files():
    told = machine(memory_environment={"PATH": "/home/someone/bin", "OMP_NUM_THREADS": "1", "LANG": "C"})
    assert told == {"memory environment": "OMP_NUM_THREADS=1, LANG=C"}
