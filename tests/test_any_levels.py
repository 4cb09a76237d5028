"""Every script of the folder draws and tells with whatever levels `--set` gives it, be it one alone."""

import itertools
import re

import numpy as np
import pytest

from toolkit.analysis.results import Results
from toolkit.planning import experiment_scripts, load_experiment, plan
from toolkit.probes.ledger import ROLES
from toolkit.store import Row
from toolkit.usage import UsageError

SCRIPTS = experiment_scripts()

pytestmark = pytest.mark.usefixtures("lacking")


class EveryCondition(dict):
    """Something under every name that a script may ask for."""

    def __missing__(self, name):
        return "told"


class EveryMetric(dict):
    """One number for every metric that a script may ask for: what is said of it does not count here."""

    def __contains__(self, name):
        return True

    def __missing__(self, name):
        return 800_000


#: Levels that are words of the bench or of everyday speech as well.
ORDINARY = {"off", "this", "collector", "resident"}

METRICS = EveryMetric(
    (f"{prefix}{name}_bytes", 800_000)
    for name in ("peak", "end", "peak_rss", "peak_traced", "end_rss", "end_traced")
    for prefix in ("", "predicted_")
)
SERIES = {
    "event_step": np.array([0, 0, 1, 1]),
    "event_rss_bytes": np.array([1, 2, 3, 4]),
    "event_traced_bytes": np.array([1, 2, 3, 4]),
    "event_phase": np.array([0, 0, 1, 2]),
    **{f"event_{role}_bytes": np.array([1, 2, 3, 2]) for role in ROLES},
    "collection_step": np.array([1]),
    "collection_generation": np.array([0]),
    "collection_pause_seconds": np.array([0.1]),
}


def rows_of(experiment, overrides, profile="default"):
    return [
        Row(
            key=trial.key,
            run=1,
            experiment=trial.experiment,
            measure=trial.measure,
            replicate=trial.replicate,
            seed=trial.seed,
            status="ok",
            exit_code=0,
            message="",
            factors=trial.factors,
            constants=trial.constants,
            metrics=EveryMetric(METRICS),
            conditions=EveryCondition(
                python="3.11.7", page_bytes=4096, prediction_array_bytes=800_000, gc_threshold0=700
            ),
            code_digest=trial.code_digest,
            started_at=1.0,
            elapsed_seconds=1.0,
        )
        for trial in plan(experiment, profile, overrides)
    ]


def told(experiment, rows):
    """Return the findings and the figures of a script for these trials."""
    seen = Results(experiment.name, rows, lambda _: SERIES, experiment.factors)
    return list(experiment.findings(seen)), list(experiment.figures(seen))


def cells_of(experiment):
    """Yield one level for every factor, in every combination that the script runs."""
    for levels in itertools.product(*experiment.factors.values()):
        overrides = {name: [level] for name, level in zip(experiment.factors, levels, strict=True)}
        try:
            yield overrides, rows_of(experiment, overrides)
        except UsageError:
            # The script leaves this one out.
            continue


@pytest.mark.parametrize("name", SCRIPTS)
def test_one_level_of_every_factor_is_enough(name):
    experiment = load_experiment(name)
    tried = 0
    for _, rows in cells_of(experiment):
        findings, figures = told(experiment, rows)
        assert findings
        assert any(figure.draw for figure in figures)
        assert not spoken_of_in_vain(experiment, rows, figures)
        tried += 1
    assert tried


def spoken_of_in_vain(experiment, rows, figures):
    """Return the titles of figures that name a level which no trial had: a title is true of any store."""
    named = {str(level) for levels in experiment.factors.values() for level in levels}
    there = {str(level) for row in rows for level in {**row.factors, **row.constants}.values()}
    words = {word for word in named - there if word.isalpha()} - ORDINARY
    return [figure.title for figure in figures if words & set(re.findall(r"\w+", figure.title.lower()))]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_figure_of_one_cell_can_be_drawn(name):
    experiment = load_experiment(name)
    _, rows = next(cells_of(experiment))
    _, figures = told(experiment, rows)
    for figure in figures:
        if figure.draw:
            figure.draw()


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("profile", ["smoke", "full"])
def test_every_profile_is_enough(name, profile):
    experiment = load_experiment(name)
    findings, figures = told(experiment, rows_of(experiment, {}, profile))
    assert findings
    assert any(figure.draw for figure in figures)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_constant_may_become_a_factor(name):
    experiment = load_experiment(name)
    overrides = {
        name: [level, 2 * level] for name, level in experiment.constants.items() if isinstance(level, int)
    }
    findings, figures = told(experiment, rows_of(experiment, overrides))
    assert findings
    assert any(figure.draw for figure in figures)
