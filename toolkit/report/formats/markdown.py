"""The report as Markdown, for readers of a repository."""

import re
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from toolkit.report import Document
from toolkit.report.formats.html import TEMPLATES
from toolkit.report.names import code_apart, in_directions, legible
from toolkit.report.units import text

_SPECIAL = re.compile(r"[\\`*_\[\]{}|~$#]")
#: What would begin a list or underline a heading.
_BEGINNING = re.compile(r"^(?:\d+[.)](?=\s|$)|[-+](?=\s|$)|[-=](?=[-=]*$))")
_ISOLATE, _POP = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"


def render(document: Document) -> dict[str, bytes]:
    """Return the text, with links to the figures and tables beside it. Everything from outside is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        # This format has an escape of its own, which the template calls.
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"md": escaped, "text": text, "fenced": fenced, "code": code_span, "prose": prose}
    return {"report.md": environment.get_template("report.md").render(document=document).encode()}


def escaped(label: Any) -> str:
    """Return a text on one line that Markdown shows as it stands, also within a table."""
    line = " ".join(legible(str(label)).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _SPECIAL.sub(r"\\\g<0>", line)
    if not line.isascii():
        # What is written from right to left is set apart: it would reorder what stands beside it.
        line = "".join(
            f"{_ISOLATE}{part}{_POP}" if from_the_right else part
            for part, from_the_right in in_directions(line)
        )
    return _BEGINNING.sub(lambda begin: f"{begin[0][:-1]}\\{begin[0][-1]}", line)


def prose(label: str) -> str:
    """Return a text of a script, escaped but for what stands between backticks: that stays code."""
    return "".join(f"`{legible(part)}`" if is_code else _inner(part) for part, is_code in code_apart(label))


def _inner(part: str) -> str:
    begin, end = (" " if part[place:][:1].isspace() else "" for place in (0, -1))
    return f"{begin}{escaped(part)}{end}" if part.strip() else begin


def code_span(line: str) -> str:
    """Return a line of a program as code within a cell of a table, indented as it was."""
    line = legible(line).rstrip().expandtabs(4)
    indent = "\N{NO-BREAK SPACE}" * (len(line) - len(line.lstrip(" ")))
    code = line.lstrip(" ").replace("|", "\\|")
    if not code:
        return ""
    fence = "`" * (_longest_run(code) + 1)
    # One space at each end is taken off again, so that a backtick there is none of the fence.
    return f"{indent}{fence} {code} {fence}"


def fenced(code: str) -> str:
    """Return a block of code with a fence that is longer than any run of backticks in it."""
    fence = "`" * max(3, _longest_run(code) + 1)
    return f"{fence}\n{legible(code)}\n{fence}"


def _longest_run(code: str) -> int:
    return max((len(run) for run in re.findall("`+", code)), default=0)
