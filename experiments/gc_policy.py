"""Can a policy of the collector give strong references the memory of weak ones, and at what price in time?

The loop of step 17.5 leaves a cycle behind in each iteration. The collector may be left alone, switched off, told
to leave old objects out (frozen), given a lower threshold, or asked to collect at the end of every k-th step or of
the whole loop, which is one epoch (manual). Weak references leave nothing to collect: they are the line to beat.
"""

from toolkit import Experiment, Variable, square


def workload(trial, *, n, iterations):
    for _ in trial.steps(iterations):
        x = Variable(trial.rng.standard_normal(n))
        y = square(square(square(x)))  # noqa: F841


def where(cell):
    if cell["references"] == "weak":
        return cell["gc"] == "default"  # without garbage every policy is the same one
    # Where nothing is collected on the way, 1000 iterations need 3.2 GB.
    return cell["gc"] not in ("off", "manual") or cell["iterations"] <= 400


def predict(cell, interpreter):
    from toolkit.analysis.collection import chain_nodes, loop_under
    from toolkit.analysis.predictions import loop_without_garbage

    array_bytes, iterations = 8 * cell["n"], cell["iterations"]
    if cell["references"] == "weak":
        return loop_without_garbage(3, iterations, array_bytes)
    return loop_under(cell["gc"], chain_nodes(3), iterations, array_bytes, interpreter, held=True)


def interpreters(results):
    """Return the levels of the factor `python`, each with the version that ran and a name for figures."""
    found = []
    for level in results.levels("python"):
        version = next(row.conditions["python"] for row in results.trials("traced", {"python": level}))
        found.append((level, version))
    several = len(found) > 1
    return [(level, version, f"-{version}" if several else "") for level, version in found]


def figures(results):
    from toolkit.report.charts.bars import bars
    from toolkit.report.charts.pareto import Cost, pareto
    from toolkit.report.charts.pauses import pauses
    from toolkit.report.charts.waiting import waiting

    weak = {"references": "weak"}
    by = ["references", "gc"]
    for level, version, ending in interpreters(results):
        here = {"python": level, "n": results.levels("n")[-1], "iterations": results.levels("iterations")[0]}
        on = f" (Python {version})" if ending else ""
        yield pareto(
            results,
            Cost("peak_rss_bytes", "resident"),
            Cost("wall_seconds", "timed"),
            by=by,
            where=here,
            reference=weak,
            name=f"pareto{ending}",
            title=f"Weak references beat every policy in memory, and have nothing to collect{on}",
        )
        yield bars(
            results,
            "peak_traced_bytes",
            "traced",
            by=by,
            where=here,
            name=f"peak{ending}",
            title=f"With strong references the peak is set by when the collector runs{on}",
        )
        yield waiting(
            results,
            measure="traced",
            by=by,
            where=here,
            name=f"waiting{ending}",
            title=f"Garbage that waits at the end: what came since the last collection{on}",
        )
        yield bars(
            results,
            "gc_pause_max_seconds",
            "timed",
            by=by,
            where=here,
            name=f"pause{ending}",
            title=f"The longest that the collector stops the program{on}",
        )
        yield pauses(
            results,
            by=["gc"],
            where={**here, "references": "strong"},
            name=f"pauses{ending}",
            title=f"Often and short, or seldom and long{on}",
        )


def findings(results):
    from toolkit.report import claims

    n, iterations = results.levels("n")[-1], results.levels("iterations")[0]
    for level, version, ending in interpreters(results):
        here = {"python": level, "n": n, "iterations": iterations}
        yield from compared_with_weak(results, here, version)
        on = f", Python {version}" if ending else ""
        strong = {"references": "strong", "python": level}
        for measure, peak in (("traced", "peak_traced_bytes"), ("resident", "peak_rss_bytes")):
            yield claims.agreement(
                results,
                [peak],
                measure,
                f"gc policies, Python runs the collector: {measure} peak against the gap model{on}",
                where=strong,
                exact=False,
            )
        yield claims.agreement(
            results,
            ["peak_traced_bytes", "end_traced_bytes", "gc_collections_count"],
            "traced",
            f"gc policies, collected at steps or not at all: traced peak and garbage at the end{on}",
            where=strong,
        )
    yield claims.agreement(
        results, ["peak_rss_bytes", "end_rss_bytes"], "resident", "gc policies: resident peak and end"
    )


def compared_with_weak(results, here, version):
    from toolkit.report import Finding
    from toolkit.report.charts.pareto import frontier
    from toolkit.report.units import estimate_text, number, text

    def of(metric, measure, **levels):
        cells = results.cells(metric, measure, by=["references", "gc"], where={**here, **levels})
        return {cell.levels["gc"]: cell.estimate for cell in cells}

    peaks = of("peak_rss_bytes", "resident", references="strong")
    times = of("wall_seconds", "timed", references="strong")
    garbage = of("end_traced_bytes", "traced", references="strong")
    longest = of("gc_pause_max_seconds", "timed", references="strong")
    total = of("gc_pause_total_seconds", "timed", references="strong")
    weak_peak = of("peak_rss_bytes", "resident", references="weak").get("default")
    weak_time = of("wall_seconds", "timed", references="weak").get("default")
    policies = [one for one in peaks if one in times.keys() & garbage.keys()]
    if not policies or weak_peak is None or weak_time is None:
        return
    least, most = (choose(policies, key=lambda one: peaks[one].median) for choose in (min, max))
    yield Finding(
        sentence=f"Python {version}, {here['iterations']} iterations, n={here['n']:,}: weak references peak at "
        f"{estimate_text(weak_peak, 'bytes')}; the best policy for strong ones, {least}, at "
        f"{estimate_text(peaks[least], 'bytes')}, {number(peaks[least].median / weak_peak.median)} times as much, "
        f"and the worst, {most}, at {estimate_text(peaks[most], 'bytes')}.",
        status="confirmed" if peaks[least].median > weak_peak.median else "deviates",
    )
    costs = [(peaks[one].median, times[one].median) for one in policies]
    chosen = [policies[place] for place in frontier(costs)]
    slowest, fastest = (text(choose(y for _, y in costs), "seconds") for choose in (max, min))
    yield Finding(
        sentence=f"Python {version}: of the policies for strong references no other beats {', '.join(chosen)} in "
        f"both memory and time. They all take {fastest} to {slowest}, weak references "
        f"{estimate_text(weak_time, 'seconds')}.",
    )
    told = [
        f"{one} {text(total[one].median, 'seconds')} in all, {text(longest[one].median, 'seconds')} at most, "
        f"{text(garbage[one].median, 'bytes')} of garbage left"
        for one in policies
        if one in total and one in longest
    ]
    yield Finding(sentence=f"Python {version}, pauses: {'; '.join(told)}.")


EXPERIMENT = Experiment(
    workload,
    factors={
        "references": ["weak", "strong"],
        "gc": ["default", "off", "frozen", "threshold=100", "every=10", "every=100", "manual"],
    },
    constants={"n": 100_000, "iterations": 300, "python": "this"},
    where=where,
    replicates={"resident": 1, "traced": 1, "timed": 3},
    profiles={
        "smoke": {
            "gc": ["default", "threshold=100", "every=10", "manual"],
            "iterations": 100,
            "replicates": {"timed": 1},
        },
        "full": {
            "gc": [
                "default",
                "off",
                "frozen",
                *(f"threshold={count}" for count in (100, 1000, 5000)),
                *(f"every={steps}" for steps in (1, 10, 100)),
                "manual",
            ],
            "iterations": [300, 1000],
            "replicates": {"resident": 3, "timed": 10},
        },
    },
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
