"""The figure and the table of what memory consists of, made of what a ledger told of hand-made trials."""

import warnings
from functools import partial

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from toolkit.analysis.results import Results
from toolkit.experiment import Experiment
from toolkit.probes.ledger import PHASES, ROLES
from toolkit.report import style
from toolkit.report.build import document
from toolkit.report.charts.bars import bars
from toolkit.report.charts.roles import roles
from toolkit.report.tables import composition, medians
from toolkit.store.read import read_store, series

WORDS = {"name": "figure", "title": "What is seen", "caption": "A word before."}
MIB = 1 << 20
HARD = "\N{NO-BREAK SPACE}"
#: Phase, then MiB of each role.
READINGS = [
    ("forward", 1, 1, 1, 0, 0, 1),
    ("forward", 1, 1, 2, 1, 0, 0),
    ("backward", 1, 1, 2, 1, 3, 0),
    ("backward", 1, 1, 1, 1, 4, 0),
    ("release", 1, 1, 0, 0, 2, 0),
]


def told(readings):
    columns = list(zip(*readings, strict=True))
    names = [f"event_{role}_bytes" for role in ROLES]
    return {
        "event_step": [0] * len(readings),
        "event_phase": [PHASES.index(phase) for phase in columns[0]],
        **{name: [MIB * one for one in held] for name, held in zip(names, columns[1:], strict=True)},
    }


def metrics(readings):
    highest = max(reversed(readings), key=lambda reading: sum(reading[1:]))
    return {
        "ledger_peak_bytes": MIB * sum(highest[1:]),
        **{f"ledger_{role}_at_peak_bytes": MIB * n for role, n in zip(ROLES, highest[1:], strict=True)},
        **{
            f"ledger_{phase}_peak_bytes": MIB * max(sum(one[1:]) for one in readings if one[0] == phase)
            for phase in PHASES
        },
        "ledger_arrays_count": 12,
    }


@pytest.fixture
def make(make_store, tmp_path):
    """Return a function that makes results of cells, given the readings of each level of k."""

    def results(cells):
        with make_store(tmp_path) as store:
            for k, readings in cells.items():
                outcome = store.outcome(metrics(readings), series=told(readings))
                store.add("layers", {"k": k}, "ledger", 0, outcome)
        return Results("layers", read_store(tmp_path).rows, partial(series, tmp_path))

    return results


def drawn(figure):
    with style.applied("salt"), warnings.catch_warnings(action="error"):
        drawing = figure.draw()
        FigureCanvasAgg(drawing).draw()
    return drawing


def test_it_says_in_words_of_what_the_peak_consisted(make):
    figure = roles(make({1: READINGS}), **WORDS)
    assert figure.caption.startswith("A word before. One trial of each cell")
    assert figure.alt == (
        "Areas of logical bytes by role over events. all trials: peak 8.00\N{NO-BREAK SPACE}MiB (backward), "
        "of it 1.00\N{NO-BREAK SPACE}MiB parameter, 1.00\N{NO-BREAK SPACE}MiB input, "
        "1.00\N{NO-BREAK SPACE}MiB activation, 1.00\N{NO-BREAK SPACE}MiB saved tensor, "
        "4.00\N{NO-BREAK SPACE}MiB gradient."
    )


def test_the_areas_stack_up_to_the_total(make):
    axes, strip = drawn(roles(make({1: READINGS}), **WORDS)).axes
    *areas, outline = axes.patches
    assert len(areas) == len(ROLES)
    assert list(outline.get_data().values) == [MIB * sum(one[1:]) for one in READINGS]
    floor = 0
    for area, held in zip(areas, list(zip(*READINGS, strict=True))[1:], strict=True):
        assert list(area.get_data().values - area.get_data().baseline) == [MIB * n for n in held]
        assert (area.get_data().baseline == floor).all()
        floor = area.get_data().values
    assert [text.get_text() for text in strip.texts] == ["forward", "backward", "release"]
    assert [patch.get_width() for patch in strip.patches] == [2, 2, 1]


def test_the_last_of_equal_peaks_is_marked(make):
    axes, _ = drawn(roles(make({1: READINGS}), **WORDS)).axes
    (mark,) = [line for line in axes.lines if line.get_marker() == "v"]
    assert list(mark.get_xdata()) == [4.0]
    assert [text.get_text() for text in axes.texts] == ["peak 8.00\N{NO-BREAK SPACE}MiB"]


