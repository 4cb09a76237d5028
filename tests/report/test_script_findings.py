"""What the experiment scripts say of numbers that are made by hand."""

import pytest

from toolkit.planning import load_experiment

S = 800_000


def plain(text):
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture
def findings_of(statuses_of):
    """Return a function that gives what a script says of cells: (factors, measure, *outcomes)."""
    return lambda *words: [*statuses_of(*words)]


@pytest.fixture
def statuses_of(make_store, results_of, tmp_path):
    """Return a function that gives what a script says of such cells, each with its status."""

    def found(name, cells, constants=None):
        with make_store(tmp_path) as store:
            for factors, measure, *outcomes in cells:
                for replicate, (metrics, conditions) in enumerate(outcomes):
                    made = store.outcome(metrics, conditions={"page_bytes": 4096, **conditions})
                    store.add(name, factors, measure, replicate, made, constants)
        return {
            plain(one.sentence): one.status for one in load_experiment(name).findings(results_of(tmp_path))
        }

    return found


def test_what_an_allocator_keeps_after_its_own_release_call_is_told(findings_of):
    def cell(malloc, collected, trimmed):
        metrics = {"peak_rss_bytes": 32 << 20, "collected_rss_bytes": collected, "trimmed_rss_bytes": trimmed}
        factors = {"malloc": malloc, "references": "strong", "n": 100_000, "iterations": 10, "python": "3.11"}
        return factors, "resident", (metrics, {"python": "3.11.7", "allocator": malloc})

    told = findings_of(
        "allocators",
        [cell("fixed", 0, 0), cell("mimalloc", 20 << 20, 10 << 20), cell("heap", 9 << 20, -4096)],
    )
    assert told[0].endswith(
        " fixed 0 B of 32.0 MiB; heap 9.00 MiB of 32.0 MiB (0 B); mimalloc 20.0 MiB of 32.0 MiB (10.0 MiB)."
    )


@pytest.mark.parametrize(("peak", "lacking"), [(40, ""), (39, ""), (30, "7.63 MiB"), (5, "26.7 MiB")])
def test_an_allocator_that_puts_arrays_on_pages_of_before_is_named(findings_of, peak, lacking):
    metrics = dict.fromkeys(("peak_rss_bytes", "collected_rss_bytes", "trimmed_rss_bytes"), peak * S)
    factors = {"malloc": "mimalloc", "references": "strong", "n": 100_000, "iterations": 10, "python": "3.11"}
    traced = {"peak_traced_bytes": 40 * S}
    (told, *_) = findings_of(
        "allocators",
        [
            (factors, measure, (one, {"python": "3.11.7", "allocator": "mimalloc"}))
            for measure, one in (("resident", metrics), ("traced", traced))
        ],
    )
    assert ("pages that were resident before the workload" in told) == bool(lacking)
    assert (
        not lacking or f" mimalloc peaks at {lacking} less than the 30.5 MiB of its arrays, because" in told
    )


@pytest.mark.parametrize("noisy", [False, True])
def test_policies_are_ranked_by_what_stands_out_of_the_noise(findings_of, noisy):
    def cell(references, gc, peak, *times):
        factors = {"references": references, "gc": gc, "python": "3.11"}
        told = {"python": "3.11.7"}
        yield factors, "resident", ({"peak_rss_bytes": peak * S}, told)
        yield factors, "traced", ({"end_traced_bytes": 0}, told)
        seconds = ({"wall_seconds": one, "gc_pause_total_seconds": 0.0} for one in times)
        yield factors, "timed", *((metrics, told) for metrics in seconds)

    slow = (0.5, 0.9, 0.7) if noisy else (0.7, 0.701, 0.702)
    cells = [
        *cell("weak", "default", 8, 0.3, 0.31, 0.32),
        *cell("strong", "every=10", 44, *slow),
        *cell("strong", "threshold=100", 60, 0.6, 0.601, 0.602),
        *cell("strong", "default", 400, 0.65, 0.651, 0.652),
    ]
    told = findings_of("gc_policy", cells, {"n": 100_000, "iterations": 300})
    (sentence,) = (one for one in told if "beaten by no other beyond noise" in one)
    if noisy:
        assert "strong references every=10 is beaten by no other" in sentence
        assert "No two of their times are told apart (noise floor" in sentence
    else:
        assert "strong references every=10, threshold=100 are beaten by no other" in sentence
        assert "3 of 3 pairs of their times are told apart" in sentence
        assert "threshold=100 the farthest before every=10: by 100 ms (" in sentence
        assert "Cliff's delta 1.00" in sentence
    assert "in memory or in time; by medians alone, as in the figure," in sentence
    assert not any("follows" in one for one in told)
    if noisy:
        assert "none beats threshold=100 either, but by a lead within noise." in sentence
    else:
        assert "in the figure, they are the same." in sentence


