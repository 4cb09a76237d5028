import csv
import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from toolkit.analysis.statistics import Estimate
from toolkit.report import Column, Document, Failure, Finding, Method, Picture, Section, Table
from toolkit.report.formats import csv as csv_format
from toolkit.report.formats import html, markdown
from toolkit.report.names import legible

LABELS = [
    "</script><script>alert(1)</script>",
    "a|b`c`*d*_e_~f~$g$#h",
    "[link](javascript:alert(1)) ![x](http://example.org/x.png)",
    "one\ntwo\n\n# three\n- four",
    "&lt;&amp;&#60;",
    '"quoted" \'single\' onmouseover="x"',
    "{{ 7 * 7 }} {% raw %}",
    "-",
    "---",
    "1. first",
    "+ plus",
    "> quotation",
    "=SUM(A1:A9)",
    "turned\u202eright",
    "שלום עולם 5",
    "a سلام | b",
    "lone \ud800 surrogate",
    "data:text/html,<script>alert(1)</script>",
    "<!-- --><![CDATA[<svg onload=alert(1)>",
    "</style></title></textarea></pre></code></table>",
    "\x00\x1b[31mred",
    "x" * 300,
]


def _document(label):
    table = Table(
        stem="table",
        title=label,
        columns=(
            Column(heading=label, name=label),
            Column(heading="peak", name="peak_bytes", unit="bytes"),
            Column(heading="off", name="off_pages", unit="pages", signed=True),
            Column(heading="source", name="source", code=True),
        ),
        rows=(
            (label, Estimate(4096.0, 4096.0, 8192.0, 3), 1, "</td><b>=1|`2`"),
            (True, Estimate(5.0, None, None, 1), None, "        y = x  # deep"),
            (5, None, -2, ""),
        ),
        notes=(label,),
    )
    finding = Finding(sentence=label, status="deviates")
    picture = Picture(
        stem="figure", title=label, caption=label, alt=label, svg="<svg/>", inline_svg="<svg></svg>"
    )
    missing = Picture(stem="missing", title=label, caption=label, alt=label)
    section = Section(
        anchor="section",
        experiment=label,
        title=label,
        question=(label,),
        method=((label, label),),
        machine=((label, label),),
        findings=(finding, finding),
        pictures=(picture, missing),
        tables=(table,),
        failures=(Failure(trial=label, status=label, exit_code=-9, message=f"{label}\n```\n{label}"),),
        notes=(label,),
        commands=(label,),
    )
    return Document(
        title=label,
        summary=label,
        facts=((label, label),),
        findings=(finding,),
        exceptions=table,
        pairs=table,
        required=table,
        sections=(section,),
        methods=(Method(probe=label, rows=((label, label),)),),
        glossary=((label, label),),
        notes=(label,),
    )


class _Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.attributes = [], [], []
        # Elements that set apart what is written from right to left, or is code; a label's own would be escaped.
        self.feed(re.sub("</?(?:bdi|code)>", "", text))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text.append(data)


def _seen(label):
    return legible(label)


def _shown_in(text, label):
    """A label stands there as it is, or as the words of a script, in which backticks make code."""
    return label in text or re.sub("`([^`]+)`", r"\1", label) in text


@pytest.mark.parametrize("label", LABELS)
def test_a_page_shows_every_label_as_it_stands(label):
    page = _Page(html.render(_document(label))["index.html"].decode())
    plain = _Page(html.render(_document("plain"))["index.html"].decode())
    assert page.tags == plain.tags
    assert {name for name, _ in page.attributes} == {name for name, _ in plain.attributes}
    shown = [text for text in page.text if _shown_in(text, _seen(label))]
    assert len(shown) >= sum("plain" in text for text in plain.text)


@pytest.mark.parametrize("label", LABELS)
def test_markdown_shows_every_label_as_it_stands(label):
    parser = MarkdownIt("commonmark").enable("table")
    shown = markdown.render(_document(label))["report.md"].decode()
    tokens = parser.parse(shown.replace("\u2068", "").replace("\u2069", ""))
    plain = parser.parse(markdown.render(_document("plain"))["report.md"].decode())
    assert [token.type for token in tokens] == [token.type for token in plain]
    words = " ".join(_seen(label).split())
    seen = sum(_shown_in(line, words) for line in _lines(tokens))
    assert seen >= sum("plain" in line for line in _lines(plain))


def test_what_a_script_has_between_backticks_is_code():
    made = _document("A `grad` of <b>, and `y.backward()`: 5 ` 6")
    page = html.render(made)["index.html"].decode()
    assert "<p>A <code>grad</code> of &lt;b&gt;, and <code>y.backward()</code>: 5 ` 6</p>" in page
    assert "<td" in page and "A `grad` of" in page, "what is no prose of a script stays as it is"
    assert (
        "\nA `grad` of &lt;b&gt;, and `y.backward()`: 5 \\` 6\n"
        in markdown.render(made)["report.md"].decode()
    )


def _lines(tokens):
    return [_text_of(token) for token in tokens if token.type == "inline"]


