"""The waterfall: drawn for the cells that have what it needs, and honest about the rest."""

import warnings

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from toolkit.report import style
from toolkit.report.charts.waterfall import waterfall

WORDS = {"name": "figure", "title": "What is seen", "caption": "A word before."}
S = 800_000
CONDITIONS = {"prediction_array_bytes": S}


@pytest.fixture
def results_with(make_store, results_of, tmp_path):
    """Return a function that makes results of cells of 2 and 3 arrays, with or without what malloc tells."""

    def make(*, malloc=True, ledger=True):
        with make_store(tmp_path) as store:
            for arrays in (2, 3):
                pages = arrays * 802_816
                heap = {"heap_in_use_bytes": pages + 500} if malloc else {}
                cells = {
                    "resident": {
                        "peak_rss_bytes": pages + 4096,
                        "heap_anonymous_rss_bytes": pages,
                        "heap_file_rss_bytes": 4096,
                        **heap,
                    },
                    "traced": {"peak_traced_bytes": arrays * S + 8, "predicted_peak_bytes": arrays * S},
                    **({"ledger": {"ledger_peak_bytes": arrays * S}} if ledger else {}),
                }
                for measure, metrics in cells.items():
                    outcome = store.outcome(metrics, conditions=CONDITIONS)
                    store.add("some", {"arrays": arrays}, measure, 0, outcome)
        return results_of(tmp_path)

    return make


@pytest.mark.parametrize("ledger", [False, True])
def test_it_says_in_words_what_it_shows(results_with, ledger):
    figure = waterfall(results_with(ledger=ledger), **WORDS)
    alt, caption = (told.replace("\N{NO-BREAK SPACE}", " ") for told in (figure.alt, figure.caption))
    assert "arrays=2: logical bytes 1.53 MiB, arrays in no account +8 B, traced 1.53 MiB" in alt
    assert "small blocks +492 B, malloc in use 1.53 MiB, found room in the reserve \N{MINUS SIGN}500 B" in alt
    # The array of 8 bytes beside those of the account, and as much room in the reserve.
    assert "Residual, of the peak: 0 B (0 %, +8 B of it arrays in no account)" in caption


def test_it_is_drawn_inside_its_frame_without_a_warning(results_with):
    figure = waterfall(results_with(), **WORDS)
    with style.applied("salt"), warnings.catch_warnings(action="error"):
        drawing = figure.draw()
        FigureCanvasAgg(drawing).draw()
    for label in drawing.axes[0].texts:
        assert label.get_window_extent().x1 <= drawing.bbox.x1


def test_without_malloc_the_step_is_left_out_and_that_is_said(results_with):
    figure = waterfall(results_with(malloc=False), **WORDS)
    assert "malloc in use" not in figure.alt
    assert "The reading of malloc is left out" in figure.caption


def test_without_what_it_needs_it_says_so(results):
    figure = waterfall(results["step17_weak_references"], **WORDS)
    assert figure.draw is None
    assert figure.alt.startswith("Not drawn")
