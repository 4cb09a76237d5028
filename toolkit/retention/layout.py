"""Where the boxes, lines and words of a diagram stand. Whoever draws it only copies the numbers.

Boxes stand in rows. A reference between neighbouring rows is a straight line in the gap between them; every
other one goes around, through the gaps and a lane at the right, so that no line crosses a box.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from toolkit.retention import Diagram, Edge, Node
from toolkit.retention.size import human

#: Of a character in a font of one width, by its size, and from line to line.
CHARACTER_WIDTH = 0.61
FONT_SIZE = 12.0
SMALL_SIZE = 10.5
LINE_HEIGHT = 15.0

_LABEL_CHARACTERS = 34
_BOX_CHARACTERS = 30
_LINE_CHARACTERS = 54
_PADDING = 9.0
_BESIDE = 34.0
_GAP = 46.0
_CHANNEL = 9.0
_MARGIN = 12.0
_PORTS_APART = 26.0

Point: TypeAlias = tuple[float, float]
Anchor: TypeAlias = Literal["start", "end", "middle"]
#: Left, top, right and bottom.
Extent: TypeAlias = tuple[float, float, float, float]


class Words(NamedTuple):
    """A line of text: where its baseline begins, is centred or ends."""

    x: float
    y: float
    text: str
    anchor: Anchor
    size: float
    weight: Literal["bold", "normal"] = "normal"

    @property
    def extent(self) -> Extent:
        """What it covers."""
        width = text_width(self.text, self.size)
        left = self.x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return left, self.y - 0.8 * self.size, left + width, self.y + 0.25 * self.size


@dataclass(frozen=True)
class Box:
    """A node: its rectangle and its words."""

    node: Node
    x: float
    y: float
    width: float
    height: float
    words: tuple[Words, ...]


@dataclass(frozen=True)
class Line:
    """An edge: its corners, from the holder to what it holds, and its label."""

    edge: Edge
    points: tuple[Point, ...]
    words: Words | None


@dataclass(frozen=True)
class Layout:
    """A diagram in place, from (0, 0) at the upper left."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    title: tuple[Words, ...]
    notes: tuple[Words, ...]


def text_width(text: str, size: float) -> float:
    """Return the width of a text in a font of one width, in which some scripts take two characters' room."""
    cells = sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)
    return cells * CHARACTER_WIDTH * size


def legible(text: str) -> str:
    """Return a text cut to what a box holds, with a mark for each character that cannot be seen."""
    if len(text) > _LABEL_CHARACTERS:
        text = f"{text[: _LABEL_CHARACTERS - 1]}…"
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) in ("Cc", "Cf", "Cn", "Co", "Cs") else one
        for one in text
    )


def layout(diagram: Diagram) -> Layout:
    """Return where everything stands."""
    return _Placing(diagram).layout()


def _box_texts(node: Node) -> list[tuple[str, float, Literal["bold", "normal"]]]:
    what = [node.role, *([human(node.size_bytes)] if node.size_bytes else [])]
    name = node.type.rpartition(".")[2]
    kind = [] if not name or node.label.startswith(name) or node.role == "root" else [name]
    texts: list[tuple[str, float, Literal["bold", "normal"]]] = [
        (legible(line), FONT_SIZE, "bold") for line in _wrapped(node.label, _BOX_CHARACTERS)[:2]
    ]
    # The bytes of a variable's arrays are in its role, one by one.
    line = node.role if "data " in node.role else " · ".join([*kind, *what])
    return [*texts, (legible(line), SMALL_SIZE, "normal")]


def _wrapped(text: str, characters: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) >= characters:
            lines.append("")
        lines[-1] = f"{lines[-1]} {legible(word)}".strip(" ")
    return lines


