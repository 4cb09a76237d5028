import re
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text

from toolkit.report import style
from toolkit.report.charts._canvas import _wrapped, canvas, number_axis, shown
from toolkit.report.charts._naming import Spot, name_points
from toolkit.report.charts.bars import bars
from toolkit.report.charts.pareto import Cost, Theory, frontier, pareto
from toolkit.report.charts.pauses import pauses
from toolkit.report.charts.scaling import scaling
from toolkit.report.charts.timeline import _within_steps, timeline
from toolkit.report.charts.waiting import waiting

WORDS = {"name": "figure", "title": "What is seen", "caption": "A word before."}
PEAK, TIME = Cost("peak_rss_bytes", "resident"), Cost("wall_seconds", "timed")
KINDS = {
    "bars": lambda results: bars(results, "peak_rss_bytes", "resident", **WORDS),
    "scaling": lambda results: scaling(
        results, "peak_traced_bytes", "traced", over="iterations", by=["references", "gc"], **WORDS
    ),
    "timeline": lambda results: timeline(results, where={"iterations": 400}, **WORDS),
    "waiting": lambda results: waiting(results, **WORDS),
    "waiting traced": lambda results: waiting(results, measure="traced", **WORDS),
    "pauses": lambda results: pauses(results, **WORDS),
    "pareto": lambda results: pareto(results, PEAK, TIME, **WORDS),
}


def _drawn(figure):
    with style.applied("salt"), warnings.catch_warnings(action="error"):
        drawing = figure.draw()
        FigureCanvasAgg(drawing).draw()
    return drawing


@pytest.fixture(params=KINDS)
def figure(request, results):
    return KINDS[request.param](results["step17_weak_references"])


def test_each_kind_says_in_words_what_it_shows(figure):
    assert (figure.name, figure.title) == ("figure", "What is seen")
    assert figure.caption.startswith("A word before. ")
    assert "strong" in figure.alt
    assert re.search(r"\d", figure.alt)


def test_each_kind_is_drawn_without_a_warning_and_inside_its_frame(figure):
    drawing = _drawn(figure)
    frame = drawing.bbox
    for artist in (drawing._suptitle, *drawing.legends, *(axes.xaxis.label for axes in drawing.axes)):
        box = artist.get_window_extent()
        assert frame.x0 - 1 <= box.x0 and box.x1 <= frame.x1 + 1
        assert frame.y0 - 1 <= box.y0 and box.y1 <= frame.y1 + 1


def test_a_caption_says_which_levels_all_that_is_drawn_has(results):
    loop = results["step17_weak_references"]
    some = {"iterations": 400, "references": "weak"}
    figure = bars(loop, "peak_rss_bytes", "resident", where=some, **WORDS)
    assert figure.caption.endswith(" All with iterations=400, references=weak.")
    assert "All with" not in bars(loop, "peak_rss_bytes", "resident", **WORDS).caption


@pytest.mark.parametrize(
    ("by", "title", "names"),
    [(["references"], "references", {"weak", "strong"}),
     (["references", "gc"], "", {"references=weak, gc=default", "references=strong, gc=default"})],
)  # fmt: skip
def test_a_legend_of_levels_says_of_which_factor_they_are(results, by, title, names):
    loop = results["step17_weak_references"]
    some = {"gc": "default"} if "gc" not in by else None
    for figure in (
        scaling(loop, "peak_traced_bytes", "traced", over="iterations", by=by, where=some, **WORDS),
        timeline(loop, by=by, where={**(some or {}), "iterations": 400}, step="round", **WORDS),
    ):
        (legend,) = _drawn(figure).legends
        assert legend.get_title().get_text() == title
        told = "; ".join(text.get_text() for text in legend.get_texts())
        assert names <= set(told.split("; "))


def test_the_axis_of_a_timeline_has_the_name_of_its_steps(results):
    figure = timeline(results["step17_weak_references"], where={"iterations": 400}, step="round", **WORDS)
    assert _drawn(figure).axes[0].get_xlabel() == "round"
    assert "stands where that round ends" in figure.caption


def test_no_legend_covers_data(figure):
    drawing = _drawn(figure)
    for legend in drawing.legends:
        for axes in drawing.axes:
            assert not axes.get_window_extent().overlaps(legend.get_window_extent())


@pytest.mark.parametrize(
    ("costs", "places"),
    [
        ([], ()),
        ([(1, 1)], (0,)),
        ([(2, 1), (1, 2)], (1, 0)),
        ([(1, 1), (2, 2)], (0,)),
        ([(1, 2), (1, 1), (2, 1)], (1,)),
        ([(1, 1), (1, 1)], (0, 1)),
        ([(3, 1), (2, 2), (1, 3), (3, 3)], (2, 1, 0)),
    ],
)
def test_the_frontier_is_what_nothing_beats(costs, places):
    assert frontier(costs) == places


