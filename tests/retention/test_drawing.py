"""What is drawn: XML that stands alone, boxes that never overlap, labels that cannot break out."""

import gc
import re
import weakref
import xml.etree.ElementTree as ET
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import Variable, add, draw_graph, exp, explain, square, using_config
from toolkit.nn import Parameter
from toolkit.retention import Diagram, Edge, Node
from toolkit.retention.layout import layout
from toolkit.retention.size import human
from toolkit.retention.svg import svg

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>&\"'\x00\u202e]]>"


def a_graph(references, name="x"):
    with using_config(references=references):
        x = Variable(np.ones(1000), name)
        a = square(x)
        return add(add(square(a), exp(a)), x)


def held_objects():
    holder = {"list": [np.zeros(3)]}
    holder["self"] = holder

    def inner():
        return inner, holder

    holder["f"] = inner
    base = np.zeros(9)
    objects = np.array([None, base[2:]], object)
    yield holder["list"][0]
    yield inner
    yield base
    yield objects
    yield np.zeros(2)
    yield np


def diagrams():
    for references in ("weak", "strong"):
        y = a_graph(references)
        yield draw_graph(y)
        yield explain(y.data).diagram()
        yield explain(y.creator.inputs[0].data).diagram()
        array = weakref.ref(y.data)
        del y
        if references == "strong":
            yield explain(array()).diagram()
    yield from (explain(one).diagram() for one in held_objects())


def boxes_overlap(placed):
    return any(
        a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height
        for a, b in combinations(placed.boxes, 2)
    )


def crosses(box, start, end):
    # Sampled: enough for straight lines as long as a gap.
    return any(
        box.x < start[0] + (end[0] - start[0]) * part / 50 < box.x + box.width
        and box.y < start[1] + (end[1] - start[1]) * part / 50 < box.y + box.height
        for part in range(51)
    )


def check(diagram):
    placed = layout(diagram)
    assert not boxes_overlap(placed)
    for box in placed.boxes:
        assert box.x >= 0 and box.x + box.width <= placed.width
        assert box.y >= 0 and box.y + box.height <= placed.height
        for words in box.words:
            left, top, right, bottom = words.extent
            assert box.x <= left and right <= box.x + box.width
            assert box.y <= top and bottom <= box.y + box.height
    for line in placed.lines:
        for start, end in zip(line.points, line.points[1:], strict=False):
            assert not any(crosses(box, start, end) for box in placed.boxes)
    for words in (line.words for line in placed.lines if line.words):
        assert words.extent[0] >= 0 and words.extent[2] <= placed.width
    text = svg(diagram)
    ET.fromstring(text)
    assert text == svg(diagram)
    return text


def test_every_drawing_is_whole():
    for diagram in diagrams():
        text = check(diagram)
        assert not re.search(r"(href|url\(|@import|src=)", text)
        assert text.count("http") == 1


def test_strong_is_solid_and_weak_is_dashed():
    for references in ("weak", "strong"):
        kinds = [
            line.get("class")
            for line in ET.fromstring(draw_graph(a_graph(references)).svg()).iter(f"{SVG}polyline")
        ]
        # Five functions with one output each.
        assert kinds.count("line weak") == (5 if references == "weak" else 0)
    assert ".weak{stroke:var(--weak);stroke-dasharray" in draw_graph(a_graph("weak")).svg()


def test_the_graph_by_generation():
    y = a_graph("weak")
    diagram = draw_graph(y)
    rows = [sorted(node.label for node in row) for row in diagram.rows]
    assert rows == [
        ["Variable 'x'"],
        ["Square"],
        ["Variable"],
        ["Exp", "Square"],
        ["Variable", "Variable"],
        ["Add"],
        ["Variable"],
        ["Add"],
        ["Variable"],
    ]
    assert diagram.rows[0][0].size_bytes == 8000
    assert "data 7.81 KiB" in diagram.rows[0][0].role
    y.backward()
    assert draw_graph(y).rows[0][0].size_bytes == 16000
    reference = weakref.ref(y)
    gc.disable()
    try:
        del y
        assert reference() is None
    finally:
        gc.enable()


