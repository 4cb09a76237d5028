"""The memory bench for autograd engines: the book's vocabulary; lazily, what runs, loads and explains."""

from typing import TYPE_CHECKING, Any

from toolkit import _interrupting  # noqa: F401  # before anything is loaded
from toolkit.core import functions
from toolkit.core.backward import gradients
from toolkit.core.binomial import checkpoint_binomial
from toolkit.core.buffers import release_buffers
from toolkit.core.checking import check_gradient
from toolkit.core.checkpointing import checkpoint, checkpoint_every
from toolkit.core.config import Config, current_config, no_grad, using_config
from toolkit.core.function import Function
from toolkit.core.functions import *  # noqa: F403  # the folder is the registry
from toolkit.core.variable import Variable, as_array, as_variable

if TYPE_CHECKING:
    from toolkit.experiment import Experiment
    from toolkit.retention.explain import explain
    from toolkit.retention.graph import draw_graph
    from toolkit.store.read import load

__all__ = [
    "Config",
    "Experiment",
    "Function",
    "Variable",
    "as_array",
    "as_variable",
    "check_gradient",
    "checkpoint",
    "checkpoint_binomial",
    "checkpoint_every",
    "current_config",
    "draw_graph",
    "explain",
    "gradients",
    "load",
    "no_grad",
    "release_buffers",
    "using_config",
]
__all__ += functions.__all__

__version__ = "0.1.0"

_LAZY = {
    "Experiment": "toolkit.experiment",
    "draw_graph": "toolkit.retention.graph",
    "explain": "toolkit.retention.explain",
    "load": "toolkit.store.read",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
