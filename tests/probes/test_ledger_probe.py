"""The ledger: every array by role from birth to death, and its bytes against what numpy allocates."""

import gc

import numpy as np
import pytest

from toolkit import (
    Function,
    Variable,
    add,
    broadcast_to,
    matmul,
    mul,
    no_grad,
    reshape,
    square,
    sum_to,
    transpose,
    using_config,
)
from toolkit.core import events
from toolkit.probes import MOMENTS
from toolkit.probes.ledger import PHASES, PROBE
from toolkit.probes.traced import PROBE as TRACED

ROLES = ("parameter", "input", "activation", "saved", "gradient", "temporary")
N = 1000
S = 8 * N


def array(n=N, dtype=np.float64):
    return np.full(n, 0.5, dtype)


def finish(*probes):
    for probe in reversed(probes):
        probe.stop()
    for moment in MOMENTS:
        for probe in probes:
            probe.read(moment)


@pytest.fixture
def ledger(position, watched):
    """Return a function that runs a workload under a new ledger and returns that."""
    return lambda workload: watched(PROBE(position), workload)


@pytest.fixture
def no_collector():
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def both(position):
    """Return a function that runs a workload under a ledger and a traced probe, and returns their metrics."""

    def run(workload):
        gc.collect()
        probes = [PROBE(position), TRACED(position)]
        for probe in probes:
            probe.start()
        try:
            held = workload()  # held until the end is read
        finally:
            for probe in probes:
                probe.stop()
        for moment in MOMENTS:
            if moment == "dropped":
                del held
            elif moment == "collected":
                gc.collect()
            for probe in probes:
                probe.read(moment)
        return {name: value for probe in probes for name, value in probe.metrics().items()}

    return run


def stacked(probe):
    """Return the readings as the bytes of each role that has any, with the phase of each."""
    series = probe.series()
    columns = [series[f"event_{role}_bytes"] for role in ROLES]
    return [
        (PHASES[phase], {role: held for role, held in zip(ROLES, row, strict=True) if held})
        for phase, *row in zip(series["event_phase"], *columns, strict=True)
    ]


def roles(probe):
    return [life.role for life in probe.lives()]


def test_a_chain_forward_and_backward(ledger):
    def workload():
        x = Variable(array())
        y = square(square(x))
        y.backward()
        return x, y

    probe = ledger(workload)
    assert stacked(probe) == [
        ("forward", {"input": S, "activation": S}),
        ("forward", {"input": S, "activation": 2 * S}),
        ("backward", {"input": S, "activation": 2 * S, "gradient": 2 * S}),
        ("backward", {"input": S, "activation": 2 * S, "gradient": 2 * S}),
        ("release", {"input": S, "activation": 2 * S, "gradient": S}),
    ]
    assert probe.metrics() == {
        "ledger_peak_bytes": 5 * S,
        "ledger_parameter_at_peak_bytes": 0,
        "ledger_input_at_peak_bytes": S,
        "ledger_activation_at_peak_bytes": 2 * S,
        "ledger_saved_at_peak_bytes": 0,
        "ledger_gradient_at_peak_bytes": 2 * S,
        "ledger_temporary_at_peak_bytes": 0,
        "ledger_forward_peak_bytes": 3 * S,
        "ledger_backward_peak_bytes": 5 * S,
        "ledger_release_peak_bytes": 4 * S,
        "ledger_end_bytes": 4 * S,
        "ledger_dropped_bytes": 0,
        "ledger_collected_bytes": 0,
        "ledger_arrays_count": 6,
    }
    assert not events.listeners


def test_each_life_tells_birth_role_layout_holder_and_death(ledger):
    def workload():
        x = Variable(array(dtype=np.float32))
        y = square(x)
        y.backward()
        return x

    lives = ledger(workload).lives()
    told = [(life.role, life.holder, life.born, life.died) for life in lives]
    # The third event is the reading of the end.
    assert told == [
        ("input", "input of Square", 1, 3),
        ("activation", "output of Square", 1, 2),
        ("gradient", "gradient of Square", 2, 2),
        ("gradient", "gradient of Square", 2, 3),
    ]
    assert {(life.shape, life.dtype, life.nbytes) for life in lives} == {((N,), np.dtype("f4"), 4 * N)}


def test_what_is_alive_has_not_died(position):
    probe = PROBE(position)
    probe.start()
    x = Variable(array())
    square(x)
    assert [(life.born, life.died) for life in probe.lives()] == [(1, None), (1, 1)]
    finish(probe)
    assert x.data.nbytes == probe.metrics()["ledger_end_bytes"]


