import re
import shutil
import sqlite3
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from toolkit.experiment import Experiment
from toolkit.report import Figure, Finding
from toolkit.report.build import document, write_report
from toolkit.report.folder import write_folder
from toolkit.store import BadStore, StoreUnwritable, workshop
from toolkit.store.write import Writer
from toolkit.trials.code import code_digest


def _files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _workload(trial):
    pass


def _at_hand(**experiments):
    return {name: partial(lambda one: one, one) for name, one in experiments.items()}


@pytest.fixture
def small(make_results, tmp_path):
    """A store of two cells, in `tmp_path`."""
    make_results([{"n": 1}, {"n": 2}])
    return tmp_path


def test_the_report_has_every_part(report, experiments):
    files = _files(report)
    assert {"index.html", "report.md", "tables/required.csv"} <= set(files)
    assert {Path(name).parts[0] for name in files} == {"index.html", "report.md", "figures", "tables"}
    pictures = {Path(name).stem for name in files if name.startswith("figures/")}
    assert {f"figures/{stem}.{kind}" for stem in pictures for kind in ("svg", "png")} <= set(files)
    page = files["index.html"].decode()
    for part in (
        "Step 17.5: do weak output references",
        "Ten iterations, as in the book, never reach the collector.",
        "toolkit run step17_weak_references --profile default --set gc=default,off --replicates=3",
        "Imaginary 2000",
        "crash",
        "exit code -11",
        "Segmentation fault",
        "2023-11-14 22:13",
        "8 S, within 0.1 S",
        "A figure without numbers. Not drawn: the store holds no resident trial with no_such_bytes here.",
        "keeps alive",
    ):
        assert part in page
    assert "never read" not in page


def test_answers_come_before_sections_and_sections_in_the_order_of_the_scripts(report):
    page = (report / "index.html").read_text(encoding="utf-8")
    places = [
        page.index(f'<section id="{anchor}"')
        for anchor in (
            "answers",
            "theory",
            "step17_weak_references",
            "step18_retain_grad",
            "step18_no_grad",
            "required",
            "machine",
            "methods",
        )
    ]
    assert places == sorted(places)


def test_the_same_store_gives_the_same_bytes_in_any_folder(report, results_dir, experiments, tmp_path):
    elsewhere = tmp_path / "an other\u2019s folder"
    elsewhere.mkdir()
    shutil.copy(results_dir / "results.db", elsewhere)
    again = write_report(elsewhere, document(elsewhere, experiments)).parent
    assert _files(again) == _files(report)


def test_nothing_on_the_page_needs_a_network_or_a_script(report):
    page = (report / "index.html").read_text(encoding="utf-8")
    assert "<script" not in page
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert not [link for link in links if re.match(r"\w+:(?!,)|//", link)]
    targets = {link for link in links if not link.startswith(("#", "data:"))}
    assert all((report / target).is_file() for target in targets)


def test_every_id_on_the_page_is_there_once(report):
    ids = re.findall(r'\sid="([^"]+)"', (report / "index.html").read_text(encoding="utf-8"))
    assert len(ids) == len(set(ids))


def test_names_of_files_are_safe_whatever_experiments_are_called(report):
    names = [path.name for path in report.rglob("*")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,75}", name) for name in names)
    assert any(name.startswith("guest-") for name in names)


def test_theory_that_does_not_hold_is_said_not_to_and_where(report):
    page = (report / "index.html").read_text(encoding="utf-8")
    theory = page[page.index('<section id="theory"') : page.index('<section id="step17_weak_references"')]
    sentences = theory[: theory.index("<table>")]
    assert sentences.count(">deviates<") == 4
    assert "beyond it and UNEXPLAINED" in sentences
    assert ">none is named<" in theory
    assert "the furthest off is 138 pages, in step18_no_grad at enable_backprop=False, length=16" in theory


