"""Every module of this folder is a family of functions and offers what its `__all__` names."""

import os
from importlib import import_module

__all__ = []

for _file in sorted(os.listdir(os.path.dirname(__file__))):
    if _file.endswith(".py") and _file != "__init__.py":
        _family = import_module(f"{__name__}.{_file[:-3]}")
        for _name in _family.__all__:
            globals()[_name] = getattr(_family, _name)
            __all__.append(_name)