def test_a_leaf_is_a_parameter_once_it_is_used_again_after_a_pass(ledger, position):
    """Also where an update gives it a new array, and its gradient is cleared before it is used."""

    def workload():
        w = Variable(array())
        for position.step in range(3):
            x = Variable(array())
            y = mul(x, w)
            y.backward()
            w.data = w.data - w.grad
            w.cleargrad()
        return w

    seen = stacked(ledger(workload))
    forward = [held for phase, held in seen if phase == "forward"]
    assert "parameter" not in forward[0]
    assert forward[0]["input"] == 2 * S
    assert [held["parameter"] for held in forward[1:]] == [S, S]
    # The x of the iteration before is still held by its name.
    assert [held["input"] for held in forward[1:]] == [2 * S, 2 * S]


def test_a_leaf_that_is_used_twice_before_the_first_pass_is_an_input(ledger):
    def workload():
        x = Variable(array())
        add(mul(x, x), x).backward()
        return x

    assert "parameter" not in roles(ledger(workload))


def test_without_a_graph_what_only_the_next_call_needs_is_a_temporary(ledger):
    def workload():
        with no_grad():
            y = Variable(array())
            for _ in range(3):
                y = square(y)
            return y

    probe = ledger(workload)
    assert stacked(probe) == [
        ("forward", {"input": S, "temporary": S}),
        ("forward", {"temporary": 2 * S}),
        ("forward", {"temporary": 2 * S}),
        # What is returned proves to be held.
        ("release", {"activation": S}),
    ]
    assert roles(probe) == ["input", "temporary", "temporary", "activation"]


def test_without_a_graph_what_a_call_passes_by_is_held_by_the_workload(ledger):
    def workload():
        x = Variable(array())
        with no_grad():
            a = square(x)
            square(x)
            return square(a)

    assert stacked(ledger(workload)) == [
        ("forward", {"input": S, "temporary": S}),
        ("forward", {"input": S, "activation": S, "temporary": S}),
        ("forward", {"input": S, "activation": S, "temporary": S}),
        ("release", {"activation": S}),
    ]


def test_an_output_that_dies_before_the_next_event_was_a_temporary(ledger):
    def workload():
        x = Variable(array())
        square(x)
        return square(x)

    probe = ledger(workload)
    assert stacked(probe)[:2] == [
        ("forward", {"input": S, "temporary": S}),
        ("forward", {"input": S, "activation": S}),
    ]
    assert roles(probe) == ["input", "temporary", "activation"]


class Masked(Function):
    """Keeps its mask in its __dict__, its output too, and more in a list."""

    def forward(self, x):
        self.mask = x > 0
        self.y = x * self.mask
        self.more = [np.ones(3), {"deep": np.ones(2)}]
        return self.y

    def backward(self, gy):
        self.late = np.ones(1)
        return gy * self.mask


class SlottedMask(Function):
    __slots__ = ("mask",)

    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, gy):
        return gy * self.mask


@pytest.mark.parametrize(("function", "more"), [(Masked, 40), (SlottedMask, 0)])
def test_what_a_function_keeps_as_attributes_is_saved(ledger, function, more):
    def workload():
        x = Variable(array())
        y = function()(x)
        y.backward()
        return x, y

    probe = ledger(workload)
    readings = stacked(probe)
    assert readings[0] == ("forward", {"input": S, "activation": S, "saved": N + more})
    assert readings[-1][1]["saved"] == N + more + bool(more) * 8
    assert {life.holder for life in probe.lives() if life.role == "saved"} == {
        f"saved by {function.__name__}"
    }


def test_what_a_discarded_function_kept_dies_with_it(ledger):
    def workload():
        with no_grad():
            return SlottedMask()(Variable(array()))

    assert stacked(ledger(workload))[-1] == ("release", {"activation": S})


