import re
import xml.etree.ElementTree as ET

import pytest

from toolkit.report import Figure, style
from toolkit.report.charts.waiting import waiting
from toolkit.report.drawing import color_variable, picture

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def figure(results):
    # Of all kinds this one has most to refer to: clip paths, hatches, glyphs, marks.
    return waiting(results["step17_weak_references"], name="waiting", title="Left <over> & done", caption="")


@pytest.fixture(scope="module")
def drawn(figure):
    return picture(figure, "one")


def _ids(svg):
    return [element.get("id") for element in ET.fromstring(svg).iter() if element.get("id")]


def _references(svg):
    return set(re.findall(r'(?:href="#|url\(#|labelledby="|describedby=")([^")]+)', svg))


def test_the_same_figure_gives_the_same_bytes(figure, drawn):
    assert picture(figure, "one") == drawn


def test_two_figures_on_a_page_share_no_id(figure, drawn):
    other = picture(figure, "one-2")
    assert not set(_ids(drawn.inline_svg)) & set(_ids(other.inline_svg))
    assert len(set(_ids(drawn.inline_svg))) == len(_ids(drawn.inline_svg))


def test_every_reference_within_a_figure_leads_somewhere(drawn):
    for svg in (drawn.svg, drawn.inline_svg):
        assert _references(svg)
        assert _references(svg) <= set(_ids(svg))


def test_a_figure_has_its_words_for_those_who_do_not_see_it(drawn):
    root = ET.fromstring(drawn.inline_svg)
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == "Left <over> & done"
    assert root.find(f"{SVG}desc").text == drawn.alt
    assert "<over>" not in drawn.inline_svg


def test_a_page_can_set_every_colour_and_the_width(drawn):
    root = ET.fromstring(drawn.inline_svg)
    assert root.get("viewBox") and not root.get("width")
    bare = re.sub(r"var\(--figure-[0-9a-f]{6}, #[0-9a-f]{6}\)", "", drawn.inline_svg)
    assert not re.findall(r"(?:fill|stroke)[:=]\s*\"?#[0-9a-f]{6}", bare)
    assert f"var({color_variable(style.INK)}, {style.INK})" in drawn.inline_svg


def test_a_figure_changes_nothing_else_on_the_page(drawn):
    assert "<style" not in drawn.inline_svg
    assert "<script" not in drawn.inline_svg


def test_nothing_tells_when_or_with_what_it_was_drawn(drawn):
    for data in (drawn.svg.encode(), drawn.inline_svg.encode(), drawn.png):
        assert b"matplotlib.org" not in data and b"dc:date" not in data and b"Software" not in data


def test_the_files_carry_the_title_and_the_page_sets_it_as_text(drawn):
    assert len(ET.fromstring(drawn.svg).findall(f".//{SVG}g")) > len(
        ET.fromstring(drawn.inline_svg).findall(f".//{SVG}g")
    )
    assert drawn.svg.startswith("<?xml")
    assert drawn.png.startswith(b"\x89PNG")


def test_words_are_made_visible():
    figure = Figure(name="x", title="a\u202eb", caption="c\x00d", alt="e\ufffe", draw=None)
    assert picture(figure, "x").title == "a\ufffdb"
    assert picture(figure, "x").caption == "c\ufffdd"
    assert picture(figure, "x").alt == "e\ufffd"
    assert picture(figure, "x").svg == ""
