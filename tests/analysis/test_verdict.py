"""Each verdict, by a workload that really gives cause for it."""

import sys
from textwrap import dedent

import pytest

from toolkit.analysis.predictions import page_rounded
from toolkit.analysis.verdict import verdicts
from toolkit.planning import load_experiment, plan
from toolkit.trials.supervisor import supervise

READINGS = {
    "traced": (
        *(f"{moment}_traced_bytes" for moment in ("end", "dropped", "collected", "unfrozen", "cleared")),
        "cleared_traced_total_bytes",
    ),
    "resident": ("end_rss_bytes", "dropped_rss_bytes", "collected_rss_bytes", "trimmed_rss_bytes"),
}
S = 800_000
HEAD = """
import functools
import gc
import weakref
import numpy as np
from toolkit import Experiment, Variable, square

KEPT = []


@functools.lru_cache(maxsize=None)
def cached(number):
    return np.full(100_000, float(number))


@functools.lru_cache(maxsize=2)
def bounded(number):
    return {"answer": Variable(np.full(100_000, float(number)))}


class Knot:
    def __init__(self, array):
        self.array, self.itself = array, self


def workload(trial):
"""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives exact readings")


@pytest.fixture
def told(tmp_path):
    """Return a function that runs a workload and returns the bytes of each verdict, by its kind."""

    def run(body, **levels):
        script = tmp_path / "held.py"
        lines = "\n    ".join(dedent(body).strip().splitlines())
        script.write_text(
            f"{HEAD.lstrip()}    {lines}\n\n\n"
            f"EXPERIMENT = Experiment(workload, factors={ {name: [one] for name, one in levels.items()} }, "
            "measures=['resident', 'traced'])\n"
        )
        readings = {}
        for trial in plan(load_experiment(str(script)), replicates=1):
            outcome = supervise(trial)
            assert outcome.status == "ok", outcome.message
            readings |= {name: outcome.metrics[name] for name in READINGS[trial.measure]}
        found = verdicts(**readings)
        assert all(one.sentence for one in found)
        return {one.kind: one.nbytes for one in found}

    return run


@on_linux
def test_what_the_workload_returned_is_no_verdict(told):
    assert told("return np.ones(100_000)") == {}


@on_linux
def test_a_list_that_grows_is_a_leak(told):
    assert told("for _ in range(5): KEPT.append(np.ones(100_000))") == {"leak": 5 * S}


@on_linux
def test_what_lru_cache_holds_is_a_cache(told):
    body = """
    for number in range(4):
        cached(number), bounded(number)
    KEPT.append(np.ones(1000))
    """
    # Of the bounded one the last two, inside of other objects.
    assert told(body) == {"cache": 6 * S, "leak": 8000}


@on_linux
def test_memory_that_the_core_keeps_for_results_to_come_is_a_cache(told):
    # y and what it was made of are gone; a gradient of ones, another one and the temporary of it.
    body = """
    x = Variable(np.ones(100_000))
    square(x).backward()
    """
    assert told(body, buffers="reused") == {"cache": 4 * S}


@on_linux
def test_a_cycle_with_the_collector_off_is_garbage(told):
    assert told("for _ in range(7): Knot(np.ones(100_000))", gc="off") == {
        "garbage awaiting collection": 7 * S
    }


@on_linux
def test_garbage_that_a_finalizer_lets_go_of_is_garbage_and_no_cache(told):
    body = """
    for _ in range(3):
        array, held_by = Knot(np.ones(100_000)), Knot(None)
        weakref.finalize(held_by, lambda array=array: None)
        del array, held_by
    """
    assert told(body, gc="off") == {"garbage awaiting collection": 3 * S}


@on_linux
def test_frozen_garbage_is_no_leak(told):
    body = """
    for _ in range(3):
        Knot(np.ones(100_000))
    gc.freeze()
    KEPT.append(np.ones(1000))
    """
    assert told(body, gc="off") == {"frozen garbage": 3 * S, "leak": 8000}


@on_linux
@pytest.mark.parametrize(
    ("body", "nbytes"),
    [
        ("KEPT.append(bytearray(8_000_000))", 8_000_000),
        ("KEPT.extend(map(float, range(1_000_000)))", 24_000_000),
    ],
    ids=["a buffer", "numbers"],
)
def test_what_is_kept_without_an_array_is_told(told, body, nbytes):
    found = told(f"{body}\nKEPT.append(np.ones(100_000))")
    assert found.keys() == {"leak", "memory that no array owns"}
    assert found["leak"] == S
    # The list of a million pointers grows by an eighth beyond what is in it.
    assert (
        nbytes <= found["memory that no array owns"] <= nbytes + 9_100_000 * (nbytes > 20_000_000) + 100_000
    )


