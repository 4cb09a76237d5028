"""From a figure to the bytes of its files. The same figure gives the same bytes."""

import io
import re
import xml.etree.ElementTree as ET

from toolkit.report import Figure, Picture, style
from toolkit.report.names import legible

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_PIXELS_PER_INCH = 144
_COLOR = re.compile("|".join(style.ON_DARK))
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def picture(figure: Figure, stem: str) -> Picture:
    """Draw a figure.

    Parameters
    ----------
    figure : Figure
    stem : str
        The name of its files without ending, unique in the report; ids in the SVG begin with it.

    Raises
    ------
    Exception
        Whatever the figure's `draw` raises.
    """
    title, caption, alt = legible(figure.title), legible(figure.caption), legible(figure.alt)
    if figure.draw is None:
        return Picture(stem=stem, title=title, caption=caption, alt=alt)
    svg, png, inline = io.StringIO(), io.BytesIO(), io.StringIO()
    with style.applied(stem):
        drawing = figure.draw()
        drawing.savefig(png, format="png", dpi=_PIXELS_PER_INCH, metadata={"Software": None})
        # The layout is the same for both files; to find it is the most costly part of drawing.
        layout = drawing.get_layout_engine()
        drawing.set_layout_engine(None)
        drawing.savefig(svg, format="svg")
        drawing.set_layout_engine(layout)
        # On a page the title is text, which breaks into lines where the page is narrow.
        drawing.suptitle("")
        drawing.savefig(inline, format="svg")
    whole, part = (_described(one.getvalue(), stem, title, alt) for one in (svg, inline))
    _adapt_to_page(part)
    return Picture(
        stem=stem,
        title=title,
        caption=caption,
        alt=alt,
        svg=f'<?xml version="1.0" encoding="utf-8"?>\n{_text(whole)}\n',
        inline_svg=_text(part),
        png=png.getvalue(),
    )


def color_variable(color: str) -> str:
    """Return the name of the CSS variable by which a page can replace a colour of the style."""
    return f"--figure-{color.removeprefix('#')}"


def _text(root: ET.Element) -> str:
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    return ET.tostring(root, encoding="unicode")


def _described(svg: str, stem: str, title: str, alt: str) -> ET.Element:
    root = ET.fromstring(svg)
    # Dates and versions, which differ from one rendering to the next.
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for place, (tag, words) in enumerate((("title", title), ("desc", alt))):
        element = ET.Element(f"{{{_SVG}}}{tag}", {"id": tag})
        element.text = words
        root.insert(place, element)
    _prefix_ids(root, stem)
    root.set("role", "img")
    root.set("aria-labelledby", _id(stem, "title"))
    root.set("aria-describedby", _id(stem, "desc"))
    return root


def _prefix_ids(root: ET.Element, stem: str) -> None:
    # Ids hold for a whole page, and matplotlib gives every figure the same ones.
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, _id(stem, value))
            elif name in ("href", f"{{{_XLINK}}}href") and value.startswith("#"):
                element.set(name, f"#{_id(stem, value[1:])}")
            elif "url(#" in value:
                element.set(name, _REFERENCE.sub(lambda found: f"url(#{_id(stem, found[1])})", value))


def _id(stem: str, name: str) -> str:
    # No stem holds two dashes in a row: an id of one figure is never that of another figure or section.
    return f"{stem}--{name}"


def _adapt_to_page(root: ET.Element) -> None:
    """Let the page decide on width and colours, and the figure not on the page."""
    for definitions in root.findall(f"{{{_SVG}}}defs"):
        if definitions.find(f"{{{_SVG}}}style") is not None:
            root.remove(definitions)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    for element in root.iter():
        # A variable is understood in a style alone, not in an attribute of its own.
        for name in ("fill", "stroke"):
            if element.get(name) in style.ON_DARK:
                element.set(
                    "style", f"{element.get('style', '')}; {name}: {element.attrib.pop(name)}".lstrip("; ")
                )
        if "style" in element.attrib:
            element.set("style", _COLOR.sub(_replaceable, element.attrib["style"]))


def _replaceable(color: re.Match[str]) -> str:
    return f"var({color_variable(color[0])}, {color[0]})"