class _Placing:
    def __init__(self, diagram: Diagram) -> None:
        self.diagram = diagram
        self.row_of = {node.number: place for place, row in enumerate(diagram.rows) for node in row}
        self.edges = [e for e in diagram.edges if {e.holder.number, e.held.number} <= self.row_of.keys()]
        self.sizes = {node.number: self._size(node) for row in diagram.rows for node in row}
        self.left: dict[int, float] = {}
        self.top: dict[int, float] = {}

    @staticmethod
    def _size(node: Node) -> tuple[float, float]:
        texts = _box_texts(node)
        width = max(text_width(text, size) for text, size, _ in texts) + 2 * _PADDING
        return width, LINE_HEIGHT * len(texts) + _PADDING

    def layout(self) -> Layout:
        self._put_boxes()
        lines = self._lines()
        boxes = [self._box(node) for row in self.diagram.rows for node in row]
        title = self._paragraph(self.diagram.title, FONT_SIZE, "bold")
        notes = [words for note in self.diagram.notes for words in self._paragraph(note, SMALL_SIZE)]
        corners = [(box.x, box.y) for box in boxes] + [
            (box.x + box.width, box.y + box.height) for box in boxes
        ]
        corners += [point for line in lines for point in line.points]
        for line in lines:
            if line.words:
                left, top, right, bottom = line.words.extent
                corners += [(left, top), (right, bottom)]
        left, top = (min(values) for values in zip(*corners, strict=True))
        right, bottom = (max(values) for values in zip(*corners, strict=True))
        words_right = max([text_width(words.text, words.size) for words in (*title, *notes)], default=0.0)
        down = _MARGIN - top + LINE_HEIGHT * len(title) + (8 if title else 0)
        across = _MARGIN - left
        foot = bottom + down + LINE_HEIGHT
        return Layout(
            width=max(right + across, words_right + _MARGIN) + _MARGIN,
            height=bottom + down + LINE_HEIGHT * len(notes) + _MARGIN,
            boxes=tuple(_moved_box(box, across, down) for box in boxes),
            lines=tuple(_moved_line(line, across, down) for line in lines),
            title=tuple(
                _moved(words, _MARGIN, _MARGIN + FONT_SIZE + LINE_HEIGHT * n) for n, words in enumerate(title)
            ),
            notes=tuple(_moved(words, _MARGIN, foot + LINE_HEIGHT * n) for n, words in enumerate(notes)),
        )

    @staticmethod
    def _paragraph(text: str, size: float, weight: Literal["bold", "normal"] = "normal") -> list[Words]:
        lines = _wrapped(text, _LINE_CHARACTERS) if text else []
        return [Words(0, 0, line, "start", size, weight) for line in lines]

    def _around(self) -> list[int]:
        """Return the edges that are no straight lines."""
        return [place for place, edge in enumerate(self.edges) if abs(self._drop(edge)) != 1]

    def _drop(self, edge: Edge) -> int:
        return self.row_of[edge.held.number] - self.row_of[edge.holder.number]

    def _put_boxes(self) -> None:
        """Stack the rows; in each, the boxes stand below those above that they are tied to, if there is room."""
        channels = [0] * (len(self.diagram.rows) + 1)
        for place in self._around():
            for gap in self._gaps(self.edges[place]):
                channels[gap] += 1
        top = 0.0
        for place, row in enumerate(self.diagram.rows):
            top += _CHANNEL * channels[place] + (_GAP if place else 0)
            self._put_row(row)
            for node in row:
                self.top[node.number] = top
            top += max(self.sizes[node.number][1] for node in row)

    def _put_row(self, row: Sequence[Node]) -> None:
        wanted = {node.number: self._wanted(node) for node in row}
        order = sorted(row, key=lambda node: wanted[node.number])
        edge = None
        for node in order:
            left = wanted[node.number] - self.sizes[node.number][0] / 2
            self.left[node.number] = left if edge is None else max(left, edge + _BESIDE)
            edge = self.left[node.number] + self.sizes[node.number][0]
        off = sum(self._middle(node) - wanted[node.number] for node in row) / len(row)
        for node in row:
            self.left[node.number] -= off

    def _wanted(self, node: Node) -> float:
        tied = [
            self._middle(other)
            for edge in self.edges
            for one, other in ((edge.holder, edge.held), (edge.held, edge.holder))
            if one == node and other.number in self.left
        ]
        return sum(tied) / len(tied) if tied else 0.0

    def _middle(self, node: Node) -> float:
        return self.left[node.number] + self.sizes[node.number][0] / 2

    def _box(self, node: Node) -> Box:
        x, y = self.left[node.number], self.top[node.number]
        width, height = self.sizes[node.number]
        words = [
            Words(
                x + width / 2, y + _PADDING / 2 + LINE_HEIGHT * (place + 0.75), text, "middle", size, weight
            )
            for place, (text, size, weight) in enumerate(_box_texts(node))
        ]
        return Box(node, x, y, width, height, tuple(words))

    def _gaps(self, edge: Edge) -> tuple[int, int]:
        """Return the gaps by which an edge leaves its holder and reaches what it holds, each by the row below."""
        start, end = self.row_of[edge.holder.number], self.row_of[edge.held.number]
        if edge.holder == edge.held:
            return start + 1, start
        if start == end:
            return start + 1, start + 1
        return (start + 1, end) if end > start else (start, end + 1)

    def _ports(self) -> dict[tuple[int, bool], Point]:
        """Return where each edge begins and ends: spread over the sides of the boxes, none crossing at once."""
        sides: dict[tuple[int, bool], list[tuple[float, int, bool]]] = {}
        around = set(self._around())
        for place, edge in enumerate(self.edges):
            gaps = self._gaps(edge)
            for at_holder, one, other, gap in (
                (True, edge.holder, edge.held, gaps[0]),
                (False, edge.held, edge.holder, gaps[1]),
            ):
                below = gap > self.row_of[one.number]
                if place not in around:
                    below = self.row_of[other.number] > self.row_of[one.number]
                towards = float("inf") if place in around else self._middle(other)
                sides.setdefault((one.number, below), []).append((towards, place, at_holder))
        ports = {}
        for (number, below), ends in sides.items():
            x, (width, height) = self.left[number], self.sizes[number]
            for nth, (_, place, at_holder) in enumerate(sorted(ends), 1):
                apart = min(_PORTS_APART, 0.9 * width / len(ends))
                at = x + width / 2 + apart * (nth - (len(ends) + 1) / 2)
                ports[place, at_holder] = (at, self.top[number] + (height if below else 0))
        return ports

    def _lines(self) -> list[Line]:
        ports = self._ports()
        taken = [
            (self.left[n], self.top[n], self.left[n] + w, self.top[n] + h) for n, (w, h) in self.sizes.items()
        ]
        right = max((box[2] for box in taken), default=0.0)
        around = self._around()
        used = [0] * (len(self.diagram.rows) + 1)
        lines = []
        for place, edge in enumerate(self.edges):
            if place in around:
                continue
            points = (ports[place, True], ports[place, False])
            outwards = self._outwards(edge, points, ports)
            words = _beside(edge.label, points, outwards, taken)
            right = max(right, words.extent[2] if words else 0)
            lines.append(Line(edge, points, words))
        for place in around:
            edge = self.edges[place]
            right += 16
            detour = self._detour(ports[place, True], ports[place, False], self._gaps(edge), used, right)
            middle = (detour[2][1] + detour[3][1]) / 2
            words = Words(right + 5, middle + 4, legible(edge.label.strip()), "start", SMALL_SIZE)
            lines.append(Line(edge, detour, words if edge.label.strip() else None))
            right = words.extent[2]
        return lines

    def _outwards(
        self, edge: Edge, points: tuple[Point, Point], ports: dict[tuple[int, bool], Point]
    ) -> Anchor:
        """Return on which side of a straight line no other one runs between the same boxes."""
        middle = points[0][0] + points[1][0]
        for place, other in enumerate(self.edges):
            if (other.holder, other.held) == (edge.held, edge.holder):
                return "end" if middle < ports[place, True][0] + ports[place, False][0] else "start"
        return "start"

    def _detour(
        self, start: Point, end: Point, gaps: tuple[int, int], used: list[int], lane: float
    ) -> tuple[Point, ...]:
        levels = []
        for (_, y), gap in zip((start, end), gaps, strict=True):
            used[gap] += 1
            # The channels of a gap lie above the boxes of the row below it; below the last row there is none.
            if gap < len(self.diagram.rows):
                row_top = self.top[self.diagram.rows[gap][0].number]
                levels.append(
                    row_top - 12 - _CHANNEL * (used[gap] - 1) if gap else y - 12 - _CHANNEL * (used[gap] - 1)
                )
            else:
                levels.append(y + 12 + _CHANNEL * (used[gap] - 1))
        return start, (start[0], levels[0]), (lane, levels[0]), (lane, levels[1]), (end[0], levels[1]), end


