"""The environment of a trial: its interpreter, its variables, its address space."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from toolkit.trials import Level, Measure
from toolkit.trials.allocating import malloc_variables
from toolkit.trials.levels import THIS_PYTHON

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_PACKAGE_PARENT = Path(__file__).resolve().parents[2]


def variables(measure: Measure, levels: Mapping[str, Level]) -> dict[str, str]:
    """Return the environment variables of a trial.

    A timed trial gets the plain environment, but one thread: those of BLAS wait for each other at work, so that
    with a busy neighbour the same training takes 0.6 to 14 s in two of them, and 0.2 to 0.4 s in one. A trial that
    measures memory gets one thread, fixed malloc thresholds and a fixed hash seed. The factor `malloc` overrules
    the choice of allocator.
    """
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    if measure == "timed":
        return passed_on | malloc_variables(str(levels.get("malloc", "default"))) | _ONE_THREAD
    malloc = malloc_variables(str(levels.get("malloc", "fixed")))
    return passed_on | malloc | _ONE_THREAD | {"PYTHONHASHSEED": "0"}


def command(measure: Measure, levels: Mapping[str, Level], spec: Path, result: Path) -> list[str]:
    """Return the command that runs the child; memory is measured without address randomisation where allowed."""
    fixed = ["setarch", "-R"] if measure != "timed" and can_fix_addresses() else []
    # Not -I: it would ignore PYTHONHASHSEED. The path is set by hand, so any interpreter with numpy will do.
    # What imports leave is collected at once, before the baseline, where the collector is switched on again.
    start = (
        f"import gc, sys; gc.disable(); sys.path.insert(0, {str(_PACKAGE_PARENT)!r}); "
        f"from toolkit.trials.child import main; main({str(spec)!r}, {str(result)!r})"
    )
    return [*fixed, interpreter(levels), "-s", "-P", "-c", start]


def interpreter(levels: Mapping[str, Level]) -> str:
    """Return the path of the interpreter that the factor `python` asks for.

    That is a path, a name on the PATH, "this", or a version such as "3.12": this interpreter where it has that
    version, else the one that the set-up has made for trials, else ``python3.12`` on the PATH.

    Raises
    ------
    FileNotFoundError
        When there is no such program.
    """
    asked = str(levels.get("python", "this"))
    if asked in ("this", THIS_PYTHON):
        return sys.executable
    if is_version(asked):
        made = made_interpreter(asked)
        asked = str(made) if os.access(made, os.X_OK) else f"python{asked}"
    found = shutil.which(asked)
    if found is None:
        raise FileNotFoundError(f"no interpreter {asked!r} on the PATH")
    return found


def is_version(level: Level) -> bool:
    """Whether a level of the factor `python` asks for a version, whichever program that is."""
    return re.fullmatch(r"3\.\d+", str(level)) is not None


def made_interpreter(version: str) -> Path:
    """Return where the set-up puts an interpreter of that version for trials: see `toolkit.interpreters`."""
    return Path(sys.prefix, "pythons", version, "bin", "python")


def obstacle_to_version(version: str) -> str:
    """Return why no trial can run in an interpreter of that version, and what would change that; or nothing."""
    try:
        obstacle = obstacle_to_trials(interpreter({"python": version}))
    except FileNotFoundError as problem:
        obstacle = str(problem)
    return (
        obstacle
        and f"no python{version} with numpy; `make report` adds numpy where Python {version} is installed"
    )


@cache
def obstacle_to_trials(path: str) -> str:
    """Return why trials cannot run in the interpreter at `path`, as the end of a sentence; nothing if they can."""
    if path == sys.executable:
        return ""
    program = "import sys; print(*sys.version_info[:2]); import numpy; print(numpy.__version__)"
    try:
        answer = subprocess.run(
            [path, "-I", "-c", program],
            env=variables("timed", {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "is no Python 3"
    version, numpy = [*answer.stdout.decode(errors="replace").split("\n"), "", ""][:2]
    try:
        major, minor = map(int, version.split())
    except ValueError:
        # Such as a shim whose version is switched off.
        said = answer.stderr.decode(errors="replace").strip().partition("\n")[0]
        return f"is no Python 3; it says {said!r}" if said else "is no Python 3"
    if (major, minor) < (3, 11):
        return f"is Python {major}.{minor}"
    if not numpy:
        return "cannot import numpy"
    return "" if int(numpy.partition(".")[0]) >= 2 else f"has numpy {numpy}"


@cache
def can_import(path: str, library: str) -> bool:
    """Whether the interpreter at `path`, one that can run trials, finds that library as well."""
    program = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({library!r}) is None)"
    asked = subprocess.run(
        [path, "-s", "-P", "-c", program],
        env=variables("timed", {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return asked.returncode == 0


@cache
def can_fix_addresses() -> bool:
    """Whether `setarch -R` is there and allowed, so that every trial finds the same addresses (personality(2))."""
    if shutil.which("setarch") is None:
        return False
    return subprocess.run(["setarch", "-R", "true"], capture_output=True, check=False).returncode == 0