def test_a_reference_stands_beside_the_frontier(results):
    loop = results["step17_weak_references"]
    figure = pareto(loop, PEAK, TIME, **WORDS, reference={"references": "weak"})
    assert "references=weak: " in figure.alt
    chosen = figure.alt.partition("Beaten by none: ")[2]
    assert chosen and "weak" not in chosen
    (legend,) = _drawn(figure).legends
    assert "references=weak" in [text.get_text() for text in legend.get_texts()]


def test_theory_lies_wide_and_pale_under_the_points(results):
    loop = results["step17_weak_references"]
    theories = [Theory("one family", [(1e6, 1e-3), (2e6, 5e-4)]), Theory("another", [(1e6, 1e-3)])]
    figure = pareto(loop, PEAK, TIME, **WORDS, theories=theories)
    assert "Wide and pale: what theory says." in figure.caption
    drawing = _drawn(figure)
    pale = [line for line in drawing.axes[0].lines if line.get_linewidth() > 5]
    assert [[tuple(point) for point in line.get_xydata()] for line in pale] == [one.curve for one in theories]
    assert len({line.get_color() for line in pale}) == 2
    points = [line for line in drawing.axes[0].lines if line.get_marker() == "o"]
    assert max(line.get_zorder() for line in pale) < min(line.get_zorder() for line in points)
    (legend,) = drawing.legends
    assert [text.get_text() for text in legend.get_texts()][-2:] == ["one family", "another"]


def test_names_of_points_lie_apart_and_inside(results):
    loop = results["step17_weak_references"]
    drawing = _drawn(pareto(loop, PEAK, TIME, **WORDS, where={"iterations": 400}))
    (axes,) = drawing.axes
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert len(boxes) > 3
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])
        assert axes.get_window_extent().x0 <= box.x0 and box.x1 <= axes.get_window_extent().x1


def test_crowded_points_have_names_that_nobody_takes_for_those_of_others():
    drawing, axes = canvas("A crowd")
    axes.set(xlim=(0, 16), ylim=(0, 250))
    crowd = [(3.1, 210), (3.4, 138), (3.8, 126), (4.3, 149), (5.7, 129), (6.6, 129), (11.7, 164), (14.7, 147)]
    axes.plot(*zip(*crowd, strict=True), "o")
    name_points(drawing, axes, [Spot(f"a rather long name {n}", *at, "gray") for n, at in enumerate(crowd)])
    drawing.draw_without_rendering()
    dot = drawing.dpi / 72
    points = axes.transData.transform(crowd)
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert any(text.arrow_patch for text in axes.texts)
    for mine, (text, box) in enumerate(zip(axes.texts, boxes, strict=True)):
        nearest = np.maximum(box.min - points, points - box.max).max(axis=1) / dot
        assert min(nearest) > 3, "it covers no point"
        assert text.arrow_patch or nearest.argmin() == mine, (
            "without a line to it, its own point is the nearest"
        )
        assert not any(box.overlaps(other) for other in boxes[:mine])
        if text.arrow_patch:
            (line,) = text.arrow_patch.get_path().to_polygons(closed_only=False)
            through = np.linspace(*text.arrow_patch.get_transform().transform(line)[[0, -1]], 50)
            for other in (box for number, box in enumerate(boxes) if number != mine):
                assert not ((through > other.min) & (through < other.max)).all(axis=1).any()


def test_no_line_goes_through_a_name_that_has_room_elsewhere(results):
    loop = results["step17_weak_references"]
    figure = pareto(
        loop,
        PEAK,
        TIME,
        **WORDS,
        where={"iterations": 400, "gc": "default"},
        reference={"references": "weak"},
    )
    (axes,) = _drawn(figure).axes
    # Those of the reference: the whole axes long.
    straight = [
        line for line in axes.lines if set(line.get_xdata()) == {0, 1} or set(line.get_ydata()) == {0, 1}
    ]
    assert len(straight) == 2
    for text in axes.texts:
        assert not any(line.get_window_extent().overlaps(Text.get_window_extent(text)) for line in straight)


def test_drawing_leaves_the_settings_of_matplotlib_as_they_were(figure):
    before = dict(matplotlib.rcParams)
    _drawn(figure)
    assert dict(matplotlib.rcParams) == before


def test_the_prediction_is_drawn_under_the_measurement_and_wider(results):
    figure = scaling(
        results["step18_retain_grad"],
        "peak_traced_bytes",
        "traced",
        over="length",
        by=["retain_grad"],
        **WORDS,
    )
    (axes,) = _drawn(figure).axes[:1]
    wide = [line for line in axes.lines if line.get_linewidth() == style.PREDICTED_LINE["linewidth"]]
    narrow = [line for line in axes.lines if line not in wide]
    assert len(wide) == len(narrow) == 2
    assert max(line.zorder for line in wide) < min(line.zorder for line in narrow)
    assert list(wide[1].get_ydata()) == [800_000 * (2 * k + 2) for k in (1, 2, 4, 8, 16)]


