"""The house: what an import loads, that no import runs in a circle, and that the arrows point one way."""

import ast
import json
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1] / "toolkit"

#: From the ground up: a folder may import those of lower lines, and itself.
FLOORS = [
    {"core"},
    {"nn"},
    {"probes", "engines", "retention"},
    {"trials"},
    {"store", "recording"},
    {"analysis"},
    {"report"},
]

#: The public names, what sees to Ctrl-C before they load, and the declaration of an experiment stand beside the
#: floors above the core. Every other module at the top of the house belongs to the command line, the roof.
BESIDE = {"", "_interrupting", "experiment"}


def _modules():
    for path in sorted(HOUSE.rglob("*.py")):
        parts = path.relative_to(HOUSE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(_modules())


def _imports(name, *, at_import_time):
    """Yield the dotted names that a module imports, but for those in aid of the type checker."""
    path = MODULES[name]
    waiting = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            source = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                whole = f"{source}.{alias.name}"
                yield whole if whole in MODULES else source
        elif not (at_import_time and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            waiting += ast.iter_child_nodes(node)


def _folder(module):
    """The folder or top module of the house that a module is or lies in; None outside of the house."""
    house, _, rest = module.partition(".")
    return rest.partition(".")[0] if house == "toolkit" else None


def test_the_house_is_found():
    assert "toolkit.core.functions.arithmetic" in MODULES


def test_importing_the_toolkit_loads_numpy_and_the_core_and_nothing_else():
    script = (
        "import sys; before = set(sys.modules); import toolkit, json; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", script], text=True, cwd=HOUSE.parent))

    assert "toolkit.core.functions.arithmetic" in loaded
    heavy = {"pandas", "matplotlib", "jinja2", "psutil", "sqlite3", "memory_profiler"}
    assert not heavy & {name.partition(".")[0] for name in loaded}
    outside = {"toolkit", "toolkit._interrupting", "toolkit.core"}
    assert not [
        n
        for n in loaded
        if n.startswith("toolkit") and not n.startswith("toolkit.core.") and n not in outside
    ]
    foreign = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert {name for name in foreign if not name.startswith("_")} <= {"numpy", "toolkit"}


def test_the_core_imports_numpy_alone():
    strangers = {
        (name, target)
        for name in MODULES
        if _folder(name) == "core"
        for target in _imports(name, at_import_time=False)
        if target.partition(".")[0] not in {*sys.stdlib_module_names, "numpy"} and _folder(target) != "core"
    }
    assert not strangers


def test_no_import_runs_in_a_circle():
    graph = {
        name: {target for target in _imports(name, at_import_time=True) if target in MODULES}
        for name in MODULES
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("circle: " + " <- ".join(error.args[1]))


@pytest.mark.parametrize("floor", range(len(FLOORS)), ids=lambda floor: "+".join(sorted(FLOORS[floor])))
def test_the_arrows_point_one_way(floor):
    beside = BESIDE if floor else set()
    for folder in FLOORS[floor]:
        allowed = {folder}.union(beside, *FLOORS[:floor])
        wrong = {
            (name, target)
            for name in MODULES
            if _folder(name) == folder
            for target in _imports(name, at_import_time=False)
            if _folder(target) is not None and _folder(target) not in allowed
        }
        assert not wrong


def test_what_stands_beside_the_floors_needs_no_more_than_trials_when_imported():
    for name in ("toolkit", "toolkit.experiment"):
        needed = {_folder(target) for target in _imports(name, at_import_time=True)} - {None}
        assert needed <= {"core", "trials", *BESIDE}


def test_every_folder_has_its_floor():
    folders = {_folder(name) for name, path in MODULES.items() if path.name == "__init__.py"}
    assert folders - {""} <= set().union(*FLOORS)