def test_failures_are_listed_with_what_they_said(make_store, tmp_path, hostile):
    lines = "".join(f"line {line}\n" for line in range(99))
    message = f"ended by SIGSEGV\n{lines}{'x' * 5000}\n{hostile}"
    with make_store(tmp_path) as store:
        made = replace(store.outcome({}), status="crash", exit_code=-11, message=message)
        store.add("loop", {"n": 1}, "resident", 0, made)
    (section,) = document(tmp_path, {}).sections
    (failure,) = section.failures
    assert (failure.status, failure.exit_code) == ("crash", -11)
    assert failure.trial == "n=1 (resident, replicate 0)"
    assert failure.message.endswith(hostile)
    # Why it failed, and the last of what it wrote.
    assert failure.message.startswith("ended by SIGSEGV\n...\nline 89\n")
    assert f"{'x' * 500}...\n" in failure.message


def test_a_script_that_raises_leaves_the_rest_of_the_report(small):
    def figures(results):
        yield Figure(name="good", title="Good", caption="", alt="", draw=None)
        yield Figure(name="bad", title="Bad", caption="", alt="", draw=lambda: 1 / 0)
        raise KeyError("no such level")

    def findings(results):
        yield Finding(sentence="Said before.")
        sys.exit("gone")

    experiment = Experiment(_workload, {"n": [1, 2]}, figures=figures, findings=findings)
    made = document(small, _at_hand(many=experiment))
    (section,) = made.sections
    assert len(made.lacks) == 3
    assert [finding.sentence for finding in section.findings] == ["Said before."]
    assert [picture.title for picture in section.pictures] == ["Good"]
    assert "Findings of many ended early: SystemExit: gone" in section.notes
    assert any("ZeroDivisionError" in note for note in section.notes)
    assert section.tables


def test_a_script_that_cannot_even_begin_is_named(small):
    experiment = Experiment(_workload, {"n": [1, 2]}, findings=lambda results: 1 / 0)
    (section,) = document(small, _at_hand(many=experiment)).sections
    assert section.findings == ()
    assert "ZeroDivisionError" in section.lacks[0]


@pytest.mark.parametrize(
    "problem", [NameError("no numpy"), SystemExit("no numpy")], ids=lambda one: type(one).__name__
)
def test_a_script_that_cannot_be_used_is_a_note_of_its_section(small, problem):
    def load():
        raise problem

    (section,) = document(small, {"many": load}).sections
    assert section.lacks == (f"its script cannot be used: {type(problem).__name__}: no numpy",)
    assert section.notes[0] == f"Its script cannot be used: {type(problem).__name__}: no numpy"
    assert section.tables


def test_only_the_scripts_of_what_the_store_holds_are_loaded(small):
    document(small, {"other": lambda: pytest.fail("was loaded")})


def test_a_report_may_be_of_some_experiments(make_store, tmp_path):
    with make_store(tmp_path) as store:
        for name in "abc":
            store.add(name, {"n": 1}, "resident", 0, store.outcome({"peak_rss_bytes": 1}))
    made = document(tmp_path, {}, ["c", "a", "unknown"])
    assert [section.experiment for section in made.sections] == ["c", "a"]


def test_an_experiment_without_figures_gets_the_general_ones(small):
    (section,) = document(small, _at_hand(many=Experiment(_workload, {"n": [2, 1]}))).sections
    assert [picture.stem for picture in section.pictures] == ["many-peak_rss_bytes"]
    assert len(section.tables) == 1


def test_a_script_that_has_not_run_is_not_in_the_report(small):
    assert (
        len(
            document(
                small, _at_hand(many=Experiment(_workload, {}), other=Experiment(_workload, {}))
            ).sections
        )
        == 1
    )