def test_the_bar_of_the_prediction_is_drawn_first_and_wider(results):
    (axes,) = _drawn(bars(results["step18_retain_grad"], "peak_rss_bytes", "resident", **WORDS)).axes[:1]
    under, over = axes.containers
    assert under[0].get_height() > over[0].get_height()
    assert under[0].zorder <= over[0].zorder


@pytest.mark.parametrize(
    ("largest", "expected"),
    [(1e11, ["10⁰", "10¹", "10⁶", "10¹¹"]), (1e6, ["1", "10", "1,000,000"])],
    ids=["so many powers that all are told as such", "few powers"],
)
def test_a_logarithmic_axis_has_one_notation(largest, expected):
    _, axes = canvas("Title")
    axes.set_yscale("log")
    number_axis(axes, "y", "", largest, "gradient")
    assert [
        axes.yaxis.get_major_formatter()(value, 0) for value in (1, 10, 1e6, 1e11) if value <= largest
    ] == (expected)


def test_lines_differ_in_more_than_colour(results):
    figure = scaling(
        results["step17_weak_references"],
        "peak_traced_bytes",
        "traced",
        over="iterations",
        by=["references", "gc"],
        **WORDS,
    )
    lines = [line for line in _drawn(figure).axes[0].lines if line.get_marker() != "None"]
    assert len(lines) == 4
    assert len({line.get_color() for line in lines}) == len({line.get_marker() for line in lines}) == 4
    assert len({str(style.line(place)["linestyle"]) for place in range(6)}) == 6


def test_arrays_are_counted_beside_bytes(results):
    figure = bars(results["step18_retain_grad"], "peak_rss_bytes", "resident", **WORDS)
    (axes,) = _drawn(figure).axes
    (second,) = axes.child_axes
    assert second.get_xlabel() == "arrays (S)"
    assert second.get_xlim() == pytest.approx([end / 800_000 for end in axes.get_xlim()])


def test_axes_have_human_units(results):
    figure = timeline(results["step17_weak_references"], where={"iterations": 400, "gc": "default"}, **WORDS)
    (axes,) = _drawn(figure).axes
    assert axes.get_ylabel() == "resident bytes (MiB)"
    ticks = [label.get_text() for label in axes.get_yticklabels()]
    assert "100" in ticks and "200" in ticks


def test_every_collection_is_marked_on_its_line(results):
    one = results["step17_weak_references"]
    figure = timeline(one, where={"iterations": 400, "gc": "default", "references": "strong"}, **WORDS)
    (axes,) = _drawn(figure).axes
    (marks,) = [line for line in axes.lines if line.get_marker() == "v"]
    (cell,) = one.cells(
        "peak_rss_bytes", "resident", where={"iterations": 400, "gc": "default", "references": "strong"}
    )
    assert len(marks.get_xdata()) == cell.trial.metrics["gc_collections_count"] == 5
    # The readings fall after each mark: it stands at the top of the saw's tooth.
    readings = one.series(cell.trial)["event_rss_bytes"]
    assert min(marks.get_ydata()) > max(readings) / 2


def test_lines_that_cover_each_other_are_one_with_all_their_names(results):
    one = results["step17_weak_references"]
    drawing = _drawn(timeline(one, by=["gc"], where={"iterations": 400, "references": "weak"}, **WORDS))
    (legend,) = drawing.legends
    assert legend.get_texts()[0].get_text() == "default; off"
    assert len([line for line in drawing.axes[0].lines if line.get_linewidth() == 1.3]) == 1


def test_a_logarithmic_timeline_shows_its_lowest_line_and_tells_each_tick_with_its_unit(results):
    figure = timeline(
        results["step17_weak_references"],
        where={"iterations": 400, "gc": "default"},
        **WORDS,
        logarithmic=True,
    )
    (axes,) = _drawn(figure).axes
    assert axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    assert low < 802_816 < 154 * 802_816 < high
    assert {"1 MiB", "64 MiB"} <= {label.get_text() for label in axes.get_yticklabels()}


