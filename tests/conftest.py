"""Seals every test: what it changes for the whole process, it puts back, or it fails and the rest is safe."""

import gc
import signal
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import HealthCheck, settings

from toolkit.core import config, events
from toolkit.core.backward import _Pass
from toolkit.core.function import Function
from toolkit.core.variable import Variable
from toolkit.trials import turns

# The same examples everywhere, and however long they take: a busy machine fails no test.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


#: Alive throughout: frozen and not thawed, it would be hidden.
_SEEN: list[object] = []
#: What recordings and listings put others in the place of: see `toolkit.recording.hearing`.
_WRAPPED = [
    *((Variable, name) for name in ("__init__", "backward", "data", "grad", "unchain")),
    *((Function, name) for name in ("_save", "apply")),
    *((_Pass, name) for name in ("__init__", "_step", "arrive")),
]


def _process_state():
    return {
        "Config": config.current_config(),
        "listeners": events.listeners,
        "watched outputs": dict(events._watched),
        "gc.isenabled": gc.isenabled(),
        "gc.get_threshold": gc.get_threshold(),
        "gc.get_debug": gc.get_debug(),
        # Hypothesis times the collector with a callback of its own, which it leaves there for good.
        "gc.callbacks": [one for one in gc.callbacks if not _is_of_hypothesis(one)],
        "gc.get_freeze_count": gc.get_freeze_count(),
        "tracemalloc.is_tracing": tracemalloc.is_tracing(),
        "sys.gettrace": sys.gettrace(),
        **{f"{owner.__name__}.{name}": owner.__dict__[name] for owner, name in _WRAPPED},
    }


def _is_of_hypothesis(callback):
    return (getattr(callback, "__module__", None) or "").startswith("hypothesis")


def _restore(state):
    config._current.set(state["Config"])
    events.listeners = state["listeners"]
    events._watched.clear()
    events._watched.update(state["watched outputs"])
    (gc.enable if state["gc.isenabled"] else gc.disable)()
    gc.set_threshold(*state["gc.get_threshold"])
    gc.set_debug(state["gc.get_debug"])
    gc.callbacks[:] = state["gc.callbacks"] + [one for one in gc.callbacks if _is_of_hypothesis(one)]
    if gc.get_freeze_count() != state["gc.get_freeze_count"]:
        gc.unfreeze()
    sys.settrace(state["sys.gettrace"])
    for owner, name in _WRAPPED:
        setattr(owner, name, state[f"{owner.__name__}.{name}"])
    (tracemalloc.start if state["tracemalloc.is_tracing"] else tracemalloc.stop)()


@pytest.fixture(autouse=True)
def sealed():
    before = _process_state()
    yield
    after = _process_state()
    leaked = [name for name in before if before[name] != after[name]]
    # Python 3.12 by itself freezes what is immortal whenever it collects all, and gc.unfreeze thaws that as well.
    if "gc.get_freeze_count" in leaked and any(one is _SEEN for one in gc.get_objects()):
        leaked.remove("gc.get_freeze_count")
    if leaked:
        _restore(before)
        pytest.fail("the test leaves behind: " + ", ".join(f"{name} = {after[name]}" for name in leaked))


@pytest.fixture(autouse=True, scope="session")
def own_turns(tmp_path_factory):
    """Let tests, and what they start, wait for no run outside of them."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("turns")
        patch.setattr(turns, "_PLACE", place)
        patch.setenv("TOOLKIT_TURNS", str(place))
        yield


@pytest.fixture(autouse=True, scope="session")
def ended_when_asked():
    """Let signals reach what is started here: shells start what runs in the background deaf to some."""
    numbers = (signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        if before[number] == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    yield
    for number in numbers:
        signal.signal(number, before[number])


@pytest.fixture
def quick_collections():
    """Leave all that the test session holds out of collections: a test that makes many looks at its own alone."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def own_mounts():
    """Return what begins a command that sees file systems of its own, which it may mount, full or read-only ones.

    By a user namespace, or, where those are switched off, by being root.
    """
    reasons = []
    for begin in (["unshare", "--mount", "--map-root-user"], ["unshare", "--mount"]):
        try:
            subprocess.run(
                [*begin, "mount", "-t", "tmpfs", "none", "/mnt"], check=True, capture_output=True, text=True
            )
        except (OSError, subprocess.CalledProcessError) as problem:
            reasons.append(str(getattr(problem, "stderr", problem)).strip())
            continue
        return begin
    pytest.skip(
        f"NOT TESTED, for want of the right to mount: a full or read-only disk ({'; '.join(reasons)})"
    )


@pytest.fixture
def lacking(request):
    """Skip what is asked of an experiment, by `name`, for which a package is missing here."""
    # Here, and not for every session: explanations look through all that is loaded.
    from toolkit.planning import load_experiment, skipped_levels

    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    if name and (reason := skipped_levels(load_experiment(name)).get("all trials")):
        pytest.skip(f"{name}: {reason}")


@pytest.fixture
def make_row():
    """Return a function that makes a row of a store, of a trial that ended well unless told otherwise."""
    # Here, and not for every session: explanations look through all that is loaded.
    from toolkit.store import Row

    count = 0

    def row(
        factors, metrics, *, measure="resident", status="ok", constants=None, conditions=None, replicate=0
    ):
        nonlocal count
        count += 1
        return Row(
            key=f"key{count}",
            run=1,
            experiment="loop",
            measure=measure,
            replicate=replicate,
            seed=0,
            status=status,
            exit_code=0,
            message="",
            factors=factors,
            constants=constants or {},
            metrics=metrics,
            conditions=conditions or {},
            code_digest="",
            started_at=float(count),
            elapsed_seconds=1.0,
        )

    return row