def test_a_level_that_a_run_skipped_is_told_of_until_it_has_been_measured(make_store, tmp_path):
    with make_store(tmp_path) as store:
        outcome = store.outcome({"peak_rss_bytes": 1})
        first = store.add("loop", {"malloc": "fixed"}, "resident", 0, outcome)
    skipped = {"loop": {"malloc=jemalloc": "no library"}, "another": {"malloc=mimalloc": "none either"}}
    heap, jemalloc = (replace(first, factors={"malloc": level}) for level in ("heap", "jemalloc"))
    with Writer(tmp_path) as writer:
        writer.add(writer.begin_run({"skipped_levels": skipped}, [first, heap]), heap, outcome)
    (section,) = document(tmp_path, {}).sections
    assert [note for note in section.notes if "Skipped" in note] == ["Skipped malloc=jemalloc: no library."]
    assert not [what for what, _ in section.machine if "skipped" in what]

    with Writer(tmp_path) as writer:
        writer.add(writer.begin_run({}, [first, heap, jemalloc]), jemalloc, outcome)
    (section,) = document(tmp_path, {}).sections
    assert not [note for note in section.notes if "Skipped" in note]


def test_trials_with_older_constants_are_left_out_and_counted(make_store, tmp_path):
    with make_store(tmp_path) as store:
        for constant in (10, 20):
            store.add(
                "loop",
                {"n": 1},
                "resident",
                0,
                store.outcome({"peak_rss_bytes": constant}),
                {"iterations": constant},
            )
    (section,) = document(tmp_path, {}).sections
    assert section.notes[-1] == "Not shown: 1 trial with other constants than the last run's: iterations=10."
    (medians,) = section.tables
    assert [row[-1].median for row in medians.rows] == [20]


def _again(folder, *trials):
    with Writer(folder) as writer:
        writer.begin_run({}, trials)


def test_the_constants_planned_last_rule_though_others_ran_later(make_store, tmp_path):
    with make_store(tmp_path) as store:
        first, *_ = [
            store.add("loop", {"k": 1}, "resident", 0, store.outcome({"peak_rss_bytes": n}), {"n": n})
            for n in (10, 20)
        ]
        # As a factor: levels of --set, or of another profile.
        for n in (10, 30):
            store.add("loop", {"k": 2, "n": n}, "resident", 0, store.outcome({"peak_rss_bytes": n}))
    _again(tmp_path, first)
    (section,) = document(tmp_path, {}).sections
    (medians,) = section.tables
    assert [(row[0], row[-1].median) for row in medians.rows] == [(1, 10), (2, 10)]
    assert section.notes[-1] == "Not shown: 2 trials with other constants than the last run's: n=20; n=30."


def test_cells_that_have_more_replicates_than_others_are_counted(make_store, tmp_path):
    with make_store(tmp_path) as store:
        for k, count in ((1, 5), (2, 2), (3, 2), (4, 6)):
            for replicate in range(count):
                store.add("loop", {"k": k}, "timed", replicate, store.outcome({"wall_seconds": 1.0}))
        store.add("loop", {"k": 1}, "traced", 0, store.outcome({"peak_traced_bytes": 8}))
        store.add("loop", {"k": 1}, "traced", 1, replace(store.outcome({}), status="crash"))
    (section,) = document(tmp_path, {}).sections
    told = dict(section.method)["replicates of a cell"].replace("\N{NO-BREAK SPACE}", " ")
    assert told == (
        "1 traced (no intervals), 2 timed in 2 cells (ranges cover the median with 50.0 %), 5 timed in 1 cell "
        "(ranges cover the median with 93.8 %), 6 timed in 1 cell (intervals cover the median with 96.9 %)"
    )


def test_levels_set_on_top_stand_beside_what_was_constant_before(make_store, tmp_path):
    with make_store(tmp_path) as store:
        store.add("loop", {"k": 1}, "resident", 0, store.outcome({"peak_rss_bytes": 10}), {"n": 10})
        last = store.add("loop", {"k": 1, "n": 20}, "resident", 0, store.outcome({"peak_rss_bytes": 20}))
    _again(tmp_path, last)
    (section,) = document(tmp_path, {}).sections
    (medians,) = section.tables
    assert [(row[0], row[-1].median) for row in medians.rows] == [(10, 10), (20, 20)]
    assert not any("Not shown" in note for note in section.notes)


