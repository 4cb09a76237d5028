"""The script of an experiment, imported: by the child that runs its workload, and by whoever plans and reports."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from toolkit.experiment import Experiment

__all__ = ["load_script"]


def load_script(path: Path) -> Experiment:
    """Import the script at `path` and return its ``EXPERIMENT``.

    Raises
    ------
    TypeError
        When it declares none, or one with the workload of another script.
    """
    # The experiment's functions are found again under this name when a traceback is printed.
    module_spec = spec_from_file_location(f"experiments.{path.stem}", path)
    if module_spec is None or module_spec.loader is None:
        raise TypeError(f"{path} is not a Python file")
    module = module_from_spec(module_spec)
    # What looks for the module of a class finds it here: a dataclass whose annotations are text does.
    sys.modules[module_spec.name] = module
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        # Python takes a script of one size and second for the one that it compiled before; and of trials side by
        # side the first alone would make the folder for bytecode, and find other addresses than the next.
        module_spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    experiment = getattr(module, "EXPERIMENT", None)
    if not isinstance(experiment, Experiment):
        raise TypeError(f"{path} declares no EXPERIMENT = Experiment(...)")
    if experiment.script != path.resolve():
        raise TypeError(f"the workload is defined in {experiment.script} and not in the script itself")
    return experiment
