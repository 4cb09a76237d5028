"""What a report is made of: findings, figures, tables, sections. A format turns a document into files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from toolkit.analysis.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

FindingStatus: TypeAlias = Literal["confirmed", "deviates", "observed"]
Unit: TypeAlias = Literal["", "bytes", "seconds", "count", "pages", "percent", "S"]
Value: TypeAlias = bool | int | float | str | Estimate | None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A sentence with numbers, computed from the store.

    Attributes
    ----------
    sentence : str
        Plain text.
    status : {"confirmed", "deviates", "observed"}
        Whether it is what was expected; "observed" where nothing was.
    figure, expected, measured : str, optional
        Where all three are given, the finding is also a row of the table of what the report must show:
        the figure in question, what it must be, and what it is.
    """

    sentence: str
    status: FindingStatus = "observed"
    figure: str = ""
    expected: str = ""
    measured: str = ""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure that a script yields, not yet drawn.

    Attributes
    ----------
    name : str
        Of its file, without ending; unique in its experiment.
    title : str
        What is seen, in a sentence.
    caption : str
        How to read it.
    alt : str
        What it shows, in words and numbers, for those who do not see it.
    draw : callable or None
        Returns the drawing: a matplotlib figure made without pyplot. None where the store holds nothing to
        draw it from; `alt` then says what is missing.
    """

    name: str
    title: str
    caption: str
    alt: str
    draw: "Callable[[], Drawing] | None"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure that has been drawn.

    Attributes
    ----------
    stem : str
        The name of its files without ending, unique in the report.
    title, caption, alt : str
        As in `Figure`.
    svg, inline_svg : str
        The figure as a file of its own, and as an element for a page that holds other figures too.
        Both empty where the store holds nothing to draw it from.
    png : bytes
        The figure in pixels.
    """

    stem: str
    title: str
    caption: str
    alt: str
    svg: str = ""
    inline_svg: str = ""
    png: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    heading : str
        For people.
    name : str
        For programs: the unit ends it. A column of estimates becomes four: the median, the ends of the
        interval and the count.
    unit : {"", "bytes", "seconds", "count", "pages", "percent", "S"}
        Of its raw values; empty for levels and words.
    signed : bool
        Whether positive numbers show their sign.
    code : bool
        Whether the values are lines of a program, shown with every space.
    """

    heading: str
    name: str
    unit: Unit = ""
    signed: bool = False
    code: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """Raw values: each format shows them in its own way.

    Attributes
    ----------
    stem : str
        The name of its CSV file without ending, unique in the report.
    title : str
        What the rows are.
    columns : tuple of Column
    rows : tuple of tuple
        A value for each column, in its unit; None where there is none.
    notes : tuple of str
        What the reader must know to read the numbers right.
    """

    stem: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A trial that failed.

    Attributes
    ----------
    trial : str
        Its levels, measure and replicate.
    status : str
        How it failed.
    exit_code : int or None
    message : str
        Why it failed, and the end of what it wrote.
    """

    trial: str
    status: str
    exit_code: int | None
    message: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """One experiment.

    Attributes
    ----------
    anchor : str
        Its name as the target of a link, unique in the report.
    experiment : str
        Its name in the store.
    title : str
    question : tuple of str
        Paragraphs.
    method : tuple of (str, str)
        How it was measured: what, and its value.
    machine : tuple of (str, str)
        Where it ran, in the same form; empty where that is said once for the whole report.
    findings : tuple of Finding
        All that its script has to say; the first is its answer, which opens the report.
    pictures : tuple of Picture
    tables : tuple of Table
    failures : tuple of Failure
    notes : tuple of str
        What the reader must know to read the numbers right: trials left out, parts that could not be made.
    lacks : tuple of str
        What its script could not give, and why.
    commands : tuple of str
        What to type to have the same again.
    """

    anchor: str
    experiment: str
    title: str
    question: tuple[str, ...] = ()
    method: tuple[tuple[str, str], ...] = ()
    machine: tuple[tuple[str, str], ...] = ()
    findings: tuple[Finding, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()

    @property
    def of_the_book(self) -> bool:
        """Whether it is of a step of the book."""
        return self.experiment.startswith("step")


@dataclass(frozen=True, kw_only=True)
class Method:
    """A probe's datasheet, for the appendix.

    Attributes
    ----------
    probe : str
    rows : tuple of (str, str)
        What it includes, excludes, keeps alive and so on.
    """

    probe: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Trust:
    """How far to trust a run.

    Attributes
    ----------
    findings : tuple of Finding
        Whether the store is whole, what failed, how much equal trials differ, on what they ran.
    tables : tuple of Table
        The same in numbers; those that have a row.
    """

    findings: tuple[Finding, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True, kw_only=True)
class Document:
    """The whole report, the same for every format.

    Attributes
    ----------
    title : str
    summary : str
        When and where it ran, in a sentence.
    findings : tuple of Finding
        Whether theory holds, over all experiments; the first sums it up.
    exceptions, pairs : Table or None
        What measurement and prediction disagree about, and why; and all that was predicted and measured.
    sections : tuple of Section
        The book's steps come first.
    required : Table or None
        What the report must show, and whether it does.
    facts : tuple of (str, str)
        Where it ran.
    methods : tuple of Method
    glossary : tuple of (str, str)
    notes : tuple of str
        What holds for the whole store, such as damaged rows.
    trust : Trust or None
    """

    title: str
    summary: str = ""
    findings: tuple[Finding, ...] = ()
    exceptions: Table | None = None
    pairs: Table | None = None
    sections: tuple[Section, ...] = ()
    required: Table | None = None
    facts: tuple[tuple[str, str], ...] = ()
    methods: tuple[Method, ...] = ()
    glossary: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = field(default=())
    trust: Trust | None = None

    @property
    def answers(self) -> Mapping[str, tuple[Section, ...]]:
        """The sections that have an answer, under the headings that people find them by."""
        found = [section for section in self.sections if section.findings]
        book = [section for section in found if section.of_the_book]
        others = [section for section in found if not section.of_the_book]
        parts = {"What the book's steps cost": book, "Beyond the book" if book else "What was asked": others}
        return {heading: tuple(some) for heading, some in parts.items() if some}

    @property
    def deviating(self) -> tuple[tuple[Section, Finding], ...]:
        """What is not as expected, with its section, but for answers, which stand at the top already."""
        return tuple(
            (section, finding)
            for section in self.sections
            for finding in section.findings[1:]
            if finding.status == "deviates"
        )

    @property
    def lacks(self) -> tuple[str, ...]:
        """What scripts could not give to any section."""
        return tuple(one for section in self.sections for one in section.lacks)


class Format(Protocol):
    """A module of the folder `formats`; the file's name is the name of the format."""

    @staticmethod
    def render(document: Document) -> Mapping[str, bytes]:
        """Return the files of this format: contents by path, relative to the folder of the report."""
