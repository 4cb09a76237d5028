"""The page in a real browser, at the width of a desk and of a hand."""

import os
import re
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from toolkit.report import Column, Document, Section, Table
from toolkit.report.build import document, write_report
from toolkit.report.formats import html
from toolkit.report.formats.html import render
from toolkit.trials import Outcome

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


PATIENCE_MILLISECONDS = 300_000


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=BROWSER, args=ARGUMENTS, timeout=PATIENCE_MILLISECONDS
        )
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser):
    """Return a function that opens a page, which waits as long as a busy machine may need."""
    with ExitStack() as opened:

        def open_one(**how):
            page = browser.new_page(**how)
            opened.callback(page.close)
            page.set_default_timeout(PATIENCE_MILLISECONDS)
            return page

        yield open_one


@pytest.mark.parametrize("width", [1280, 390])
def test_a_wide_listing_scrolls_in_a_box_of_its_own(new_page, tmp_path: Path, width: int) -> None:
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
    page = new_page(viewport={"width": width, "height": 800})
    page.goto(f"file://{tmp_path / 'index.html'}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator(".scroll").first
    assert box.evaluate("one => one.scrollWidth > one.clientWidth")
    assert box.locator("td.code").first.evaluate("one => one.innerText") == line
    # However long, a line of a program stays one line.
    heights = box.locator("tbody tr").evaluate_all("rows => rows.map(one => one.offsetHeight)")
    assert max(heights) - min(heights) <= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_page_is_whole_at_every_width(
    new_page, report: Path, width: int, height: int, scheme: str
) -> None:
    page = new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
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


HOSTILE = [
    "</script><script>window.canary = 1; alert(1)</script>",
    "<img src=x onerror=alert(1)><svg onload=alert(1)>",
    '"><iframe srcdoc="<script>parent.canary = 1</script>">',
    "[link](javascript:alert(1)) <javascript:alert(1)> ![x](javascript:alert(1))",
    "</title></style></pre></code></textarea><script>alert(1)</script>",
    "a|b\n| --- |\n`c` ~~~ \ud800 \x00",
    "{{ 7 * 7 }} ${alert(1)} {% raw %}",
    "x" * 300,
    "\u202eleft\u2066 \u05e9\u05dc\u05dd: 5 to 7",
]


def hostile_report(folder: Path, make_store) -> Path:
    """Make a report of a store whose every text is hostile, by a script whose every text is."""
    with make_store(folder) as store:
        for place, label in enumerate(HOSTILE):
            for replicate in range(2):
                store.add(
                    f"guest {label}",
                    {"label": label, f"name {label}": place},
                    "resident",
                    replicate,
                    store.outcome(
                        {"peak_rss_bytes": 4096 * (place + 1), f"odd {label}_bytes": place},
                        conditions={f"python {label}": label, "prediction_basis": label},
                    ),
                    {f"constant {label}": label},
                )
            failed = Outcome(
                status="crash", exit_code=-11, message=label, started_at=0.0, elapsed_seconds=1.0
            )
            store.add(f"guest {label}", {"label": label}, "resident", 9, failed, {f"constant {label}": label})
    report = write_report(folder, document(folder, {})).parent
    text = (report / "report.md").read_text("utf-8")
    # As a renderer shows it that lets elements through, which is the worst there is.
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    (report / "markdown.html").write_text(f"<!DOCTYPE html><meta charset=utf-8>{rendered}", "utf-8")
    page = (report / "index.html").read_text("utf-8")
    policy = re.compile('<meta http-equiv="Content-Security-Policy"[^>]*>')
    assert policy.search(page)
    # The escapes must hold without the policy that stands behind them.
    (report / "unguarded.html").write_text(policy.sub("", page), "utf-8")
    return report


def test_hostile_labels_run_nothing_in_a_browser(new_page, tmp_path: Path, make_store) -> None:
    report = hostile_report(tmp_path / "results", make_store)
    names = [path.name for path in report.rglob("*")]
    assert all(len(name.encode()) <= 255 for name in names)
    assert len({name.lower() for name in names}) == len(names)
    shown = ["index.html", "unguarded.html", "markdown.html"]
    shown += [str(path.relative_to(report)) for path in sorted(report.glob("figures/*.svg"))[:4]]
    happened: list[str] = []
    page = new_page()
    page.on("dialog", lambda dialog: (happened.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: happened.append(str(error)))
    page.on("request", lambda asked: happened.append(asked.url) if asked.url.startswith("http") else None)
    for name in shown:
        page.goto(f"file://{os.path.abspath(report / name)}")
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert page.evaluate("typeof window.canary") == "undefined", name
        active = page.evaluate(
            """() => [...document.querySelectorAll('script, iframe, object, embed, form, base')].length
                + [...document.querySelectorAll('*')].filter(one => [...one.attributes].some(
                    each => each.name.startsWith('on') || /^\\s*javascript:/i.test(each.value))).length"""
        )
        assert active == 0 and happened == [], name


def test_tables_of_hostile_labels_keep_their_columns(new_page, tmp_path: Path, make_store) -> None:
    report = hostile_report(tmp_path / "results", make_store)
    page = new_page()
    for name in ("index.html", "markdown.html"):
        page.goto(f"file://{os.path.abspath(report / name)}")
        ragged = page.evaluate(
            """() => [...document.querySelectorAll('table')].filter(table =>
                new Set([...table.rows].map(row => row.cells.length)).size != 1).length"""
        )
        assert page.locator("table").count() >= len(HOSTILE) and ragged == 0, name


PLACES = """note => {
    const walker = document.createTreeWalker(note, NodeFilter.SHOW_TEXT), places = {};
    for (let text = walker.nextNode(); text; text = walker.nextNode())
        for (let at = 0; at < text.length; at++) {
            const range = document.createRange();
            range.setStart(text, at); range.setEnd(text, at + 1);
            places[text.data[at]] = range.getBoundingClientRect().left;
        }
    return places;
}"""


def test_what_is_written_from_right_to_left_does_not_reorder_its_neighbours(new_page, tmp_path: Path) -> None:
    made = html.render(Document(title="t", notes=("x=\u05e9\u05dc\u05dd: 5 to 7",)))["index.html"].decode()
    page, lefts = new_page(), []
    for content in (made, made.replace("<bdi>", "").replace("</bdi>", "")):
        (tmp_path / "page.html").write_text(content, "utf-8")
        page.goto(f"file://{tmp_path}/page.html")
        lefts.append(page.locator("p.note").evaluate(PLACES))
    isolated, mixed = lefts
    assert isolated["x"] < isolated["\u05dd"] < isolated["\u05e9"] < isolated["5"] < isolated["7"]
    # Without isolation the number stands on the other side of the word.
    assert mixed["5"] < mixed["\u05dd"]