@on_linux
def test_small_blocks_freed_but_the_last_are_retained_by_the_allocator(told):
    body = """
    blocks = [np.ones(1000) for _ in range(5000)]
    KEPT.append(blocks.pop())
    """
    found = told(body, malloc="default")
    assert found.keys() == {"leak", "retained by the allocator"}
    assert found["leak"] == 8000
    # 40 MB of blocks, of which the reserve took up to 4 MiB.
    assert 5000 * 8016 - (6 << 20) <= found["retained by the allocator"] <= 5000 * 8016


@on_linux
def test_zeros_that_nobody_wrote_to_are_untouched(told):
    size = 8 * 4_000_000
    found = told("return np.zeros(4_000_000)")
    assert found.keys() == {"untouched pages"}
    # The page with malloc's header in front of the data was written to.
    assert page_rounded(size) - size <= size - found["untouched pages"] + 4096 <= 3 * 4096


def test_what_malloc_keeps_by_design_is_no_verdict():
    nothing = dict.fromkeys((*READINGS["traced"], *READINGS["resident"]), 0)
    assert verdicts(**nothing) == ()
    assert verdicts(**{**nothing, "trimmed_rss_bytes": -28_672}) == ()
    assert verdicts(**{**nothing, "end_traced_bytes": 2 << 20}) == ()
    assert verdicts(**{**nothing, "trimmed_rss_bytes": 128 << 10}) == ()


def test_what_was_resident_before_was_not_held_by_the_workload():
    nothing = dict.fromkeys((*READINGS["traced"], *READINGS["resident"]), 0)
    assert verdicts(**{**nothing, "trimmed_rss_bytes": -(1 << 20)}) == ()
    (retained,) = verdicts(**{**nothing, "collected_rss_bytes": 584 << 10, "trimmed_rss_bytes": -(92 << 10)})
    assert (retained.kind, retained.nbytes) == ("retained by the allocator", 584 << 10)
    assert retained.beyond_bytes == 92 << 10


def test_pages_of_before_that_an_allocator_gave_back_meanwhile_are_no_untouched_ones():
    nothing = dict.fromkeys((*READINGS["traced"], *READINGS["resident"]), 0)
    assert verdicts(**{**nothing, **dict.fromkeys(READINGS["resident"], -(4 << 20))}) == ()


def test_what_stays_after_the_release_call_is_told_but_not_what_is_traced():
    nothing = dict.fromkeys((*READINGS["traced"], *READINGS["resident"]), 0)
    stays = {**nothing, "collected_rss_bytes": 12 << 20, "trimmed_rss_bytes": 10 << 20}
    assert [(one.kind, one.nbytes >> 20) for one in verdicts(**stays)] == [
        ("retained by the allocator", 2),
        ("retained after release", 10),
    ]
    at_the_end = ("collected_traced", "unfrozen_traced", "cleared_traced", "cleared_traced_total")
    leaked = stays | {f"{name}_bytes": 10 << 20 for name in at_the_end}
    kinds = [one.kind for one in verdicts(**leaked)]
    assert "leak" in kinds and "retained after release" not in kinds
    unknown = {**stays, "cleared_traced_total_bytes": None}
    assert [one.kind for one in verdicts(**unknown)] == ["retained by the allocator"]


def after_garbage(arrays, **resident):
    """Return the verdicts on so many arrays that are garbage and collected, with these resident readings."""
    traced = dict.fromkeys(("end", "dropped"), arrays * S) | dict.fromkeys(
        ("collected", "unfrozen", "cleared"), 0
    )
    readings = {f"{name}_traced_bytes": some for name, some in traced.items()}
    return verdicts(**readings, **{f"{name}_rss_bytes": some * S for name, some in resident.items()})


def test_garbage_that_the_allocator_then_keeps_has_two_verdicts():
    found = after_garbage(40, end=40, dropped=40, collected=39, trimmed=0)
    assert [(one.kind, one.nbytes) for one in found] == [
        ("garbage awaiting collection", 40 * S),
        ("retained by the allocator", 39 * S),
    ]


def test_trials_that_collected_at_different_times_do_not_make_garbage_look_untouched():
    found = after_garbage(200, end=192, dropped=192, collected=0, trimmed=0)
    assert [one.kind for one in found] == ["garbage awaiting collection"]
