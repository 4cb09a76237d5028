"""How long garbage waits: by hand, and against the garbage that a real loop leaves."""

from itertools import pairwise

from toolkit.analysis.reclamation import Reclamation, reclamation
from toolkit.planning import load_experiment, plan
from toolkit.trials.supervisor import supervise


def test_one_collection_frees_all_but_the_two_graphs_that_it_meets_alive():
    # The graphs of iterations 0 to 50 waited 51 to 1 iterations; 51 and 52 were alive and are old now.
    told = reclamation([52], [0], 53)
    assert told == Reclamation(
        median_iterations=26,
        max_iterations=51,
        freed_count=51,
        waiting_count=2,
        longest_waiting_iterations=1,
    )


def test_what_is_never_freed_is_told_beside_what_was_and_not_left_out():
    # Iterations 50 and 51 were alive at the first collection: no collection of the youngest generation frees them.
    told = reclamation([51, 128, 216, 310], [0, 0, 0, 0], 400)
    assert told.max_iterations == 92
    assert told.waiting_count == 2 * 4 + 89
    assert told.longest_waiting_iterations == 349


def test_what_a_young_collection_met_alive_waits_for_an_older_one():
    steps = [10, 20, 30]
    assert reclamation(steps, [0, 0, 0], 31).waiting_count == 6
    told = reclamation(steps, [0, 0, 1], 31)
    # The graph of iteration 9 was unreachable after 10, and freed in 30.
    assert (told.max_iterations, told.waiting_count) == (20, 2)


def test_the_longest_wait_for_young_collections_is_their_gap():
    gaps = [53, 72, 76, 77, 77]
    steps = [sum(gaps[: place + 1]) for place in range(len(gaps))]
    told = reclamation(steps, [0] * len(gaps), steps[-1] + 1)
    # Of the graphs of a gap the first two are old, and the third is unreachable one iteration after its own.
    assert told.max_iterations == max(after - before for before, after in pairwise(steps)) - 2


def test_without_a_collection_all_of_it_waits():
    assert reclamation([], [], 10) == Reclamation(0, 0, 0, 10, 9)


def test_the_garbage_of_a_real_loop_is_what_the_collections_left():
    experiment = load_experiment("step17_weak_references")
    levels = {"references": ["strong"], "gc": ["default"], "iterations": [400], "n": [10_000]}
    (trial,) = (one for one in plan(experiment, overrides=levels, replicates=1) if one.measure == "traced")
    outcome = supervise(trial)
    assert outcome.status == "ok", outcome.message
    told = reclamation(
        outcome.series["collection_step"],
        outcome.series["collection_generation"],
        trial.factors["iterations"],
    )
    garbage = outcome.metrics["dropped_traced_bytes"] - outcome.metrics["collected_traced_bytes"]
    # Of a graph that a collection met half made, the later part does not wait with the first.
    early_arrays = told.waiting_count * 4 - garbage / 80_000
    assert 0 <= early_arrays <= 3 * len(outcome.series["collection_step"])
