"""A diagram as SVG that needs nothing from outside, on light and on dark ground."""

import hashlib
import math
from collections.abc import Iterator
from xml.sax.saxutils import escape

from toolkit.retention import Diagram
from toolkit.retention.layout import Box, Layout, Line, Point, Words, layout

#: What is drawn, and its colour by day and by night.
_COLORS = {
    "paper": ("#ffffff", "#171b21"),
    "ink": ("#1f2328", "#e6e9ed"),
    "muted": ("#59636e", "#a3adb8"),
    "strong": ("#0072b2", "#4ea8f0"),
    "weak": ("#b34700", "#ff8a4c"),
    "box": ("#f4f6f8", "#232a33"),
    "root": ("#dff3ea", "#17392d"),
}
_FONT = "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace"
ARROW_LENGTH = 8.0
_ARROW_WIDTH = 3.6


def svg(diagram: Diagram) -> str:
    """Return the drawing of a diagram."""
    placed = layout(diagram)
    body = "".join(_parts(placed))
    # Rules of one drawing must not reach others on the same page.
    name = f"retention-{hashlib.sha256(body.encode()).hexdigest()[:12]}"
    title = escape(" ".join(words.text for words in placed.title))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{name}" role="img" '
        f'viewBox="0 0 {_n(placed.width)} {_n(placed.height)}" '
        f'width="{_n(placed.width)}" height="{_n(placed.height)}">'
        f"<title>{title}</title><style>{_rules(name)}</style>"
        f'<rect class="paper" width="100%" height="100%"/>{body}</svg>'
    )


def _rules(name: str) -> str:
    def colors(which: int) -> str:
        return "".join(f"--{word}:{both[which]};" for word, both in _COLORS.items())

    here = f"#{name}"
    return (
        f"{here}{{{colors(0)}max-width:100%;font-family:{_FONT}}}"
        f"@media(prefers-color-scheme:dark){{{here}{{{colors(1)}}}}}"
        f"{here} .paper{{fill:var(--paper)}}"
        f"{here} text{{fill:var(--ink)}}{here} .small{{fill:var(--muted)}}"
        f"{here} .label{{paint-order:stroke;stroke:var(--paper);stroke-width:3px}}"
        f"{here} .box{{fill:var(--box);stroke:var(--muted)}}{here} .root{{fill:var(--root)}}"
        f"{here} .target{{stroke:var(--ink);stroke-width:2px}}"
        f"{here} .line{{fill:none;stroke-width:1.6px}}"
        f"{here} .strong{{stroke:var(--strong)}}{here} .weak{{stroke:var(--weak);stroke-dasharray:5 4}}"
        f"{here} .head-strong{{fill:var(--strong)}}{here} .head-weak{{fill:var(--weak)}}"
    )


def _parts(placed: Layout) -> Iterator[str]:
    for words in placed.title:
        yield _text(words, "")
    for line in placed.lines:
        yield from _line(line)
    for box in placed.boxes:
        yield _box(box)
    for line in placed.lines:
        if line.words:
            yield _text(line.words, "label")
    for words in placed.notes:
        yield _text(words, "small")


def _line(line: Line) -> Iterator[str]:
    kind = "strong" if line.edge.strong else "weak"
    head = arrow_head(line.points)
    points = " ".join(f"{_n(x)},{_n(y)}" for x, y in (*line.points[:-1], head[-1]))
    yield f'<polyline class="line {kind}" points="{points}"/>'
    yield f'<polygon class="head-{kind}" points="{" ".join(f"{_n(x)},{_n(y)}" for x, y in head[:3])}"/>'


def arrow_head(points: tuple[Point, ...]) -> tuple[Point, Point, Point, Point]:
    """Return the corners of the head at the end of a line, the tip first, and where the line meets it."""
    (x0, y0), (x, y) = points[-2:]
    length = math.hypot(x - x0, y - y0) or 1.0
    across, down = (x - x0) / length, (y - y0) / length
    foot = (x - ARROW_LENGTH * across, y - ARROW_LENGTH * down)
    side = (_ARROW_WIDTH * down, -_ARROW_WIDTH * across)
    return (x, y), (foot[0] + side[0], foot[1] + side[1]), (foot[0] - side[0], foot[1] - side[1]), foot


def _box(box: Box) -> str:
    kinds = [
        "box",
        *(["root"] if box.node.role == "root" else []),
        *(["target"] if not box.node.number else []),
    ]
    words = "".join(_text(one, "" if one.weight == "bold" else "small") for one in box.words)
    return (
        f'<g><rect class="{" ".join(kinds)}" x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}" '
        f'height="{_n(box.height)}" rx="5"/>{words}</g>'
    )


def _text(words: Words, kind: str) -> str:
    bold = ' font-weight="bold"' if words.weight == "bold" else ""
    named = f' class="{kind}"' if kind else ""
    return (
        f'<text{named} x="{_n(words.x)}" y="{_n(words.y)}" font-size="{_n(words.size)}"{bold} '
        f'text-anchor="{words.anchor}" xml:space="preserve">{escape(words.text)}</text>'
    )


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
