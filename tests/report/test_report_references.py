"""Diagrams of references in the report: the same bytes each time, and whole whatever the labels are."""

import importlib.util
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from toolkit import explain
from toolkit.report.charts.references import Panel, references
from toolkit.report.drawing import picture

SCRIPT = Path(__file__).parents[2] / "experiments" / "step17_weak_references.py"


def _script():
    spec = importlib.util.spec_from_file_location("step17_for_references", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_why_the_array_is_alive_is_drawn_the_same_each_time():
    script = _script()
    figure = references(
        lambda: [script.still_alive("weak"), script.still_alive("strong")],
        name="held",
        title="Why?",
        caption="Seen.",
        alt="Two diagrams.",
    )
    first = picture(figure, "held")
    assert picture(figure, "held") == first
    assert first.png.startswith(b"\x89PNG") and first.svg and "dashed: weak" in first.caption


def test_the_two_modes_differ_in_one_reference_and_in_what_comes_after():
    script = _script()
    weak, strong = script.still_alive("weak"), script.still_alive("strong")
    assert [(edge.label, edge.strong) for edge in weak.diagram.edges if not edge.strong] == [
        (".outputs[0]", False)
    ]
    assert all(edge.strong for edge in strong.diagram.edges)
    assert {edge.label for edge in weak.diagram.edges} == {edge.label for edge in strong.diagram.edges}
    assert (weak.footing, strong.footing) == (
        "when y goes as well: freed at once",
        "when y goes as well: held by a cycle",
    )


def test_hostile_labels_and_a_lone_panel():
    held = {"$x^2$ <b>&\x00\u4e2d": [1]}
    diagram = explain(next(iter(held.values()))).diagram()
    figure = references(lambda: [Panel("<&>", diagram, "$")], name="one", title="<t>", caption="", alt="a")
    ET.fromstring(picture(figure, "one").svg)
    assert sys.modules.get("step17_for_references") is None