def _text_of(token):
    """The words of a line as a reader sees them, those of pictures included."""
    if token.children:
        assert {child.type for child in token.children} <= {
            "text",
            "text_special",
            "strong_open",
            "strong_close",
            "link_open",
            "link_close",
            "html_inline",
            "image",
            "code_inline",
        }
        assert all(
            child.content == '<a id="section">' or child.content == "</a>"
            for child in token.children
            if child.type == "html_inline"
        )
        return "".join(_text_of(child) if child.children else child.content for child in token.children)
    return token.content


def test_a_line_of_a_program_keeps_every_space():
    page = html.render(_document("plain"))["index.html"].decode()
    assert '<td class="code">        y = x  # deep</td>' in page
    assert '<td class="code">&lt;/td&gt;&lt;b&gt;=1|`2`</td>' in page
    text = markdown.render(_document("plain"))["report.md"].decode()
    assert f"| {8 * chr(160)}` y = x  # deep ` |" in text


@pytest.mark.parametrize(
    "line", ["a | b", "a `b` c", "``", "`", "x = '|`|'", "<b>&amp;</b>", "*a* _b_ [c](d)"]
)
def test_a_line_of_a_program_is_code_in_a_table_of_markdown(line):
    table = f"| a | b |\n| - | - |\n| {markdown.code_span(line)} | 1 |"
    tokens = MarkdownIt("commonmark").enable("table").parse(table)
    first, second = [token for token in tokens if token.type == "inline"][2:]
    (code,) = first.children
    assert (code.type, code.content, second.content) == ("code_inline", line, "1")


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=300).filter(str.strip))
def test_no_label_changes_the_structure_of_a_page_or_a_text(label):
    page = _Page(html.render(_document(label))["index.html"].decode())
    assert page.tags == PLAIN_PAGE.tags
    tokens = MARKDOWN.parse(markdown.render(_document(label))["report.md"].decode())
    assert [token.type for token in tokens] == [token.type for token in PLAIN_TOKENS]
    rows = csv.reader(io.StringIO(csv_of(label), newline=""))
    assert len(set(map(len, rows))) == 1


def csv_of(label):
    return csv_format.render(_document(label))["tables/table.csv"].decode()


PLAIN_PAGE = _Page(html.render(_document("plain"))["index.html"].decode())
MARKDOWN = MarkdownIt("commonmark").enable("table")
PLAIN_TOKENS = MARKDOWN.parse(markdown.render(_document("plain"))["report.md"].decode())


def test_what_is_written_from_right_to_left_is_set_apart():
    page = html.render(Document(title="Title שלם: 5", notes=("a שלם 3 סף: 5 to 7",)))["index.html"].decode()
    assert "a <bdi>שלם 3 סף</bdi>: 5 to 7" in page and "<title>Title שלם: 5</title>" in page
    assert markdown.escaped("a שלם: 5|") == "a \u2068שלם\u2069: 5\\|"


def test_a_block_of_code_is_fenced_by_more_than_it_holds():
    assert markdown.fenced("a\n`````\nb") == "``````\na\n`````\nb\n``````"
    assert markdown.fenced("plain") == "```\nplain\n```"


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_text_of_a_csv_begins_a_formula(begin):
    text = csv_format.render(_document(f"{begin}1+1"))["tables/table.csv"].decode()
    head, first, *_ = csv.reader(io.StringIO(text, newline=""))
    assert head[0] == first[0] == f"'{begin}1+1"


@pytest.mark.parametrize("label", LABELS)
def test_csv_gives_every_value_back(label):
    text = csv_format.render(_document(label))["tables/table.csv"].decode()
    head, *rows = csv.reader(io.StringIO(text, newline=""))
    guard = "'" if label[0] in "=+-@" else ""
    # Also in front of what looks like a formula where a program that does not heed quotes begins a cell.
    label = label.replace("\ud800", r"\ud800").replace("\n- ", "\n'- ")
    assert head == [
        guard + label,
        "peak_bytes",
        "peak_low_bytes",
        "peak_high_bytes",
        "peak_bytes_readings_count",
        "off_pages",
        "source",
    ]
    assert rows == [
        [guard + label, "4096", "4096", "8192", "3", "1", "</td><b>=1|`2`"],
        ["True", "5", "", "", "1", "", "        y = x  # deep"],
        ["5", "", "", "", "", "-2", ""],
    ]


def test_the_formats_write_into_folders_of_their_own():
    document = _document("plain")
    assert set(html.render(document)) == {"index.html"}
    assert set(markdown.render(document)) == {"report.md"}
    assert set(csv_format.render(document)) == {"tables/table.csv"}


def test_links_lead_to_files_and_places_that_are_there():
    page = html.render(_document("plain"))["index.html"].decode()
    ids = set(re.findall(r'id="([^"]+)"', page))
    links = set(re.findall(r'href="([^"]+)"', page))
    assert {link[1:] for link in links if link.startswith("#")} <= ids
    files = {"tables/table.csv", "figures/figure.svg", "figures/figure.png", "data:,"}
    assert {link for link in links if not link.startswith("#")} == files


def test_an_empty_report_is_a_report():
    empty = Document(title="Nothing yet")
    assert b"Nothing yet" in html.render(empty)["index.html"]
    assert b"Nothing yet" in markdown.render(empty)["report.md"]
    assert csv_format.render(empty) == {}
