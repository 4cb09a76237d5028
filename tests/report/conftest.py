"""A store as the experiments of steps 15 to 18 would leave it, with hand-made numbers, and a hostile guest."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolkit.analysis.predictions import Prediction
from toolkit.analysis.results import Results
from toolkit.experiment import Experiment
from toolkit.report.build import document, write_report
from toolkit.store import Row
from toolkit.store.read import read_store, series
from toolkit.store.write import Writer
from toolkit.trials import Level, Measure, Outcome, Trial
from toolkit.trials.script import load_script

BOOK_GAPS = (53, 72, 76, 77, 77, 77)
SCRIPTS = Path(__file__).parent / "scripts"
HOSTILE = "</script><b>bold</b>|`x`\n[a](javascript:alert(1))\u202e$\\frac{"
RUN = {
    "profile": "default",
    "arguments": ["run", "--profile", "default", "--set", "gc=default,off", "--replicates=3"],
    "boot_id": "never read",
    "git_commit": "0123456789abcdef0123456789abcdef01234567",
    "git_dirty": False,
    "python": "3.11.7",
    "numpy": "2.4.6",
    "libc": "glibc 2.36",
    "kernel": "Linux 6.18",
    "cpu": "Imaginary 2000",
    "cpu_count": 2,
    "thp": "madvise",
}


class Store:
    """Adds trials to a store one after the other, each a second after the last."""

    def __init__(self, writer: Writer, run: int) -> None:
        self._writer, self._run = writer, run
        self._clock = 1_700_000_000.0
        self._random = np.random.default_rng(0)

    @staticmethod
    def outcome(metrics: Mapping[str, int | float], **changes: Any) -> Outcome:
        """Make the outcome of a trial that ended well."""
        return Outcome(
            status="ok", exit_code=0, metrics=metrics, started_at=0.0, elapsed_seconds=0.4, **changes
        )

    def add(
        self,
        experiment: str,
        factors: Mapping[str, Level],
        measure: Measure,
        replicate: int,
        made: Outcome,
        constants: Mapping[str, Level] | None = None,
        seed: int = 0,
    ) -> Trial:
        trial = Trial(
            experiment=experiment,
            script=f"experiments/{experiment}.py",
            factors=factors,
            constants=constants or {},
            measure=measure,
            replicate=replicate,
            seed=seed,
            deadline_seconds=60.0,
            code_digest=hashlib.sha256(experiment.encode("utf-8", "replace")).hexdigest(),
        )
        self._clock += 1
        values = {name: getattr(made, name) for name in made.__dataclass_fields__} | {
            "started_at": self._clock
        }
        self._writer.add(self._run, trial, Outcome(**values))
        return trial

    def memory_cell(
        self,
        experiment: str,
        factors: Mapping[str, Level],
        prediction: Prediction,
        *,
        peak_arrays: float | None = None,
        after: tuple[float, float, float] = (0, 0, 0),
        series: Mapping[str, list[Any]] | None = None,
        collections: int = 0,
        constants: Mapping[str, Level] | None = None,
    ) -> None:
        """Add the trials of a cell; `after` is what is left in arrays when dropped, collected and trimmed."""
        bytes_each = {
            "resident": prediction.peak_bytes("resident") / prediction.peak_arrays,
            "traced": prediction.array_bytes,
        }
        conditions = {
            "prediction_exact": prediction.exact,
            "prediction_basis": prediction.basis,
            "prediction_array_bytes": prediction.array_bytes,
            "python": "3.11.7",
            "gc_threshold0": 700,
            "page_bytes": 4096,
        }
        arrays = prediction.peak_arrays if peak_arrays is None else peak_arrays
        pause = [0.004 + 0.001 * n for n in range(collections)]
        gc = {
            "gc_collections_count": collections,
            "gc_collected_count": 600 * collections,
            "gc_pause_total_seconds": sum(pause),
            "gc_pause_max_seconds": max(pause, default=0.0),
        }
        for replicate in range(3):
            each, stray = bytes_each["resident"], 4096 * int(self._random.integers(0, 2))
            left = [round(some * each) for some in (prediction.end_arrays, *after)]
            names = ("end", "dropped", "collected", "trimmed")
            metrics = {
                "baseline_rss_bytes": 31_000_000 + 4096 * replicate,
                "peak_rss_bytes": round(arrays * each) + stray,
                **{f"{name}_rss_bytes": some for name, some in zip(names, left, strict=True)},
                "predicted_peak_bytes": prediction.peak_bytes("resident"),
                "predicted_end_bytes": prediction.end_bytes("resident"),
                "wall_seconds": 0.2,
            }
            self.add(
                experiment,
                factors,
                "resident",
                replicate,
                self.outcome(metrics | gc, conditions=conditions, series=series or {}),
                constants,
            )
        each = bytes_each["traced"]
        left = [round(some * each) + 700 for some in (prediction.end_arrays, *after[:2])]
        metrics = {
            "peak_traced_bytes": round(arrays * each) + 1234,
            "peak_traced_total_bytes": round(arrays * each) + 54_321,
            **{f"{name}_traced_bytes": some for name, some in zip(names, left, strict=False)},
            "predicted_peak_bytes": prediction.peak_bytes("traced"),
            "predicted_end_bytes": prediction.end_bytes("traced"),
            "wall_seconds": 0.3,
        }
        self.add(
            experiment, factors, "traced", 0, self.outcome(metrics | gc, conditions=conditions), constants
        )
        for replicate in range(5):
            wall = 0.1 * float(self._random.normal(1, 0.03)) * (1 + 0.2 * bool(collections))
            pauses = {
                "collection_step": _steps_of(collections),
                "collection_generation": [1 if n % 11 == 10 else 0 for n in range(collections)],
                "collection_pause_seconds": [float(p * self._random.uniform(0.9, 1.1)) for p in pause],
            }
            self.add(
                experiment,
                factors,
                "timed",
                replicate,
                self.outcome(
                    {"wall_seconds": wall} | gc, conditions=conditions, series=pauses if collections else {}
                ),
                constants,
            )


def _steps_of(collections: int) -> list[int]:
    return [int(step) for step in np.cumsum(BOOK_GAPS[:collections])]


def _sawtooth(
    iterations: int, arrays_each: int, each: float, collections: list[int], strong: bool
) -> dict[str, list[Any]]:
    steps, readings, base = [], [], 0
    for step in range(iterations):
        if step in collections:
            base = 2 * collections.index(step) + 1
        alive = step - (max([0, *(c for c in collections if c <= step)])) + base if strong else min(step, 1)
        for event in range(arrays_each):
            steps.append(step)
            readings.append(round((alive * arrays_each + event + 1) * each))
    generations = [0] * len(collections)
    return (
        {
            "event_step": steps,
            "event_rss_bytes": readings,
            "collection_step": collections,
            "collection_generation": generations,
            "collection_pause_seconds": [0.005] * len(collections),
        }
        if collections
        else {"event_step": steps, "event_rss_bytes": readings}
    )


def fill(folder: Path) -> None:
    """Write the store."""
    with Writer(folder) as writer:
        run = writer.begin_run(RUN)
        store = Store(writer, run)
        for length in (1, 2, 4, 8, 12):
            for traversal in ("generation", "lifo"):
                calls = 3 * length if traversal == "generation" else 3 * 2**length
                correct = float(traversal == "generation" or length == 1)
                for replicate in range(3):
                    wall = calls * 1e-6 * (1 + 0.02 * replicate)
                    metrics = {
                        "backward_calls_count": calls,
                        "predicted_backward_calls_count": calls,
                        "correct": correct,
                        "wall_seconds": wall,
                    }
                    store.add(
                        "step15_backward_order",
                        {"diamonds": length, "traversal": traversal},
                        "timed",
                        replicate,
                        store.outcome(metrics),
                    )
        for shape in ("chain", "cycle"):
            for gc in ("default", "off"):
                kept = 10.0 if shape == "cycle" else 0.0
                theory = Prediction(
                    peak_arrays=10,
                    end_arrays=kept,
                    array_bytes=800_000,
                    basis="objects S" if kept else "S each",
                )
                store.memory_cell(
                    "step17_reference_counting", {"shape": shape, "gc": gc}, theory, after=(kept, 0, 0)
                )
        for references in ("weak", "strong"):
            for gc in ("default", "off"):
                for iterations in (10, 400):
                    weak = references == "weak"
                    collections = (
                        []
                        if weak or gc == "off" or iterations == 10
                        else [int(x) for x in np.cumsum(BOOK_GAPS)][:5]
                    )
                    peak = (
                        8.0
                        if weak
                        else 4.0 * iterations
                        if not collections
                        else 4.0 * (77 + 2 * len(collections))
                    )
                    theory = Prediction(
                        peak_arrays=peak,
                        end_arrays=0 if weak else 4.0 * 30,
                        array_bytes=800_000,
                        basis="2(k+1) S"
                        if weak
                        else "(k+1) S (gap + 2 collections)"
                        if collections
                        else "T (k+1) S",
                        exact=not collections,
                    )
                    store.memory_cell(
                        "step17_weak_references",
                        {"references": references, "gc": gc, "iterations": iterations, "n": 100_000},
                        theory,
                        peak_arrays=peak * 1.04 if collections else None,
                        after=(0, 0, 0) if weak else (4.0 * 30, 0, 0),
                        series=_sawtooth(iterations, 4, 802_816, collections, not weak),
                        collections=len(collections),
                    )
        for k in (1, 2, 4, 8, 16):
            for retain in (False, True):
                theory = Prediction(
                    peak_arrays=2 * k + 2 if retain else k + 3,
                    end_arrays=2 * k + 2 if retain else k + 2,
                    array_bytes=800_000,
                    basis="(2k + 2) S" if retain else "(k + 3) S",
                )
                store.memory_cell("step18_retain_grad", {"length": k, "retain_grad": retain}, theory)
            for backprop in (False, True):
                theory = Prediction(
                    peak_arrays=k + 1 if backprop else min(3, k + 1),
                    end_arrays=k + 1 if backprop else 2,
                    array_bytes=800_000,
                    basis="(k + 1) S" if backprop else "3 S",
                )
                off = 0.7 if (k == 16 and not backprop) else 0
                store.memory_cell(
                    "step18_no_grad",
                    {"length": k, "enable_backprop": backprop},
                    theory,
                    peak_arrays=theory.peak_arrays + off,
                    constants={"part": "forward"},
                )
        failed = Outcome(
            status="crash",
            exit_code=-11,
            message=f"Traceback:\n  {HOSTILE}\nSegmentation fault",
            started_at=0.0,
            elapsed_seconds=1.0,
        )
        store.add(
            "step18_no_grad",
            {"length": 32, "enable_backprop": True},
            "resident",
            0,
            failed,
            {"part": "forward"},
        )
        for label in (HOSTILE, "_hidden", "x" * 300):
            store.add(
                f"guest {HOSTILE}",
                {"label": label},
                "resident",
                0,
                store.outcome({"peak_rss_bytes": 4096, "wall_seconds": 0.1}),
            )
        store.add(f"guest {HOSTILE}", {"label": "fails"}, "resident", 0, failed)
        writer.end_run(run)


@pytest.fixture(scope="session")
def results_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("bench") / "results"
    fill(folder)
    yield folder


@pytest.fixture(scope="session")
def hostile() -> str:
    return HOSTILE


@pytest.fixture(scope="session")
def results(results_dir: Path) -> dict[str, Results]:
    """The results of each experiment by name; the guest's is just "guest"."""
    contents = read_store(results_dir)
    names = dict.fromkeys(row.experiment for row in contents.rows)
    return {
        name.split()[0]: Results(
            name, [row for row in contents.rows if row.experiment == name], partial(series, results_dir)
        )
        for name in names
    }