def test_each_cell_has_a_panel_and_all_one_scale(make):
    half = [(phase, *(n // 2 for n in held)) for phase, *held in READINGS]
    drawing = drawn(roles(make({1: half, 2: READINGS}), **WORDS))
    upper, _, lower, _ = drawing.axes
    assert (upper.get_title(loc="left"), lower.get_title(loc="left")) == ("k=1", "k=2")
    assert upper.get_ylim() == lower.get_ylim()
    (legend,) = drawing.legends
    assert [text.get_text() for text in legend.texts] == [
        *("parameter", "input", "activation", "saved tensor", "gradient", "temporary"),
        *(f"phase: {phase}" for phase in PHASES),
    ]
    for axes in drawing.axes:
        assert not axes.get_window_extent().overlaps(legend.get_window_extent())
        for patch in axes.patches:
            if patch.get_fill():
                assert to_hex(patch.get_facecolor()) in style.ON_DARK


def test_many_events_are_drawn_by_the_highest_of_each_group(make):
    many = [("forward", 0, n % 100, 0, 0, 0, 0) for n in range(4000)]
    axes, _ = drawn(roles(make({1: [*many, ("backward", 0, 0, 0, 0, 1, 0), READINGS[-1]]}), **WORDS)).axes
    values = axes.patches[-1].get_data().values
    assert len(values) == 400
    assert values.max() == 99 * MIB


def test_the_caption_adds_up_the_peak_the_largest_part_first(make):
    figure = roles(make({1: READINGS}), **WORDS)
    parts = ("gradient 4.00", "parameter 1.00", "input 1.00", "activation 1.00", "saved tensor 1.00")
    told = " + ".join(f"{part}{HARD}MiB" for part in parts)
    assert f"Triangle: the peak, of which all trials: {told}." in figure.caption


def test_the_caption_counts_in_arrays_where_theory_knows_their_size(make_store, tmp_path):
    with make_store(tmp_path) as store:
        outcome = store.outcome(metrics(READINGS), series=told(READINGS))
        store.add("layers", {"steps": 4}, "ledger", 0, outcome)
        for mode, size in (("fresh", MIB // 2), ("reused", None)):
            known = {} if size is None else {"prediction_array_bytes": size}
            predicted = {} if size is None else {"predicted_peak_bytes": 9 * MIB}
            outcome = store.outcome({"peak_traced_bytes": 9 * MIB, **predicted}, conditions=known)
            store.add("layers", {"steps": 60, "mode": mode}, "traced", 0, outcome)
    results = Results("layers", read_store(tmp_path).rows, partial(series, tmp_path))
    figure = roles(results, by=["steps"], where={"steps": 4}, **WORDS)
    assert f"all trials: gradient 8.00{HARD}S + parameter 2.00{HARD}S" in figure.caption


def test_more_cells_than_fit_are_counted(make):
    figure = roles(make(dict.fromkeys(range(6), READINGS)), **WORDS)
    assert "The first 4 of 6 cells." in figure.caption
    assert len(drawn(figure).axes) == 8


def test_without_a_ledger_there_is_neither_figure_nor_table(results):
    one = results["step18_retain_grad"]
    figure = roles(one, **WORDS)
    assert figure.draw is None
    assert figure.alt == "Not drawn: the store holds no ledger trial with arrays here."
    assert composition(one, "stem") is None


def test_the_table_adds_up_and_leaves_out_what_never_was(make):
    half = [(phase, *(n // 2 for n in held)) for phase, *held in READINGS]
    table = composition(make({1: half, 2: READINGS}), "stem")
    assert [column.heading for column in table.columns] == [
        *("k", "peak", "parameter", "input", "activation", "saved tensor", "gradient"),
        *("forward peak", "backward peak", "left by a release", "arrays met", "observer effect"),
    ]
    for _, peak, *held in table.rows:
        assert sum(held[:5]) == peak
    assert table.rows[1][:-1] == (2, 8 * MIB, *(MIB * n for n in (1, 1, 1, 1, 4, 5, 8, 4)), 12)


def test_a_section_has_the_table_and_the_medians_do_without_it(make, tmp_path):
    one = make({1: READINGS, 2: READINGS})
    (made,) = document(tmp_path, {}).sections
    assert [table.title.partition(":")[0] for table in made.tables] == [
        "Composition at the peak",
        "Medians of each cell",
    ]
    assert not [column for column in medians(one, "stem").columns if column.name.startswith("ledger")]


@pytest.mark.parametrize(
    ("own", "names"),
    [(None, ["peak_rss_bytes", "timeline", "roles", "waterfall"]), ("mine", ["mine", "roles", "waterfall"])],
)
def test_an_experiment_of_ones_own_gets_its_figures_drawn(make_store, tmp_path, own, names):
    def figures(results):
        yield bars(results, "peak_rss_bytes", "resident", name=own, title="Of its own")

    resident = {"peak_rss_bytes": 5 * MIB, "heap_anonymous_rss_bytes": 5 * MIB, "heap_file_rss_bytes": 0}
    cells = {
        "resident": (resident, {"event_step": [0, 1], "event_rss_bytes": [MIB, 5 * MIB]}),
        "traced": ({"peak_traced_bytes": 5 * MIB}, {}),
        "ledger": (metrics(READINGS), told(READINGS)),
    }
    with make_store(tmp_path) as store:
        for measure, (numbers, readings) in cells.items():
            store.add("layers", {"k": 1}, measure, 0, store.outcome(numbers, series=readings))
    script = Experiment(lambda trial, k: None, {"k": [1]}, figures=figures if own else None)
    (made,) = document(tmp_path, {"layers": lambda: script}).sections
    assert made.lacks == ()
    stems = [picture.stem.removeprefix("layers-") for picture in made.pictures if picture.svg]
    assert [stem for stem in stems if stem != "peak_traced_bytes"] == names


def test_a_figure_of_the_scripts_own_stands_in_the_place_of_the_general_one(make, tmp_path):
    make({1: READINGS})

    def figures(results):
        yield roles(results, **{**WORDS, "name": "roles"})

    script = Experiment(lambda trial, k: None, {"k": [1]}, figures=figures)
    (made,) = document(tmp_path, {"layers": lambda: script}).sections
    assert [picture.title for picture in made.pictures] == ["What is seen"]
