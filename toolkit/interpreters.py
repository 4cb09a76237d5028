"""The other interpreters of this machine, made ready for trials: make runs this before every experiment.

A trial needs numpy and nothing else, so each gets a virtual environment with the numpy of the lock file, in the
folder where `toolkit.trials.environment` looks for it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from toolkit._interrupting import INTERRUPTED
from toolkit.trials.environment import made_interpreter, obstacle_to_trials
from toolkit.trials.levels import PYTHONS, THIS_PYTHON

__all__ = ["candidates", "main", "prepare", "requirement"]

#: Of PyPI; on other systems than Linux the resident set is read through psutil.
_PACKAGES = ("numpy",) if sys.platform == "linux" else ("numpy", "psutil")
_LONGEST_SECONDS = 300


def main(lock_path: str) -> None:
    """Prepare every version that trials compare and that is here; say which of those that are here cannot be."""
    lock = Path(lock_path).read_text(encoding="utf-8")
    pinned = "".join(requirement(lock, package) for package in _PACKAGES)
    for version in PYTHONS:
        if version != THIS_PYTHON and (told := prepare(version, pinned)):
            print(told, flush=True)


def requirement(lock: str, package: str) -> str:
    """Return the lines of a lock file that pin `package`, with its hashes."""
    found = re.search(rf"^{re.escape(package)}==.*\n(?:[ #].*\n)*", lock, re.MULTILINE)
    if found is None:
        raise ValueError(f"the lock file does not pin {package}")
    return found[0]


def prepare(version: str, pinned: str) -> str:
    """Make an environment with the `pinned` packages from an interpreter of that version, unless it is there.

    Returns
    -------
    str
        A line that says what was done, or why it could not be; empty where nothing was to do, because the
        environment is sound or there is no such interpreter.
    """
    python = made_interpreter(version)
    folder = python.parents[1]
    works, mark = not obstacle_to_trials(str(python)), folder / "pinned"
    if works and mark.is_file() and mark.read_text(encoding="utf-8") == pinned:
        return ""
    if not works:
        shutil.rmtree(folder, ignore_errors=True)
    base = next((path for path in candidates(version) if _runs(path, version)), None)
    if base is None:
        return ""
    aside = folder.with_name(f"{version}.new")
    try:
        if problem := _make(base, aside / python.relative_to(folder), pinned):
            what = "keeps the packages that it had" if works else "is left out of the trials"
            return f"Python {version} ({base}) {what}: {problem}"
        (aside / mark.name).write_text(pinned, encoding="utf-8")
        # An environment that works goes only now that there is another.
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        # Cached answers are of the environments that were there before.
        obstacle_to_trials.cache_clear()
    return f"Trials can run in Python {version} ({base}) as well."


def candidates(version: str) -> Iterator[str]:
    """Yield the programs on the PATH, and those of pyenv, that say that they are Python of that version."""
    name = f"python{version}"
    for folder in os.get_exec_path():
        if found := shutil.which(name, path=folder):
            yield found
    # The commands that pyenv puts on the PATH refuse to run all versions but the chosen ones.
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/{name}"), reverse=True))


def _runs(path: str, version: str) -> bool:
    program = (
        "import sys, venv; "
        "print(sys.implementation.name, *sys.version_info[:2], getattr(sys, '_is_gil_enabled', lambda: True)())"
    )
    try:
        return _call([path, "-I", "-c", program]).stdout.split() == [
            "cpython",
            *version.split("."),
            "True",
        ]
    except (OSError, subprocess.TimeoutExpired):
        return False


def _make(base: str, python: Path, pinned: str) -> str:
    """Make the environment anew; return the last line of what went wrong."""
    shutil.rmtree(python.parents[1], ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text(pinned, encoding="utf-8")
        # This environment's pip installs for the other one, which needs none of its own.
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install"]
        locked = ["-qq", "--require-hashes", "--only-binary", ":all:", "-r", str(wanted)]
        for command in (
            [base, "-m", "venv", "--without-pip", str(python.parents[1])],
            [*pip, *locked],
        ):
            try:
                answer = _call(command)
            except (OSError, subprocess.TimeoutExpired) as problem:
                return str(problem).splitlines()[0]
            if answer.returncode:
                return ((answer.stderr or answer.stdout).strip().splitlines() or ["it fails"])[-1]
    return obstacle_to_trials(str(python))


def _call(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=_LONGEST_SECONDS,
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
