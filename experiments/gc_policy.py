"""Can a policy of the collector give strong references the memory of weak ones, and at what price in time?

The loop of step 17.5 leaves a cycle behind in each iteration. The collector may be left alone, switched off, told
to leave old objects out (frozen), given a lower threshold, or asked to collect at the end of every k-th step or of
the whole loop, which is one epoch (manual). Weak references leave nothing to collect: they are the line to beat.

Every version of Python that is here tells its resident peaks; all else is measured in the one that runs the bench.
"""

from toolkit import Experiment, Variable, square
from toolkit.trials.levels import PYTHONS, THIS_PYTHON


def workload(trial, *, n, iterations):
    for _ in trial.steps(iterations):
        x = Variable(trial.rng.standard_normal(n))
        y = square(square(square(x)))  # noqa: F841


def where(cell):
    if cell["measure"] != "resident" and cell["python"] in PYTHONS and cell["python"] != THIS_PYTHON:
        return False
    if cell["references"] == "weak":
        return cell["gc"] == "default"  # without garbage every policy is the same one
    # Where nothing is collected on the way, 1000 iterations need 3.2 GB.
    return cell["gc"] not in ("off", "manual") or cell["iterations"] <= 400


def predict(cell, interpreter):
    from toolkit.analysis.gap_model import loop_of_step17

    return loop_of_step17(cell, interpreter)


def figures(results):
    from toolkit.report.charts.bars import bars
    from toolkit.report.charts.pareto import Cost, pareto
    from toolkit.report.charts.pauses import pauses
    from toolkit.report.charts.waiting import waiting

    weak = {"references": "weak"}
    by = ["references", "gc"]
    size = {"n": results.levels("n")[-1], "iterations": results.levels("iterations")[0]}
    several, timed = len(results.interpreters("resident")) > 1, results.interpreters("timed")
    for level, version in timed.items():
        here = {"python": level, **size}
        on = f" (Python {version})" if several else ""
        ending = f"-{version}" if len(timed) > 1 else ""
        yield pareto(
            results,
            Cost("peak_rss_bytes", "resident"),
            Cost("wall_seconds", "timed"),
            by=by,
            where=here,
            reference=weak,
            name=f"pareto{ending}",
            title=f"Resident peak and time under each policy{on}",
            caption="The figure goes by medians, so that a lead within noise counts here; the findings tell which "
            "policies are beaten by none beyond noise, and where the two differ.",
        )
        yield bars(
            results,
            "peak_traced_bytes",
            "traced",
            by=by,
            where=here,
            name=f"peak{ending}",
            title=f"Traced peak under each policy{on}",
        )
        yield waiting(
            results,
            measure="traced",
            by=by,
            where=here,
            name=f"waiting{ending}",
            title=f"What is still there at the end, and what it waits for{on}",
        )
        yield bars(
            results,
            "gc_pause_max_seconds",
            "timed",
            by=by,
            where=here,
            name=f"pause{ending}",
            title=f"The longest that the collector stops the program under each policy{on}",
        )
        yield pauses(
            results,
            by=["gc"],
            where={**here, "references": "strong"},
            name=f"pauses{ending}",
            title=f"When, and for how long, the collector stops the program{on}",
        )
    if several or not timed:
        yield bars(
            results,
            "peak_rss_bytes",
            "resident",
            by=["references", "gc", "python"],
            where={**size, **({"gc": ["default", "threshold=100"]} if several else {})},
            name="peak-interpreters",
            title="Resident peak in each interpreter, by policy",
            caption=f"Objects that the youngest generation waits for: {own_thresholds(results, size)}.",
        )


