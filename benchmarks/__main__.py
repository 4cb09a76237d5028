"""Run the benchmarks named, or all: `python -m benchmarks [NAME]...`; ends with 4 where a target was missed."""

import sys
from importlib import import_module
from pkgutil import iter_modules
from typing import cast

import benchmarks
from benchmarks import Benchmark


def main(names: list[str]) -> int:
    """Print every reading as it is taken, and return the exit code."""
    known = [module.name for module in iter_modules(benchmarks.__path__) if not module.name.startswith("_")]
    if unknown := sorted(set(names) - set(known)):
        print(f"unknown benchmark {unknown[0]!r}; the benchmarks are {', '.join(known)}", file=sys.stderr)
        return 2
    missed = False
    for name in names or known:
        module = import_module(f"benchmarks.{name}")
        print(f"{name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
        for reading in cast(Benchmark, module).measure():
            print(f"  {reading}", flush=True)
            missed |= not reading.is_met
    return 4 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
