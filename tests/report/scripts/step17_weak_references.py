"""Step 17.5: do weak output references free each iteration's graph at once?

The book keeps outputs by weak references, so that a graph has no cycle.

Ten iterations, as in the book, never reach the collector.
"""

from toolkit import Experiment


def workload(trial):
    pass


def figures(results):
    from toolkit.report.charts.bars import bars
    from toolkit.report.charts.pauses import pauses
    from toolkit.report.charts.scaling import scaling
    from toolkit.report.charts.timeline import timeline
    from toolkit.report.charts.waiting import waiting

    long = {"iterations": 400}
    yield timeline(
        results,
        by=["references"],
        where={**long, "gc": "default"},
        name="over iterations",
        title="Strong references pile up graphs until the collector runs; weak ones free each graph at once",
        caption="400 iterations, three squares each.",
    )
    yield bars(
        results,
        "peak_rss_bytes",
        "resident",
        name="peak",
        title="Only strong references without a collector grow with the loop",
    )
    yield scaling(
        results,
        "peak_traced_bytes",
        "traced",
        over="iterations",
        by=["references", "gc"],
        name="growth",
        title="Traced peak over iterations",
    )
    yield waiting(
        results, where=long, name="waiting", title="What is left waits for the collector and for nothing else"
    )
    yield pauses(results, where=long, name="pauses", title="The collector stops the program for milliseconds")
    yield bars(results, "no_such_bytes", "resident", name="missing", title="A figure without numbers")


def findings(results):
    from toolkit.report import Finding
    from toolkit.report.units import estimate_text

    weak = results.at("peak_traced_bytes", "traced", references="weak", gc="default", iterations=10)
    arrays = weak.median / 800_000
    yield Finding(
        sentence=f"With weak references the traced peak is {estimate_text(weak, 'bytes')}, {arrays:.2f} S.",
        status="confirmed" if abs(arrays - 8) < 0.1 else "deviates",
        figure="17.5, n=1e5, 10 iterations, weak: traced peak",
        expected="8 S, within 0.1 S",
        measured=f"{arrays:.2f} S",
    )
    yield Finding(sentence="Nothing else was expected.")


EXPERIMENT = Experiment(
    workload,
    {"references": ["weak", "strong"], "gc": ["default", "off"], "n": [100_000], "iterations": [10, 400]},
    figures=figures,
    findings=findings,
)