@pytest.fixture(scope="session")
def report(results_dir: Path, experiments: dict[str, Callable[[], Experiment]]) -> Path:
    """The folder of the report."""
    return write_report(results_dir, document(results_dir, experiments)).parent


@pytest.fixture(scope="session")
def experiments() -> dict[str, Callable[[], Experiment]]:
    return {path.stem: partial(load_script, path) for path in sorted(SCRIPTS.glob("*.py"))}


@contextmanager
def _store(folder: Path) -> Iterator[Store]:
    with Writer(folder) as writer:
        yield Store(writer, writer.begin_run(RUN))


@pytest.fixture
def make_store() -> Callable[[Path], AbstractContextManager[Store]]:
    """Open a new store in a folder to add trials to."""
    return _store


@pytest.fixture
def results_of() -> Callable[[Path], Results]:
    """Read the results of the one experiment of a store."""

    def read(folder: Path) -> Results:
        rows = read_store(folder).rows
        return Results(rows[0].experiment, rows, partial(series, folder))

    return read


@pytest.fixture
def make_results(tmp_path: Path) -> Callable[[Iterable[Mapping[str, Level]]], Results]:
    """Make results of cells that differ in nothing but their levels."""

    def make(cells: Iterable[Mapping[str, Level]]) -> Results:
        with _store(tmp_path) as store:
            for levels in cells:
                store.add("many", levels, "resident", 0, store.outcome({"peak_rss_bytes": 4096}))
        return Results("many", read_store(tmp_path).rows, partial(series, tmp_path))

    return make


@pytest.fixture
def results_of_loop(make_row: Callable[..., Row]) -> Callable[..., Results]:
    """Make results of one cell for each level of k, a trial for each mapping of metrics that follows it.

    Their predictions are exact, unless other conditions are given.
    """
    exact = {"prediction_exact": True, "prediction_array_bytes": 800_000, "page_bytes": 4096}

    def make(*cells: tuple[Any, ...], measure: Measure = "resident", **others: Any) -> Results:
        levels, conditions = {"n": 100_000}, exact | others
        rows = [
            make_row({"k": k, **levels}, metrics, measure=measure, replicate=replicate, conditions=conditions)
            for k, *replicates in cells
            for replicate, metrics in enumerate(replicates)
        ]
        return Results("loop", rows, lambda _: {})

    return make
