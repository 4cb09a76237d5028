"""How every chart looks: fonts, colours, markers, dashes. No global state of matplotlib is left changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import matplotlib

INK: Final = "#1f2328"
MUTED: Final = "#59636e"
GRID: Final = "#dde2e8"
PAPER: Final = "#ffffff"

#: Colours that the colour-blind tell apart (M. Okabe and K. Ito, Color Universal Design, 2008), without their
#: black and yellow, which one of the two grounds swallows. A colour never says anything alone.
SERIES: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
MARKERS: Final = ("o", "s", "^", "D", "v", "P")
HATCHES: Final = ("", "////", "\\\\\\\\", "xxxx")
_DASHES: Final = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (8, 3)), (0, (3, 1, 1, 1)))

#: What is predicted is wide and pale, as a line and as a bar.
PREDICTED_LINE: Final[dict[str, Any]] = {"alpha": 0.28, "linewidth": 9}
PREDICTED_BAR: Final[dict[str, Any]] = {
    "facecolor": "#56b4e9",
    "alpha": 0.45,
    "edgecolor": "#0072b2",
    "linestyle": "--",
}

#: What the colours become on a dark ground, where a page can say so.
ON_DARK: Final = {
    INK: "#e6e9ed",
    MUTED: "#a3adb8",
    GRID: "#3a424c",
    PAPER: "#171b21",
    "#0072b2": "#4ea8f0",
    "#d55e00": "#ff8a4c",
    "#009e73": "#35c99b",
    "#cc79a7": "#e3a0c6",
    "#56b4e9": "#9fd8ff",
    "#e69f00": "#ffc64d",
}

_RC: Final[dict[str, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": PAPER,
    "axes.formatter.use_mathtext": False,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "figure.facecolor": PAPER,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.8,
    "legend.edgecolor": GRID,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.5,
    "patch.linewidth": 0.8,
    "savefig.facecolor": PAPER,
    # Glyphs as outlines: the figure is the same on a machine without the font.
    "svg.fonttype": "path",
    "text.color": INK,
    # A level may hold a dollar sign: it is a label and no formula.
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}


def line(place: int) -> dict[str, Any]:
    """Return colour, marker and dashes of the line at a place, from 0; after six they begin again."""
    place %= len(SERIES)
    return {"color": SERIES[place], "marker": MARKERS[place], "linestyle": _DASHES[place]}


@contextmanager
def applied(salt: str) -> Iterator[None]:
    """Draw in this style, whatever the reader's matplotlibrc says.

    Parameters
    ----------
    salt : str
        From which ids in an SVG are made: the same figure always gets the same ones.
    """
    defaults: dict[Any, Any] = dict(matplotlib.rcParamsDefault)
    # Setting the backend anew would close the figures of whoever draws on a screen.
    defaults = {key: setting for key, setting in defaults.items() if "backend" not in key}
    with matplotlib.rc_context(defaults | _RC | {"svg.hashsalt": salt}):
        yield
