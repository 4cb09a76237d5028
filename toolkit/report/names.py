"""Labels from outside made safe: for file names and links, and for the eye."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from unicodedata import bidirectional

_STEM_CHARACTERS = 60
#: Hebrew letters and such, Arabic letters, Arabic numbers: https://www.unicode.org/reports/tr9/
_FROM_THE_RIGHT = ("R", "AL", "AN")
#: Letters such as these, and the end of a paragraph.
_FROM_THE_LEFT = ("L", "B")


def unique_stems() -> Callable[[str], str]:
    """Return a function that turns any label into a name for a file or a link, another one in each call.

    A name has at most 64 characters, of ASCII letters, digits, dashes and underscores: it needs no escape on
    any file system and in any address. Names differ in more than their case.
    """
    taken: set[str] = set()

    def stem(label: str) -> str:
        plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode()
        base = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-_")[:_STEM_CHARACTERS] or "unnamed"
        name, count = base, 1
        while name.lower() in taken:
            count += 1
            name = f"{base}-{count}"
        taken.add(name.lower())
        return name

    return stem


def legible(label: str) -> str:
    """Return a text whose every character is seen as it stands.

    Control characters other than the line feed and the tab, marks that turn the direction of what follows,
    lone surrogates and code points that are no characters become a replacement mark.
    """
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(character) in ("Cc", "Cf", "Cn", "Cs") and character not in "\n\t"
        else character
        for character in label
    )


def in_directions(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a text in order, each with whether it is written from right to left.

    What stands between two such letters belongs to them, unless a letter of the other direction is there. A part
    that is not set apart would pull numbers and signs beside it to its other side.
    """
    begin, first, end = 0, -1, 0
    for place, letter in enumerate(text):
        direction = bidirectional(letter)
        if direction in _FROM_THE_RIGHT:
            first, end = (place if first < 0 else first), place + 1
        elif direction in _FROM_THE_LEFT and first >= 0:
            yield text[begin:first], False
            yield text[first:end], True
            begin, first = end, -1
    if first >= 0:
        yield text[begin:first], False
        yield text[first:end], True
        begin = end
    yield text[begin:], False


def code_apart(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a text in order, each with whether it is code: what stood between two backticks."""
    for place, part in enumerate(re.split(r"`([^`\s](?:[^`\n]*[^`\s])?)`", text)):
        if part:
            yield part, place % 2 == 1