def _beside(label: str, points: tuple[Point, Point], outwards: Anchor, taken: list[Extent]) -> Words | None:
    """Put a label beside a straight line, where it covers no other; what it takes is added to `taken`."""
    text = legible(label.strip())
    if not text:
        return None
    (x0, y0), (x1, y1) = points
    # A flat line runs past the words at the height of their ends.
    away = 6 + min(14.0, 5 * abs((x1 - x0) / ((y1 - y0) or 1)))
    places: list[Words] = []
    for part in (0.5, 0.36, 0.64, 0.24, 0.76):
        x, y = x0 + (x1 - x0) * part, y0 + (y1 - y0) * part + 4
        places.append(Words(x + (away if outwards == "start" else -away), y, text, outwards, SMALL_SIZE))
    best = next((one for one in places if not _covers(one.extent, taken)), places[0])
    taken.append(best.extent)
    return best


def _covers(extent: Extent, taken: Iterable[Extent]) -> bool:
    left, top, right, bottom = extent
    return any(left < one[2] and one[0] < right and top < one[3] and one[1] < bottom for one in taken)


def _moved(words: Words, x: float, y: float) -> Words:
    return words._replace(x=words.x + x, y=words.y + y)


def _moved_box(box: Box, x: float, y: float) -> Box:
    words = tuple(_moved(one, x, y) for one in box.words)
    return Box(box.node, box.x + x, box.y + y, box.width, box.height, words)


def _moved_line(line: Line, x: float, y: float) -> Line:
    points = tuple((px + x, py + y) for px, py in line.points)
    return Line(line.edge, points, line.words and _moved(line.words, x, y))
