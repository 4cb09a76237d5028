"""The table of verdicts: the cells that hold something, and no others."""

from toolkit.report.holding import held, latency, table

S = 800_000


def _readings(**changes):
    names = ("end", "dropped", "collected", "unfrozen", "cleared")
    resident = {f"{name}_rss_bytes": 0 for name in ("end", "dropped", "collected", "trimmed")}
    traced = {f"{name}_traced_bytes": 0 for name in names}
    return {
        "resident": {name: changes.get(name, zero) for name, zero in resident.items()},
        "traced": {name: changes.get(name, zero) for name, zero in traced.items()},
    }


def test_each_cell_that_holds_something_has_its_verdict(make_store, results_of, tmp_path):
    cells = {
        "weak": _readings(),
        "strong": _readings(
            end_traced_bytes=4 * S,
            dropped_traced_bytes=4 * S,
            end_rss_bytes=4 * S,
            dropped_rss_bytes=4 * S,
            collected_rss_bytes=3 * S,
        ),
        "traced alone": {"traced": _readings(cleared_traced_bytes=S)["traced"]},
    }
    with make_store(tmp_path) as store:
        for level, measures in cells.items():
            for measure, metrics in measures.items():
                store.add("some", {"references": level}, measure, 0, store.outcome(metrics))
    results = results_of(tmp_path)
    made = table(results, held(results), "stem")
    assert [column.heading for column in made.columns[:3]] == ["references", "verdict", "held"]
    assert [row[:3] for row in made.rows] == [
        ("strong", "garbage awaiting collection", 4 * S),
        ("strong", "retained by the allocator", 3 * S),
    ]
    assert ["do not add up" in note for note in made.notes] == [True]
    assert not any(table(results, held(results)[:1], "stem").notes)


def test_a_store_without_these_readings_has_no_verdicts(results):
    assert held(results["step17_weak_references"]) == ()


def test_it_says_how_long_garbage_waits(make_store, results_of, tmp_path):
    series = {"collection_step": [52], "collection_generation": [0], "collection_pause_seconds": [0.001]}
    with make_store(tmp_path) as store:
        levels = {"references": "strong", "iterations": 100}
        store.add("some", levels, "timed", 0, store.outcome({"wall_seconds": 0.5}, series=series))
    results = results_of(tmp_path)
    sentence = latency(results, references="strong", iterations=100).sentence.replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert "51 of the graphs of 100 iterations are freed within the loop" in sentence
    assert "wait for 26.0 iterations in the median" in sentence
    assert "(some 130 ms, estimated from the mean time of an iteration), for 51.0 at most" in sentence
    assert "49 still wait at the end, the longest for 48 iterations so far" in sentence
    assert latency(results, references="strong", iterations=7).sentence.endswith(
        "no timed trial of that loop is here."
    )
