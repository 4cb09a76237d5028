"""The model of the collector against this interpreter: its parts by counting, its peaks by real loops."""

import gc

import numpy as np
import pytest

from toolkit import Variable, square, using_config
from toolkit.analysis.collection import Node, chain_nodes, loop_with_collector
from toolkit.planning import load_experiment, plan
from toolkit.trials.supervisor import supervise

THRESHOLDS = gc.get_threshold()
ARRAY = np.ones(2)


@pytest.fixture
def counting():
    """Let nothing collect, and no tuple wait for reuse: a full collection empties the free lists."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.collect()


def counted(make, count):
    """Return by how much the count of the youngest generation rises with each of `count` that `make` makes."""
    made = [None] * (count + 1)
    made[0] = make()
    before = gc.get_count()[0]
    for number in range(count):
        made[number] = make()
    after = gc.get_count()[0]
    return (after - before) / count


def made_with(nodes):
    return sum(node.objects for node in nodes), sum(node.tuples for node in nodes)


def graph(k):
    x = Variable(ARRAY)
    for _ in range(k):
        x = square(x)
    return x


@pytest.mark.parametrize("k", [0, 1, 3, 16])
def test_a_chain_makes_the_objects_that_its_nodes_say(counting, k):
    with using_config(references="strong"):
        assert round(counted(lambda: graph(k), 100), 1) == sum(made_with(chain_nodes(k)))


def test_tuples_of_graphs_that_were_collected_young_are_made_again_without_being_counted(counting):
    made, tuples = made_with(chain_nodes(3))
    with using_config(references="strong"):
        assert round(counted(lambda: graph(3), 100), 1) == made + tuples
        gc.collect(0)
        assert round(counted(lambda: graph(3), 100), 1) == made


def test_a_plain_object_with_an_array_is_one_object(counting):
    class Obj:
        def __init__(self, array):
            self.array = array

    assert round(counted(lambda: Obj(ARRAY), 100), 1) == 1


def trial(name, **levels):
    """Return the traced trial of an experiment at these levels."""
    (found,) = [
        one
        for one in plan(
            load_experiment(name), overrides={key: [level] for key, level in levels.items()}, replicates=1
        )
        if one.measure == "traced"
    ]
    return found


def assert_within_a_tenth(one):
    outcome = supervise(one)
    assert outcome.status == "ok", outcome.message
    prediction = load_experiment(one.experiment).predict({**one.constants, **one.factors}, outcome.conditions)
    assert prediction.exact is False
    assert prediction.end_arrays is None
    assert outcome.metrics["peak_traced_bytes"] == pytest.approx(prediction.peak_bytes("traced"), rel=0.1)


@pytest.mark.parametrize(
    "iterations",
    [100, 400, 1000, *(pytest.param(longer, marks=pytest.mark.slow) for longer in (5000, 40_000))],
)
def test_the_peak_of_the_strong_loop(iterations):
    levels = {"references": "strong", "gc": "default", "n": 10_000}
    assert_within_a_tenth(trial("step17_weak_references", iterations=iterations, **levels))


@pytest.mark.parametrize("rounds", [300, 1000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_the_peak_of_cycles_of_plain_objects(rounds):
    assert_within_a_tenth(
        trial("step17_reference_counting", links="cycle", gc="default", rounds=rounds, n=10_000)
    )


def peaks(iterations, nodes=None, thresholds=THRESHOLDS, held=True):
    prediction = loop_with_collector(nodes or chain_nodes(3), iterations, 8, thresholds, held=held)
    return prediction.peak_arrays


def test_before_the_first_collection_every_graph_stays():
    first = THRESHOLDS[0] // 13
    assert [peaks(iterations) for iterations in (1, 10, first)] == [4, 40, 4 * first]


def test_the_peak_never_falls_with_more_iterations():
    found = [peaks(iterations) for iterations in range(1, 1000, 37)]
    assert found == sorted(found)


def test_a_lower_threshold_holds_the_peak_lower():
    found = [peaks(2000, thresholds=(threshold, 10, 10)) for threshold in (100, 700, 2000)]
    assert found == sorted(found)
    assert len(set(found)) == 3


def test_a_graph_that_is_held_moves_up_and_waits_longer():
    assert peaks(2000, held=True) > peaks(2000, held=False)


def test_one_object_at_a_time_by_hand():
    # A count above 3 collects: the fourth object of each round of four finds the three graphs before it finished,
    # and itself in the making, so that it moves up and waits there until the older generation's turn.
    nodes = (Node(objects=1),)
    prediction = loop_with_collector(nodes, 4, 8, (3, 1, 1), held=False)
    assert prediction.peak_arrays == 3
    assert prediction.basis == "model of the collector, thresholds 3, 1, 1"
    assert loop_with_collector(nodes, 3, 8, (3, 1, 1), held=False).peak_arrays == 3