def test_of_the_policies_that_the_collector_runs_each_is_held_against_its_model(findings_of):
    def cell(references, gc, peak, predicted, exact):
        conditions = {"python": "3.11.7", "prediction_array_bytes": S, "prediction_exact": exact}
        metrics = {"peak_rss_bytes": peak * S, "predicted_peak_bytes": predicted * S}
        return {"references": references, "gc": gc, "python": "3.11"}, "resident", (metrics, conditions)

    cells = [
        cell("weak", "default", 8, 8, True),
        cell("strong", "default", 400, 400, False),
        cell("strong", "threshold=100", 47, 50, False),
        cell("strong", "every=10", 44, 44, True),
    ]
    told = findings_of("gc_policy", cells, {"n": 100_000, "iterations": 300})
    (sentence,) = (one for one in told if one.startswith("The gap model tells the peaks"))
    assert "default off by 0 %" in sentence
    assert "threshold=100 off by 6.00 %" in sentence
    assert "every=10" not in sentence


@pytest.mark.parametrize(("beyond", "status"), [(2 * 4096, "deviates"), (2 * 4096 + 1, "confirmed")])
def test_weak_references_win_only_by_more_than_readings_may_be_off(statuses_of, beyond, status):
    def cell(references, gc, peak):
        factors, told = {"references": references, "gc": gc, "python": "3.11"}, {"python": "3.11.7"}
        yield factors, "resident", ({"peak_rss_bytes": peak}, told)
        yield factors, "traced", ({"end_traced_bytes": 0}, told)
        yield factors, "timed", ({"wall_seconds": 0.3, "gc_pause_total_seconds": 0.0}, told)

    cells = [*cell("weak", "default", 8 * S), *cell("strong", "default", 8 * S + beyond)]
    told = statuses_of("gc_policy", cells, {"n": 100_000, "iterations": 300})
    assert [told[one] for one in told if "the best policy for strong references" in one] == [status]
    assert [told[one] for one in told if "need less than every policy" in one] == [status]


@pytest.mark.parametrize(("gradient", "status"), [(64, "confirmed"), (-64, "deviates")])
def test_the_gradient_of_the_deepest_graph_is_judged_too(statuses_of, gradient, status):
    cells = [
        (
            {"traversal": traversal, "diamonds": diamonds},
            "traced",
            (
                {
                    "output_value": 32.0,
                    "gradient_value": float(found),
                    "backward_steps_count": 4 * diamonds,
                    "predicted_backward_steps_count": 4 * diamonds,
                },
                {},
            ),
        )
        for traversal, diamonds, found in (
            ("generation", 1, 64),
            ("generation", 4, gradient),
            ("lifo", 1, 96),
            ("lifo", 4, 64),
        )
    ]
    told = statuses_of("step15_backward_order", cells)
    assert [told[one] for one in told if one.startswith("4 chained diamonds")] == [status]
    (answer,) = (one for one in told if one.startswith("By generation the backward pass"))
    assert ("for another gradient" in answer) == (gradient != 64)
