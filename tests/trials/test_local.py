"""How many trials run at once, and that leaving early ends them."""

import pytest

from toolkit.trials import local
from toolkit.trials.local import run_trials
from toolkit.trials.supervisor import supervise

LOG = """
log = Path(FOLDER) / 'log'
def write(word):
    with log.open('a') as lines:
        lines.write(f'{name} {word}\\n')
write('begins')
"""
#: Each of two waits until the other has begun as well.
TOGETHER = LOG + "while log.read_text().count('begins') < 2: time.sleep(0.01)\nwrite('ends')"
ALONE = LOG + "time.sleep(0.1)\nwrite('ends')"


def lines_of(folder):
    return (folder / "log").read_text().splitlines()


def test_memory_trials_run_side_by_side_and_timed_ones_alone_after_them(make_trial, tmp_path):
    trials = [
        make_trial(body, measure, constants={"name": name})
        for name, (body, measure) in enumerate(
            [(ALONE, "timed"), (TOGETHER, "resident"), (ALONE, "timed"), (TOGETHER, "resident")]
        )
    ]
    ended = list(run_trials(trials, jobs=2))
    assert {outcome.status for _, outcome in ended} == {"ok"}
    assert {trial.key for trial, _ in ended[:2]} == {trials[1].key, trials[3].key}
    assert [trial for trial, _ in ended[2:]] == [trials[0], trials[2]]
    lines = lines_of(tmp_path)
    assert sorted(lines[:2]) == ["1 begins", "3 begins"]
    assert lines[4:] == ["0 begins", "0 ends", "2 begins", "2 ends"]


def test_one_job_is_one_trial_at_a_time(make_trial, tmp_path):
    trials = [make_trial(ALONE, "traced", constants={"name": name}) for name in range(2)]
    assert len(list(run_trials(trials, jobs=1))) == 2
    # Each runs its workload in a copy first.
    assert lines_of(tmp_path) == ["0 begins", "0 ends"] * 2 + ["1 begins", "1 ends"] * 2


def test_no_trials_are_soon_done():
    assert list(run_trials([], jobs=2)) == []


class Asked(list):
    """Trials that count how many of them were asked for."""

    count = 0

    def __iter__(self):
        for trial in super().__iter__():
            self.count += 1
            yield trial


@pytest.mark.parametrize("how", ["closed", "interrupted"])
def test_leaving_early_ends_what_runs_and_starts_nothing_more(make_trial, tmp_path, monkeypatch, how):
    statuses = []

    def watched(trial):
        outcome = supervise(trial)
        statuses.append(outcome.status)
        return outcome

    monkeypatch.setattr(local, "supervise", watched)
    begin = "(Path(FOLDER) / f'began {name}').touch(); "
    # It ends when the one beside it has begun.
    beside = begin + "\nwhile not (Path(FOLDER) / 'began 1').exists(): time.sleep(0.01)"
    trials = [make_trial(beside, "resident", constants={"name": 0})]
    trials += [
        make_trial(begin + "time.sleep(600)", "resident", constants={"name": name}) for name in (1, 2, 3, 4)
    ]
    asked = Asked(trials)
    ended = run_trials(asked, jobs=2)
    first, _ = next(ended)
    assert first is trials[0]
    # A million of them would not be made before they run.
    assert asked.count == 2
    if how == "closed":
        ended.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            ended.throw(KeyboardInterrupt)
    # The next one is not started before the first has been dealt with.
    assert statuses == ["ok", "killed"]
    assert not (tmp_path / "began 4").exists()


def test_who_interrupts_twice_does_not_wait_longer(make_trial, tmp_path, eventually, monkeypatch):
    trial = make_trial("(Path(FOLDER) / 'began').touch(); time.sleep(600)", "resident")
    real, interrupts, statuses = local.end_all, iter([True, True]), []

    def watched(trial):
        outcome = supervise(trial)
        statuses.append(outcome.status)
        return outcome

    def interrupted():
        if next(interrupts, False):
            raise KeyboardInterrupt
        real()

    def interrupted_once_it_runs(*_, **__):
        eventually((tmp_path / "began").exists)
        raise KeyboardInterrupt

    monkeypatch.setattr(local, "supervise", watched)
    monkeypatch.setattr(local, "end_all", interrupted)
    monkeypatch.setattr(local, "wait", interrupted_once_it_runs)
    with pytest.raises(KeyboardInterrupt):
        list(run_trials([trial], jobs=1))
    # It has not waited for the deadline.
    assert statuses == ["killed"]
