"""The page: one file that needs neither a network nor a script."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from toolkit.analysis.statistics import Estimate
from toolkit.report import Document, Value
from toolkit.report.drawing import color_variable
from toolkit.report.names import visible
from toolkit.report.style import ON_DARK
from toolkit.report.units import text

TEMPLATES = Path(__file__).parents[1] / "templates"


def render(document: Document) -> dict[str, bytes]:
    """Return the page. Everything that is not a figure of our own drawing is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"text": text, "is_number": _is_number}
    colors = [(color_variable(light), light, dark) for light, dark in ON_DARK.items()]
    page = environment.get_template("page.html").render(document=document, colors=colors)
    return {"index.html": page.encode()}


def _visible(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float | Estimate) and not isinstance(value, bool)
