"""Which probes take part in a measure: every module of the folder `probes` says it of itself.

The child of a trial is told the names of its probes and imports no others: some need libraries that disturb.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import toolkit.probes
from toolkit.probes import Watcher

__all__ = ["modules", "probe_details", "probe_metrics", "probe_names", "probes_of", "watchers_of"]


@cache
def modules() -> Mapping[str, ModuleType]:
    """Return the modules of the folder by name: each is a probe or a watcher."""
    names = sorted(module.name for module in iter_modules(toolkit.probes.__path__))
    return {name: import_module(f"toolkit.probes.{name}") for name in names if not name.startswith("_")}


@cache
def probe_names() -> tuple[str, ...]:
    """Return the names of all probes, without an import of any: in a trial some of them would disturb."""
    files = sorted(script for folder in toolkit.probes.__path__ for script in Path(folder).glob("[!_]*.py"))
    return tuple(
        file.stem for file in files if re.search(r"^PROBE = ", file.read_text(encoding="utf-8"), re.MULTILINE)
    )


def probes_of(measure: str) -> tuple[str, ...]:
    """Return the names of the probes that run in a trial of this measure, in the order in which they start."""
    names = (name for name in _taking_part(measure) if hasattr(modules()[name], "PROBE"))
    return tuple(sorted(names, key=lambda name: (modules()[name].RANK, name)))


def watchers_of(measure: str) -> dict[str, Watcher]:
    """Return a new watcher of each kind that looks at a trial of this measure from outside, by name."""
    return {
        name: modules()[name].WATCHER()
        for name in _taking_part(measure)
        if hasattr(modules()[name], "WATCHER")
    }


def probe_metrics() -> frozenset[str]:
    """Return the names of the metrics of every probe, whatever the measure."""
    return frozenset(name for module in modules().values() for name in getattr(module, "METRICS", ()))


def probe_details() -> frozenset[str]:
    """Return the names of those metrics of probes that tables of the report leave to the store."""
    return frozenset(name for module in modules().values() for name in getattr(module, "DETAILS", ()))


def _taking_part(measure: str) -> Iterator[str]:
    return (name for name, module in modules().items() if measure in getattr(module, "MEASURES", ()))