VIEWS = {
    "reshape": lambda x: reshape(x, (10, N // 10)),
    "transpose": transpose,
    "broadcast_to": lambda x: broadcast_to(x, (7, N)),
    "sum_to": lambda x: sum_to(x, (N,)),
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_counts_through_the_array_that_owns_its_memory(ledger, view):
    def workload():
        x = Variable(array())
        y = VIEWS[view](x)
        del x.data
        return y

    probe = ledger(workload)
    assert roles(probe) == ["input"]
    assert probe.metrics()["ledger_end_bytes"] == S


def test_a_view_of_a_part_keeps_the_whole(ledger):
    def workload():
        return square(Variable(array()[:5]))

    assert stacked(ledger(workload))[0] == ("forward", {"input": S, "activation": 40})


def test_memory_that_no_array_owns_is_left_out(ledger):
    buffer = bytearray(S)
    probe = ledger(lambda: add(Variable(np.frombuffer(buffer)), Variable(np.asarray(memoryview(array())))))
    assert stacked(probe)[0] == ("forward", {"input": S, "activation": S})


def test_each_pass_ends_in_a_release_of_its_own(ledger):
    def workload():
        for _ in range(2):
            square(Variable(array())).backward()

    left = {"input": S, "activation": S, "gradient": 2 * S}
    assert stacked(ledger(workload)) == [
        ("forward", {"input": S, "activation": S}),
        ("backward", left),
        ("release", {}),
        ("forward", {"input": S, "activation": S}),
        ("backward", left),
        ("release", {}),
    ]


def test_each_step_of_the_loop_ends_in_a_release(ledger, position):
    def workload():
        for position.step in range(2):
            y = square(Variable(array()))
        return y

    probe = ledger(workload)
    assert [phase for phase, _ in stacked(probe)] == ["forward", "release", "forward", "release"]
    assert probe.series()["event_step"] == [0, 0, 1, 1]


def test_of_equal_peaks_the_last_tells_the_composition(ledger, position):
    def workload():
        w = Variable(array())
        for position.step in range(3):
            mul(Variable(array()), w).backward()
            w.cleargrad()

    assert ledger(workload).metrics()["ledger_parameter_at_peak_bytes"] == S


def test_a_workload_can_ask_for_a_reading(position):
    probe = PROBE(position)
    probe.start()
    probe.observe()
    y = square(Variable(array()))
    probe.observe()
    del y
    probe.observe()
    finish(probe)
    both = {"input": S, "activation": S}
    assert stacked(probe) == [(phase, held) for phase, held in zip(
        ["forward"] * 4 + ["release"], [{}, both, both, {}, {}], strict=True)]  # fmt: skip


def test_a_workload_that_fails_leaves_a_probe_that_can_be_ended(ledger):
    def fail():
        square(Variable(array()))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ledger(fail)
    assert not events.listeners


def test_off_it_hears_nothing_and_after_the_end_it_watches_nothing(position):
    probe = PROBE(position)
    square(Variable(array()))
    assert probe.lives() == ()
    probe.start()
    y = square(Variable(array()))
    finish(probe)
    died = probe.lives()[-1].died
    del y
    assert probe.lives()[-1].died is died is None


# Against what numpy allocates.


def chain(k, retain_grad, n=N, dtype=np.float64):
    x = y = Variable(array(n, dtype))
    for _ in range(k):
        y = square(y)
    y.backward(retain_grad=retain_grad)
    return x, y


@pytest.mark.parametrize("retain_grad", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [N, 100_000])
def test_a_peak_inside_a_square_is_higher_by_its_temporary(both, retain_grad, dtype, n):
    """By `x + x` beside the gradient; from 256 KiB on numpy reuses its memory, and nothing is missing."""
    found = both(lambda: chain(6, retain_grad, n, dtype))
    size = np.dtype(dtype).itemsize
    arrays = 14 if retain_grad else 9
    assert found["ledger_peak_bytes"] == arrays * n * size
    assert found["peak_traced_bytes"] - found["ledger_peak_bytes"] == (n * size if n == N else 0)
    for moment in ("end", "dropped", "collected"):
        assert found[f"ledger_{moment}_bytes"] == found[f"{moment}_traced_bytes"]


def book_loop(iterations=30, **settings):
    def workload():
        with using_config(**settings):
            for _ in range(iterations):
                x = Variable(array())
                y = square(square(square(x)))  # noqa: F841

    return workload


def diamonds():
    x = y = Variable(array())
    for _ in range(4):
        a = add(y, y)
        y = mul(a, y)
    y.backward()
    return x, y


def views():
    x = Variable(array())
    y = add(transpose(reshape(x, (10, N // 10))), 1.0)
    z = mul(reshape(y, N), broadcast_to(Variable(array(1)), (N,)))
    z.backward(retain_grad=True)
    return x, z


def shared_leaf():
    w, x = Variable(array().reshape(10, -1)), Variable(array().reshape(-1, 10))
    y = add(matmul(w, x), matmul(w, mul(x, x))).sum()
    y.backward()
    y = matmul(w, x).mean()
    y.backward()
    return w, x, y


class Halves(Function):
    def forward(self, x):
        return x[: N // 2].copy(), x[N // 2 :].copy()

    def backward(self, gy0, gy1):
        return np.concatenate([gy0, gy1])


def several_outputs():
    x = Variable(array())
    a, b = Halves()(x)
    del b
    y = mul(a, a)
    y.backward()
    return x, y


def lifo():
    with using_config(traversal="lifo", retain_grad=True):
        return diamonds()


def without_graph():
    with no_grad():
        y = Variable(array())
        for _ in range(5):
            y = mul(y, y)
        return y


@pytest.mark.parametrize(
    "workload",
    {
        "weak loop": book_loop(),
        "strong loop": book_loop(references="strong"),
        "loop without a graph": book_loop(enable_backprop=False),
        "diamonds": diamonds,
        "views": views,
        "shared leaf": shared_leaf,
        "several outputs": several_outputs,
        "last in first out": lifo,
        "without a graph": without_graph,
    }.items(),
    ids=lambda item: item[0],
)
def test_where_no_operation_has_temporaries_it_agrees_with_what_is_traced(both, no_collector, workload):
    _, run = workload
    found = both(run)
    assert found["ledger_peak_bytes"] == found["peak_traced_bytes"] > 0
    for moment in ("end", "dropped", "collected"):
        assert found[f"ledger_{moment}_bytes"] == found[f"{moment}_traced_bytes"]


# In trials, as an experiment asks for them.

LOOP = """
for _ in trial.steps({iterations}):
    x = Variable(trial.rng.standard_normal({n}))
    y = square(square(square(x)))
"""


def trials(measured, body, **settings):
    """Return the metrics of a trial of the measure "ledger" and of one of the measure "traced"."""
    lines = body.format(**settings)
    return [measured(lines, measure).metrics for measure in ("ledger", "traced")]


def test_in_a_trial_the_loop_of_the_book_needs_eight_arrays(measured):
    ledger, traced = trials(measured, LOOP, iterations=30, n=10_000)
    assert ledger["ledger_peak_bytes"] == traced["peak_traced_bytes"] == 8 * 80_000
    assert ledger["ledger_activation_at_peak_bytes"] == 6 * 80_000
    assert ledger["ledger_end_bytes"] == traced["end_traced_bytes"] == 0
    assert ledger["calls_count"] == 90


STRONG_LOOP = """
import gc
from toolkit import using_config
{collector}
with using_config(references="strong"):
""" + LOOP.replace("\n", "\n    ")


def test_in_a_trial_strong_references_hold_every_array_until_they_are_collected(measured):
    ledger, traced = trials(measured, STRONG_LOOP, iterations=30, n=10_000, collector="gc.disable()")
    for moment, arrays in (("end", 120), ("dropped", 120), ("collected", 0)):
        assert ledger[f"ledger_{moment}_bytes"] == traced[f"{moment}_traced_bytes"] == arrays * 80_000
    assert ledger["ledger_peak_bytes"] == traced["peak_traced_bytes"] == 120 * 80_000


def test_it_makes_the_collector_run_more_often_where_arrays_wait_for_it(measured):
    ledger, traced = trials(measured, STRONG_LOOP, iterations=600, n=10, collector="")
    assert ledger["gc_collections_count"] > traced["gc_collections_count"] > 0
    # So less piles up than without it: such a peak is the ledger's own.
    assert ledger["ledger_peak_bytes"] < traced["peak_traced_bytes"]


def test_it_leaves_the_collector_alone_where_arrays_are_freed_at_once(measured):
    ledger, traced = trials(measured, LOOP, iterations=600, n=10)
    assert ledger["gc_collections_count"] == traced["gc_collections_count"] == 0
    assert ledger["ledger_peak_bytes"] == traced["peak_traced_bytes"] == 8 * 80


@pytest.mark.parametrize("retain_grad", [False, True])
def test_in_a_trial_a_chain_of_large_squares_lacks_nothing(measured, retain_grad):
    body = """
    x = y = Variable(trial.rng.standard_normal(100_000))
    for _ in range(16):
        y = square(y)
    y.backward(retain_grad={retain_grad})
    return x, y
    """
    ledger, traced = trials(measured, body, retain_grad=retain_grad)
    arrays = 34 if retain_grad else 19
    assert ledger["ledger_peak_bytes"] == ledger["ledger_backward_peak_bytes"] == arrays * 800_000
    assert ledger["ledger_forward_peak_bytes"] == 17 * 800_000
    assert ledger["ledger_gradient_at_peak_bytes"] == (arrays - 17) * 800_000
    assert traced["peak_traced_bytes"] == ledger["ledger_peak_bytes"]
    assert ledger["ledger_end_bytes"] == traced["end_traced_bytes"]
