"""The figures as files of their own, SVG and PNG."""

from toolkit.report import Document


def render(document: Document) -> dict[str, bytes]:
    """Return two files for each figure that could be drawn."""
    files = {}
    for section in document.sections:
        for picture in section.pictures:
            if picture.svg:
                files[f"figures/{picture.stem}.svg"] = picture.svg.encode()
                files[f"figures/{picture.stem}.png"] = picture.png
    return files
