"""The seal around every test: each thing that a test may leave behind is noticed, and put back."""

import subprocess
import sys
from pathlib import Path

LEAKS = {
    "Config": "toolkit.core.config._current.set(toolkit.Config(references='strong'))",
    "listeners": "toolkit.core.events.listeners = (toolkit.core.events.Listener(),)",
    "gc.isenabled": "gc.disable()",
    "gc.get_threshold": "gc.set_threshold(5, 5, 5)",
    "gc.callbacks": "gc.callbacks.append(print)",
    "gc.get_freeze_count": "gc.freeze()",
    "tracemalloc.is_tracing": "tracemalloc.start()",
}


def test_a_leak_fails_its_test_and_no_other(tmp_path):
    source = ["import gc, tracemalloc", "import toolkit", ""]
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