def findings(results):
    from toolkit.report import claims

    size = {"n": results.levels("n")[-1], "iterations": results.levels("iterations")[0]}
    for level, version in results.interpreters("timed").items():
        yield from compared_with_weak(results, {"python": level, **size}, version)
    for what, judge in (
        ("Weak references need less than every policy for strong ones", weak_wins),
        (
            "The gap model tells the peaks of strong references, each within the bound that it names",
            model_holds,
        ),
    ):
        yield claims.everywhere(
            results,
            "resident",
            what,
            lambda level, judge=judge: judge(results, {"python": level, **size}),
            results.cells("peak_rss_bytes", "resident"),
        )
    strong = {"references": "strong"}
    for measure, peak in (("traced", "peak_traced_bytes"), ("resident", "peak_rss_bytes")):
        yield claims.agreement(
            results,
            [peak],
            measure,
            f"gc policies, Python runs the collector: {measure} peak against the gap model",
            where=strong,
            exact=False,
        )
    yield claims.agreement(
        results,
        ["peak_traced_bytes", "end_traced_bytes", "gc_collections_count"],
        "traced",
        "gc policies, collected at steps or not at all: traced peak and garbage at the end",
        where=strong,
    )
    yield claims.agreement(
        results, ["peak_rss_bytes", "end_rss_bytes"], "resident", "gc policies: resident peak and end"
    )


def weak_wins(results, here):
    """Return whether weak references beat every policy by more than readings may be off, with the numbers."""
    from toolkit.analysis.noise import resolution
    from toolkit.report.units import text

    def of(**levels):
        return results.at("peak_rss_bytes", "resident", **levels, **here)

    weak = of(references="weak", gc="default")
    policies = {gc: of(references="strong", gc=gc) for gc in results.levels("gc")}
    strong = {gc: one.median for gc, one in policies.items() if one is not None}
    if weak is None or "default" not in strong:
        return None
    best = min(strong, key=strong.get)
    rows = results.trials("resident", here)
    return (
        strong[best] - weak.median > resolution("peak_rss_bytes", rows),
        f"{text(weak.median, 'bytes')} against {text(strong[best], 'bytes')} with the best, {best}, and "
        f"{text(strong['default'], 'bytes')} by default",
    )


def model_holds(results, here):
    """Return whether the model holds for every policy that Python's own collector runs, with the numbers."""
    from toolkit.analysis.comparison import compare
    from toolkit.report.units import number

    # What does not vary is not among the levels of a comparison: the trials know all of theirs.
    trials = results.trials("resident", {"references": "strong", **here})
    policy = {row.key: {**row.constants, **row.factors}["gc"] for row in trials}
    models = [
        one
        for one in compare(results)
        if one.metric == "peak_rss_bytes" and not one.exact and one.predicted and one.keys & policy.keys()
    ]
    if not models:
        return None
    told = (
        f"{policy[min(one.keys)]} off by {number(abs(one.deviation_percent))} %, {one.allowance}"
        for one in models
    )
    return all(one.holds is not False for one in models), ", ".join(told)


def told_apart(results, here, policies, peaks, times):
    """Say which policies no other beats by more than noise, and whether their times can be told apart at all.

    The frontier of the figure goes by medians, and may have more or fewer of them: how the two relate is said.
    """
    from itertools import permutations

    from toolkit.analysis.noise import effect, resolution
    from toolkit.report.charts.pareto import frontier
    from toolkit.report.units import estimate_text, number, text

    timed, resident = "wall_seconds", "peak_rss_bytes"
    levels = {"references": "strong", **here}
    readings = {one: results.readings(timed, "timed", gc=one, **levels) for one in policies}
    error = resolution(resident, results.trials("resident", levels))
    # Each pair both ways: the first is the faster one where the shift to the other is more than noise.
    time = {
        (one, other): effect(readings[one], readings[other], readings.values())
        for one, other in permutations(policies, 2)
    }
    faster = {pair: found for pair, found in time.items() if found.stands_out and found.shift.median > 0}

    def beats(one, other):
        less = peaks[other].median - peaks[one].median
        slower = (other, one) in faster
        return (less > error and not slower) or (abs(less) <= error and (one, other) in faster)

    chosen = [one for one in policies if not any(beats(other, one) for other in policies)]
    costs = [(peaks[one].median, times[one].median) for one in policies]
    by_medians = [policies[place] for place in frontier(costs)]
    told = (
        f"of the policies for strong references {', '.join(chosen)} "
        f"{'is' if len(chosen) == 1 else 'are'} beaten by no other beyond noise, in memory or in time; "
        f"{beside_medians(chosen, by_medians)}."
    )
    floors = [found.floor for found in time.values() if found.floor is not None]
    if not floors:
        return f"{told} Single readings do not tell their times apart."
    floor = text(max(floors), "seconds")
    if not faster:
        return f"{told} No two of their times are told apart (noise floor {floor})."
    (first, last), widest = max(faster.items(), key=lambda pair: pair[1].shift.median)
    apart = f"{len(faster)} of {len(time) // 2} pairs of their times are told apart"
    size = f"by {estimate_text(widest.shift, 'seconds')}, Cliff's delta {number(widest.delta)}"
    return f"{told} {apart} (noise floor {floor}), {first} the farthest before {last}: {size}."