@pytest.mark.parametrize(("longest", "scale"), [(0.005, "linear"), (0.5, "log")])
def test_pauses_far_apart_get_a_logarithmic_axis(make_store, tmp_path, results_of, longest, scale):
    with make_store(tmp_path) as store:
        series = {
            "collection_step": [1, 2],
            "collection_generation": [0, 2],
            "collection_pause_seconds": [0.001, longest],
        }
        made = store.outcome({"gc_pause_max_seconds": longest}, series=series)
        store.add("loop", {"n": 1}, "timed", 0, made)
    (axes,) = _drawn(pauses(results_of(tmp_path), **WORDS)).axes
    assert axes.get_yscale() == scale
    assert axes.get_ylim()[0] < 0.001 < longest < axes.get_ylim()[1]


def test_events_are_spread_over_their_step():
    steps = np.array([0, 0, 1, 1, 1, 1, 4])
    assert _within_steps(steps).tolist() == [0.5, 1.0, 1.25, 1.5, 1.75, 2.0, 5.0]
    assert _within_steps(np.array([-1, -1])).tolist() == [-0.5, 0.0]


def test_the_parts_of_what_waits_add_up(results):
    figure = waiting(results["step17_reference_counting"], **WORDS)
    assert "garbage awaiting collection" in figure.alt
    (axes,) = _drawn(figure).axes
    _, *parts = axes.containers
    ends = [patch.get_x() + patch.get_width() for patch in parts[-1]]
    wanted = [
        cell.estimate.median
        for cell in results["step17_reference_counting"].cells("end_rss_bytes", "resident")
    ]
    assert ends == pytest.approx(wanted)


def test_a_part_that_cannot_be_seen_is_told_and_not_in_the_legend(make_store, tmp_path, results_of):
    with make_store(tmp_path) as store:
        names = ("end", "dropped", "collected", "trimmed")
        readings = zip(names, (100 << 20, 100 << 20, 99 << 20, 4096), strict=True)
        made = store.outcome({f"{name}_rss_bytes": reading for name, reading in readings})
        store.add("loop", {"n": 1}, "resident", 0, made)
    figure = waiting(results_of(tmp_path), **WORDS)
    assert figure.caption.endswith(
        " Too thin to be seen: still there after all, 4.00\N{NO-BREAK SPACE}KiB at most."
    )
    (legend,) = _drawn(figure).legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["garbage awaiting collection", "retained by the allocator"]


@pytest.mark.parametrize("kind", [bars, scaling])
def test_what_cannot_be_drawn_says_what_is_missing(results, kind):
    extra = {"over": "iterations"} if kind is scaling else {}
    figure = kind(results["step17_weak_references"], "no_such_bytes", "resident", **extra, **WORDS)
    assert figure.draw is None
    assert figure.alt == "Not drawn: the store holds no resident trial with no_such_bytes here."


@pytest.mark.parametrize("kind", [timeline, waiting, pauses])
def test_what_has_no_series_or_readings_is_not_drawn(results, kind):
    assert kind(results["guest"], **WORDS).draw is None


def test_many_cells_are_cut_and_counted(make_results):
    many = make_results({"n": n} for n in range(50))
    figure = bars(many, "peak_rss_bytes", "resident", **WORDS)
    assert "The first 40 of 50 cells" in figure.caption
    assert len(_drawn(figure).axes[0].get_yticks()) == 40


def test_hostile_labels_are_drawn_as_they_stand(results, hostile):
    figure = bars(results["guest"], "peak_rss_bytes", "resident", name="x", title=hostile, caption=hostile)
    labels = [label.get_text() for label in _drawn(figure).axes[0].get_yticklabels()]
    assert any("</script><b>" in label for label in labels)
    assert "_hidden" in labels


def test_a_label_that_the_font_cannot_draw_is_marked():
    assert shown("a\u202e한\n$x$") == "a\ufffd\ufffd\ufffd$x$"
    assert len(shown("x" * 300)) == 64


def test_a_label_breaks_between_factors():
    assert _wrapped("references=strong, gc=default, iterations=400") == [
        "references=strong, gc=default",
        "iterations=400",
    ]


def test_every_colour_of_the_style_has_one_on_a_dark_ground(results):
    for kind in KINDS.values():
        drawing = _drawn(kind(results["step17_weak_references"]))
        for axes in drawing.axes:
            for line in axes.lines:
                assert to_hex(line.get_color()) in style.ON_DARK
            for patch in axes.patches:
                assert to_hex(patch.get_facecolor()) in style.ON_DARK


def _luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


def _contrast(one, other):
    """The contrast ratio of the Web Content Accessibility Guidelines 2.2."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_text_and_lines_stand_out_from_both_grounds():
    for text in (style.INK, style.MUTED):
        assert _contrast(text, style.PAPER) >= 4.5
        assert _contrast(style.ON_DARK[text], style.ON_DARK[style.PAPER]) >= 4.5
    for line in style.SERIES:
        assert _contrast(line, style.PAPER) >= 2
        assert _contrast(style.ON_DARK[line], style.ON_DARK[style.PAPER]) >= 4.5
