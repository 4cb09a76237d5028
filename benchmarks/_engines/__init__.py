"""The engines that race: one a file. A file's name is its engine's name, and it alone imports what the engine is.

Each offers the same words, so that a workload is written once and every engine runs it:

- `constant(array)`: the array as an operand without a gradient;
- `add`, `square`, `matmul`, `tanh`, `relu`, `add_row(matrix, row)`, `cross_entropy(scores, classes)`: of operands;
- `gradients(function, *arrays)`: call `function` with a variable for each array, go back from what it returns,
  starting from ones, and return the gradient for each array, as an array;
- `forward(function, *arrays)`: the same without a graph or a way back; returns the result as an array.

`MODES`, where they are there, names the engine's modes beside its plain one: a context manager for each, made anew
every time it is entered. `TRACED` is false of an engine whose arrays are not numpy's: its bytes are not told.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def names() -> list[str]:
    """Return the name of every engine, installed or not."""
    return [module.name for module in iter_modules(__path__)]


@cache
def found() -> dict[str, ModuleType]:
    """Return the core, then those of its peers that are installed, and print what brings the others."""
    engines = {}
    for name in sorted(names(), key=lambda name: name != "core"):
        try:
            engines[name] = import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            print(f"  {name} is left out: {error.name} is not installed (extra [peers])")
    return engines