def beside_medians(chosen, by_medians):
    """Say how the policies that none beats by medians alone, as in the figure, differ from those chosen."""
    led, more = (
        ", ".join(one for one in some if one not in others)
        for some, others in ((by_medians, chosen), (chosen, by_medians))
    )
    told = []
    if led:
        told.append(
            f"by medians alone, as in the figure, none beats {led} either, but by a lead within noise"
        )
    if more:
        told.append(f"by medians alone, as in the figure, {more} would be beaten, but by no more than noise")
    return "; ".join(told) or "by medians alone, as in the figure, they are the same"


def own_thresholds(results, size):
    """Return the threshold of each interpreter, in words."""
    rows = results.trials("resident", {"references": "strong", "gc": "default", **size})
    told = dict.fromkeys((row.conditions["gc_threshold0"], row.conditions["python"]) for row in rows)
    return ", ".join(f"{threshold:,} in {version}" for threshold, version in told)


def compared_with_weak(results, here, version):
    from toolkit.analysis.noise import resolution
    from toolkit.report import Finding
    from toolkit.report.finding import labelled
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
    error = resolution("peak_rss_bytes", results.trials("resident", here))
    answer = Finding(
        sentence=f"{here['iterations']} iterations, n={here['n']:,}, Python {version}: the best policy for strong "
        f"references, {least}, peaks at {text(peaks[least].median, 'bytes')}, "
        f"{number(peaks[least].median / weak_peak.median)} times the {text(weak_peak.median, 'bytes')} of weak "
        f"ones; the worst, {most}, at {text(peaks[most].median, 'bytes')}. "
        f"They take {text(times[least].median, 'seconds')} ({least}), "
        f"{text(times[most].median, 'seconds')} ({most}) and "
        f"{text(weak_time.median, 'seconds')} with weak references.",
        status="confirmed" if peaks[least].median - weak_peak.median > error else "deviates",
    )
    by = ["references", "gc"]
    yield labelled(
        answer,
        [
            *results.cells("peak_rss_bytes", "resident", by, here),
            *results.cells("wall_seconds", "timed", by, here),
        ],
    )
    yield Finding(
        sentence=f"Python {version}: {told_apart(results, here, policies, peaks, times)} Weak references take "
        f"{estimate_text(weak_time, 'seconds')}."
    )
    paused = [one for one in policies if one in total and one in longest and total[one].median]
    if not paused:
        return
    worst = max(paused, key=lambda one: longest[one].median)
    lavish = max(paused, key=lambda one: total[one].median)
    left = max(policies, key=lambda one: garbage[one].median)
    yield Finding(
        sentence=f"Python {version}: the longest pause is {text(longest[worst].median, 'seconds')} ({worst}), "
        f"the most in all {text(total[lavish].median, 'seconds')} ({lavish}); {left} leaves most garbage, "
        f"{text(garbage[left].median, 'bytes')}."
    )


EXPERIMENT = Experiment(
    workload,
    factors={
        "references": ["weak", "strong"],
        "gc": ["default", "off", "frozen", "threshold=100", "every=10", "every=100", "manual"],
        "python": PYTHONS,
    },
    constants={"n": 100_000, "iterations": 300},
    where=where,
    replicates={"resident": 1, "traced": 1, "timed": 3},
    profiles={
        "smoke": {
            "gc": ["default", "threshold=100", "every=10", "manual"],
            "iterations": 100,
            "python": [THIS_PYTHON],
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