def test_another_seed_is_not_pooled(make_store, tmp_path):
    with make_store(tmp_path) as store:
        for seed in (1, 2):
            made = store.outcome({"peak_rss_bytes": seed})
            store.add("loop", {"k": 1}, "resident", 0, made, seed=seed)
    (section,) = document(tmp_path, {}).sections
    (medians,) = section.tables
    assert [row[-1].median for row in medians.rows] == [2]
    assert section.notes[-1] == "Not shown: 1 trial with other constants than the last run's: random seed=1."


def test_trials_of_other_code_are_counted_and_present_code_is_compared(make_store, tmp_path):
    experiment = Experiment(_workload, {"k": [1]})
    with make_store(tmp_path) as store:
        for replicate in range(4):
            made = store.outcome({"peak_rss_bytes": 1})
            old = store.add("loop", {"k": 1}, "resident", replicate, made)
    (section,) = document(tmp_path, _at_hand(loop=experiment)).sections
    assert section.notes == (
        "What is shown is of earlier code: the script or the toolkit has changed since it ran.",
    )
    present = replace(old, code_digest=code_digest(experiment))
    _again(tmp_path, present)
    (section,) = document(tmp_path, _at_hand(loop=experiment)).sections
    assert section.notes == ("Not shown: 4 trials of other code than the last run's.",)
    assert not section.tables and not section.findings
    assert (
        b"none of the newest code"
        in write_report(tmp_path, document(tmp_path, _at_hand(loop=experiment))).read_bytes()
    )


def test_only_failures_make_a_report_too(make_store, tmp_path):
    with make_store(tmp_path) as store:
        store.add(
            "loop",
            {"n": 1},
            "resident",
            0,
            replace(store.outcome({}), status="timeout", exit_code=None, message=""),
        )
    (section,) = document(tmp_path, {}).sections
    assert section.failures[0].status == "timeout" and section.tables == ()
    assert b"timeout" in write_report(tmp_path, document(tmp_path, {})).read_bytes()


def test_a_run_without_trials_makes_a_report_that_says_so(make_store, tmp_path):
    with make_store(tmp_path):
        pass
    assert b"none yet" in write_report(tmp_path, document(tmp_path, {})).read_bytes()


def test_damaged_rows_are_named(small):
    with sqlite3.connect(small / "results.db") as connection:
        connection.execute("UPDATE trial SET metrics = '{}' WHERE id = 1")
    connection.close()
    (note,) = document(small, {}).notes
    assert note.startswith("Left out: 1 damaged row of the store, listed where ")


def test_a_new_report_takes_the_place_of_the_old_one(small):
    page = write_report(small, document(small, {}))
    stale = page.parent / "figures" / "stale.svg"
    stale.parent.mkdir(exist_ok=True)
    stale.write_text("old")
    assert write_report(small, document(small, {})) == page
    assert not stale.exists()
    assert sorted(path.name for path in small.iterdir() if not path.name.startswith("results.db")) == [
        "report"
    ]


def test_a_bad_store_leaves_the_old_report_whole(small):
    page = write_report(small, document(small, {}))
    before = _files(page.parent)
    (small / "results.db").write_bytes(b"no database at all")
    with pytest.raises(BadStore):
        write_report(small, document(small, {}))
    assert _files(page.parent) == before


def test_a_folder_that_cannot_be_written_leaves_the_old_one_whole(tmp_path):
    folder = tmp_path / "report"
    write_folder(folder, {"a/b.txt": b"old"})
    with pytest.raises(StoreUnwritable, match="report"):
        write_folder(folder, {"a": b"a file", "a/b.txt": b"and a folder of its name"})
    assert _files(folder) == {"a/b.txt": b"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_folder_is_put_back_if_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    folder = tmp_path / "report"
    write_folder(folder, {"a.txt": b"old"})
    monkeypatch.setattr(workshop, "_exchange", lambda *_: False)
    rename = Path.rename

    def refuse(path, target):
        if path.name == "new":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StoreUnwritable, match="No space left"):
        write_folder(folder, {"a.txt": b"new"})
    assert _files(folder) == {"a.txt": b"old"}
