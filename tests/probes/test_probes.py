"""The contract: every module of the folder is a probe or a watcher and says what it is worth."""

import json
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import toolkit.probes
from toolkit.probes import MOMENTS, Datasheet
from toolkit.trials import MEASURES
from toolkit.trials.measuring import probes_of, watchers_of

MODULES = {
    module.name: import_module(f"toolkit.probes.{module.name}")
    for module in iter_modules(toolkit.probes.__path__)
    if not module.name.startswith("_")
}
UNITS = ("_bytes", "_count", "_seconds")

each_module = pytest.mark.parametrize("name", MODULES)
each_probe = pytest.mark.parametrize("name", [name for name in MODULES if hasattr(MODULES[name], "PROBE")])


def test_the_folder_is_found():
    assert {"clock", "collector", "events", "resident", "sampled", "traced"} <= MODULES.keys()


@each_module
def test_a_module_offers_a_probe_or_a_watcher(name):
    assert hasattr(MODULES[name], "PROBE") != hasattr(MODULES[name], "WATCHER")


@each_module
def test_a_module_says_what_its_readings_are_worth(name):
    datasheet = MODULES[name].DATASHEET
    assert isinstance(datasheet, Datasheet)
    assert all(getattr(datasheet, field.name).strip() for field in fields(Datasheet))


@each_module
def test_a_module_has_its_test(name):
    assert (Path(__file__).parent / f"test_{name}_probe.py").is_file()


@each_module
def test_a_module_says_where_it_takes_part_and_what_it_yields(name):
    module = MODULES[name]
    assert module.MEASURES
    assert set(module.MEASURES) <= set(MEASURES)
    assert set(module.DETAILS) <= set(module.METRICS)
    for measure in module.MEASURES:
        assert name in (*probes_of(measure), *watchers_of(measure))


def test_no_two_modules_yield_one_metric():
    metrics = [metric for module in MODULES.values() for metric in module.METRICS]
    assert len(metrics) == len(set(metrics))


@pytest.mark.parametrize("measure", MEASURES)
def test_a_trial_yields_what_the_modules_say_and_no_more(measured, until_polled, measure):
    body = "trial.record(own_count=1)"
    outcome = measured(f"{body}\n{until_polled}" if "sampled" in watchers_of(measure) else body, measure)
    names = [*probes_of(measure), *watchers_of(measure)]
    stated = {metric for name in names for metric in MODULES[name].METRICS}
    assert outcome.metrics.keys() == stated | {"own_count", "garbage_objects_count"}


def test_what_reads_memory_starts_last():
    last = {measure: probes_of(measure)[-1] for measure in MEASURES}
    assert last == {measure: "clock" if measure == "timed" else measure for measure in MEASURES}


@each_probe
def test_a_probe_yields_what_json_and_the_store_can_hold(name, position):
    probe = MODULES[name].PROBE(position)
    # The warm-up of a trial goes through it before the trial does, which leaves out moments that no probe tells of.
    for moments in (MOMENTS, probe.moments):
        probe.start()
        probe.observe()
        probe.stop()
        for moment in moments:
            probe.read(moment)
        metrics, series = probe.metrics(), probe.series()

    assert isinstance(probe.exact, bool)
    assert probe.moments == tuple(moment for moment in MOMENTS if moment in probe.moments)
    assert metrics
    assert all(metric.endswith(UNITS) for metric in metrics)
    assert all(
        type(value) is (float if metric.endswith("_seconds") else int) for metric, value in metrics.items()
    )
    assert len({len(values) for values in series.values()}) <= 1
    assert json.loads(json.dumps([metrics, series], allow_nan=False)) == [metrics, series]