def test_a_graph_too_large_to_draw_is_cut_and_says_so():
    y = Variable(np.ones(1))
    for _ in range(100):
        y = square(y)
    diagram = draw_graph(y)
    assert diagram.notes == ("60 functions of lower generations are not drawn.",)
    check(diagram)


def test_only_variables_have_a_graph():
    with pytest.raises(TypeError, match="Variable, not ndarray"):
        draw_graph(np.zeros(2))


def test_hostile_labels_stay_labels():
    held = {HOSTILE: np.zeros(1), "other": a_graph("weak", HOSTILE)}
    for diagram in (explain(held[HOSTILE]).diagram(), draw_graph(held["other"])):
        root = ET.fromstring(check(diagram))
        assert not list(root.iter(f"{SVG}script"))
    assert "\x00" not in str(explain(held[HOSTILE]))


def test_a_notebook_is_given_the_drawing():
    told = explain(held := [1])
    assert told._repr_svg_() == told.svg() == told.diagram()._repr_svg_()
    assert "prefers-color-scheme:dark" in told.svg()
    assert held


def test_two_drawings_on_a_page_keep_their_rules_apart():
    one, other = (explain([1]).svg(), explain((2, [])).svg())
    names = [ET.fromstring(text).get("id") for text in (one, other)]
    assert names[0] != names[1]
    assert all(f"#{name} " in text for name, text in zip(names, (one, other), strict=True))


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19), st.booleans()), max_size=12),
    st.text(max_size=50),
)
def test_any_diagram_keeps_its_boxes_apart(sizes, pairs, label):
    nodes = [Node(number, f"{label}{number}", "a.b.T", "object", number) for number in range(sum(sizes))]
    rest = iter(nodes)
    rows = tuple(tuple(next(rest) for _ in range(size)) for size in sizes)
    edges = tuple(
        Edge(nodes[a], f".{label}", nodes[b], strong) for a, b, strong in pairs if max(a, b) < len(nodes)
    )
    check(Diagram(rows, edges, label, (label,)))


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (8000, "7.81 KiB"),
        (800_000, "781 KiB"),
        (2**50, "1024 TiB"),
    ],
)
def test_bytes_for_people(size, text):
    assert human(size) == text


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ({"saves": "needed"}, ["Add", "Exp", "Parameter 'w'", "Unsaved", "Variable"]),
        ({"storage": "float32"}, ["Add", "Exp", "Kept", "Parameter 'w'", "Variable"]),
        ({"retain_graph": False}, ["Exp", "Variable"]),
    ],
)
def test_what_a_function_saved_or_let_go_of_is_drawn_as_it_is(settings, labels):
    w = Parameter(np.ones(1000), "w")
    with using_config(**settings):
        y = exp(w + w)
        y.backward()
    diagram = draw_graph(y)
    nodes = {node.label: node for row in diagram.rows for node in row}
    assert sorted(nodes) == labels
    if "Parameter 'w'" in nodes:
        assert nodes["Parameter 'w'"].role == "parameter, data 7.81 KiB, gradient 7.81 KiB"
        # Every node but the leaf leads on.
        assert {edge.holder.label for edge in diagram.edges} == {*labels} - {"Parameter 'w'"}
    for name, size_bytes in (("Unsaved", 0), ("Kept", 4000)):
        assert name not in nodes or nodes[name].size_bytes == size_bytes


def test_a_gradient_that_is_a_variable_is_drawn_by_its_bytes():
    x = Variable(np.ones(1000))
    y = square(x)
    y.backward(create_graph=True)
    assert draw_graph(y).rows[0][0].role == "leaf, data 7.81 KiB, gradient 7.81 KiB"
    x.cleargrad()
