"""The seal around every test: each thing that a test may leave behind is noticed, and put back."""

import subprocess
import sys
from pathlib import Path

LEAKS = {
    "Config": "toolkit.core.config._current.set(toolkit.Config(references='strong'))",
    "listeners": "toolkit.core.events.listeners = (toolkit.core.events.Listener(),)",
    "gc.isenabled": "gc.disable()",
    "watched outputs": "toolkit.core.events._watched[0] = None",
    "gc.get_threshold": "gc.set_threshold(5, 5, 5)",
    "gc.get_debug": "gc.set_debug(gc.DEBUG_UNCOLLECTABLE)",
    "gc.callbacks": "gc.callbacks.append(print)",
    "gc.get_freeze_count": "gc.freeze()",
    "tracemalloc.is_tracing": "tracemalloc.start()",
    "sys.gettrace": "sys.settrace(lambda *_: None)",
    "Variable.__init__": "toolkit.Variable.__init__ = object.__init__",
    "Function.apply": "toolkit.Function.apply = toolkit.Function.__call__",
    "_Pass.arrive": "toolkit.core.backward._Pass.arrive = None",
}


def test_a_leak_fails_its_test_and_no_other(tmp_path):
    source = ["import gc, sys, tracemalloc", "import toolkit", "import toolkit.core.backward", ""]
    for position, leak in enumerate(LEAKS.values()):
        source += [f"def test_{position}_leaks():", f"    {leak}", f"def test_{position}_rests(): pass", ""]
    (tmp_path / "test_leaks.py").write_text("\n".join(source))
    (tmp_path / "conftest.py").write_text((Path(__file__).parent / "conftest.py").read_text())

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    child = subprocess.run(
        [*command, str(tmp_path)], cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=600
    )

    assert f"{2 * len(LEAKS)} passed, {len(LEAKS)} errors" in child.stdout
    for name in LEAKS:
        assert f"the test leaves behind: {name} = " in child.stdout
