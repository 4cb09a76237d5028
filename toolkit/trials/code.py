"""Which code a trial runs, as a digest: a trial that is finished runs again when its code has changed."""

import ast
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from toolkit.experiment import Experiment

__all__ = ["code_digest", "toolkit_changed"]

_PACKAGE = Path(__file__).resolve().parents[1]
#: What runs in the child or watches over it, or makes the prediction that is stored with its outcome.
_RUN_IN_TRIALS = (
    "__init__.py",
    "_interrupting.py",
    "experiment.py",
    "theory.py",
    "core/**/*.py",
    "nn/*.py",
    "probes/*.py",
    "engines/*.py",
    "trials/*.py",
    "analysis/predictions.py",
    "analysis/counting.py",
    "analysis/gap_model.py",
    "analysis/rehearsal.py",
    "analysis/simulated_loop.py",
    "analysis/simulation/*.py",
)

#: Of these what says where and when trials run, and how often again: nothing that a figure passes through knows it.
_RUN_AROUND_TRIALS = {
    f"trials/{name}.py"
    for name in ("cluster", "code", "executors", "host", "local", "retrying", "turns", "worker")
}


def code_digest(experiment: Experiment) -> str:
    """Return the SHA-256, in hexadecimal, of the code that a trial of `experiment` runs.

    That is the toolkit's own code for trials, and of the script whatever its workload and its prediction reach
    by name. How the script draws, what it says of its results and which levels it declares are left out.
    Modules that the script imports from elsewhere do not count.
    """
    functions = [experiment.workload] + ([experiment.predict] if experiment.predict else [])
    roots = [getattr(function, "__name__", "") for function in functions]
    source = experiment.script.read_text(encoding="utf-8")
    return hashlib.sha256((_toolkit_digest() + reachable_source(source, roots)).encode()).hexdigest()


def toolkit_changed() -> bool:
    """Return whether the toolkit's files are others than when `code_digest` was asked for first."""
    return _toolkit_digest() != _toolkit_digest.__wrapped__()


@cache
def _toolkit_digest() -> str:
    digest = hashlib.sha256()
    for path in _toolkit_files():
        digest.update(f"{path.relative_to(_PACKAGE).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _toolkit_files() -> list[Path]:
    around = {_PACKAGE / name for name in _RUN_AROUND_TRIALS}
    return [
        path for pattern in _RUN_IN_TRIALS for path in sorted(_PACKAGE.glob(pattern)) if path not in around
    ]


def reachable_source(source: str, roots: Iterable[str]) -> str:
    """Return the statements of a module that the definitions named `roots` reach, in order.

    Statements that define no name of their own are reached by every call. The whole source is returned where a
    root is not defined in it.
    """
    statements = ast.parse(source).body
    by_name: defaultdict[str, list[ast.stmt]] = defaultdict(list)
    for statement in statements:
        for name in _defined(statement):
            by_name[name].append(statement)
    roots = list(roots)
    if any(name not in by_name for name in roots):
        return source
    waiting = [one for one in statements if not (_defined(one) or _is_docstring(one) or _is_for_scripts(one))]
    waiting += [statement for name in roots for statement in by_name[name]]
    reached: set[int] = set()
    while waiting:
        statement = waiting.pop()
        if id(statement) not in reached:
            reached.add(id(statement))
            waiting += [one for name in _mentioned(statement) for one in by_name.get(name, ())]
    lines = source.splitlines()
    return "\n".join(
        "\n".join(lines[_first_line(statement) - 1 : statement.end_lineno])
        for statement in statements
        if id(statement) in reached
    )


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        names = [(alias.asname or alias.name).partition(".")[0] for alias in statement.names]
        # Which names a star brings is not to be seen here.
        return [] if names == ["*"] else names
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    # `settings.width = 1` defines no name: it changes what one stands for.
    return [
        node.id
        for target in targets
        for node in ast.walk(target)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]


def _mentioned(statement: ast.stmt) -> list[str]:
    return [node.id for node in ast.walk(statement) if isinstance(node, ast.Name)]


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_for_scripts(statement: ast.stmt) -> bool:
    """Whether it is ``if __name__ == "__main__":``, which a trial passes by."""
    test = statement.test if isinstance(statement, ast.If) else None
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])
