"""The text of the workload, kept beside figures that speak of its lines.

The script may be changed while a trial runs and after it: the text is read when a probe is made, right after
the script was loaded.
"""

import inspect
from types import CodeType

__all__ = ["source_of"]


def source_of(code: CodeType | None) -> dict[str, str | int]:
    """Return the source of a function as conditions, with the number of its first line; nothing if it has none."""
    if code is None:
        return {}
    try:
        lines, first = inspect.getsourcelines(code)
    except OSError:
        return {}
    return {"workload_source": "".join(lines), "workload_first_line": first}
