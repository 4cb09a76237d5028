"""The page in a real browser, at the width of a desk and of a hand."""

import os
import shutil
from pathlib import Path

import pytest

from toolkit.report import Column, Document, Section, Table
from toolkit.report.formats.html import render

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_wide_listing_scrolls_in_a_box_of_its_own(browser, tmp_path: Path, width: int) -> None:
    line = "        y = square(x)" + 80 * " + x"
    listing = Table(
        stem="listing",
        title="Line by line",
        columns=(
            Column(heading="source", name="source", code=True),
            Column(heading="made", name="made_bytes", unit="bytes"),
        ),
        rows=((line, 800_000), ("    return y", 0)),
        notes=("What is known of it",),
    )
    section = Section(anchor="one", experiment="one", title="One", tables=(listing,))
    (tmp_path / "index.html").write_bytes(render(Document(title="T", sections=(section,)))["index.html"])
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(f"file://{tmp_path / 'index.html'}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator(".scroll").first
    assert box.evaluate("one => one.scrollWidth > one.clientWidth")
    assert box.locator("td.code").first.evaluate("one => one.innerText") == line
    # However long, a line of a program stays one line.
    heights = box.locator("tbody tr").evaluate_all("rows => rows.map(one => one.offsetHeight)")
    assert max(heights) - min(heights) <= 1
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_page_is_whole_at_every_width(
    browser, report: Path, width: int, height: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    address = f"file://{os.path.abspath(report / 'index.html')}"
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert asked == [address]
    assert said == []

    figures = page.locator("figure svg")
    assert figures.count() >= 10
    for place in range(figures.count()):
        box = figures.nth(place).bounding_box()
        assert box["width"] > 280 and box["height"] > 60
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        name, words = figures.nth(place).evaluate(
            """svg => ['aria-labelledby', 'aria-describedby'].map(
                  by => document.getElementById(svg.getAttribute(by)).textContent)"""
        )
        assert name and words
    # Text that ends outside of its box is text that nobody reads.
    cut = page.evaluate(
        """() => [...document.querySelectorAll('h1, h2, h3, p, li, dd, dt, figcaption, summary')]
              .filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.textContent)"""
    )
    assert cut == []
    page.close()
