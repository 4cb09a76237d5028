"""The page: one file that needs neither a network nor a script."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from toolkit.analysis.statistics import Estimate
from toolkit.report import Document, Value
from toolkit.report.drawing import color_variable
from toolkit.report.names import code_apart, in_directions, legible
from toolkit.report.style import ON_DARK
from toolkit.report.units import text

TEMPLATES = Path(__file__).parents[1] / "templates"


def render(document: Document) -> dict[str, bytes]:
    """Return the page. Everything that is not a figure of our own drawing is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"text": text, "is_number": _is_number, "plain": _plain, "prose": _prose}
    colors = [(color_variable(light), light, dark) for light, dark in ON_DARK.items()]
    page = environment.get_template("page.html").render(document=document, colors=colors)
    return {"index.html": page.encode()}


def _shown(value: Any) -> Any:
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if value.isascii():
        return legible(value)
    # What is written from right to left is set apart: it would reorder what stands beside it.
    return Markup("").join(
        Markup("<bdi>{}</bdi>").format(part) if from_the_right else part
        for part, from_the_right in in_directions(legible(value))
    )


def _prose(value: str) -> Markup:
    """Return a text of a script with what stands between backticks as code."""
    return Markup("").join(
        Markup("<code>{}</code>").format(_shown(part)) if is_code else _shown(part)
        for part, is_code in code_apart(value)
    )


def _plain(value: str) -> Markup:
    """Return a text as an attribute or a title can have it, which hold no elements."""
    return escape(legible(value))


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float | Estimate) and not isinstance(value, bool)
