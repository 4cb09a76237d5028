"""Steps 17.2 and 17.3: is an object freed at once when the last reference to it goes, also in a cycle?

Three plain objects carry an array of S bytes each. In a chain, a refers to b and b to c; in a cycle c refers back
to a. All three names are then set to None, round after round. In the chain no reference to a is left, so a goes,
with it the reference to b, and so on: 3 S at the peak, nothing at the end, with or without the collector. In the
cycle each object is still referred to by another, so nothing goes until the collector looks for such cycles: 3 S
for every round since it last ran. CPython counts new objects that can refer to others; at 700 (2,000 in 3.13) the
collector runs.
"""

from toolkit import Experiment


class Obj:
    def __init__(self, array):
        self.array = array


def workload(trial, *, links, n, rounds):
    for _ in trial.steps(rounds):
        a = Obj(trial.rng.standard_normal(n))
        b = Obj(trial.rng.standard_normal(n))
        c = Obj(trial.rng.standard_normal(n))
        a.b = b
        b.c = c
        if links == "cycle":
            c.a = a
        trial.observe()
        a = b = c = None


def where(cell):
    # Where nothing collects the cycles, 3000 rounds at n = 100,000 need 7.2 GB.
    return cell["gc"] == "default" or cell["n"] * cell["rounds"] <= 100_000_000


def predict(cell, interpreter):
    from toolkit.analysis.counting import DRAWN, Node
    from toolkit.analysis.gap_model import loop_under
    from toolkit.analysis.predictions import Prediction

    array_bytes, rounds = 8 * cell["n"], cell["rounds"]
    if cell["links"] == "chain":
        end = {"end": "0 S"}
        return Prediction(peak_arrays=3, end_arrays=0, array_bytes=array_bytes, basis="3 S", other_bases=end)
    objects = [Node(objects=1, passing=DRAWN)] * 3
    return loop_under(cell["gc"], objects, rounds, array_bytes, interpreter, held=False)


def figures(results):
    from toolkit.report.charts.bars import bars
    from toolkit.report.charts.timeline import timeline
    from toolkit.report.charts.waiting import waiting

    largest = {name: results.levels(name)[-1] for name in ("n", "rounds")}
    yield timeline(
        results,
        measure="traced",
        where=largest,
        name="rounds",
        title="Traced bytes over the rounds, by how the objects are linked",
        step="round",
        logarithmic=largest["rounds"] > 100,
    )
    yield bars(
        results,
        "peak_traced_bytes",
        "traced",
        where=largest,
        name="peak",
        title="Traced peak, by how the objects are linked",
    )
    yield waiting(
        results,
        where=largest,
        name="waiting",
        title="What is still there at the end, and what it waits for",
    )
    yield bars(
        results,
        "garbage_objects_count",
        "traced",
        where=largest,
        name="objects",
        title="Unreachable objects that one collection finds at the end",
    )


def findings(results):
    from toolkit.report import claims, contrasts

    n, longest = results.levels("n")[-1], results.levels("rounds")[-1]
    yield contrasts.times_as_much(
        results,
        "peak_traced_bytes",
        "traced",
        f"In a chain, which needs no collector, {longest:,} rounds of three objects peak at {{less}} of array "
        "data; in a cycle, with the collector at work, at {more}: {ratio}.",
        more={"links": "cycle"},
        less={"links": "chain"},
        gc="default",
        n=n,
        rounds=longest,
    )
    peaks = ["peak_traced_bytes", "end_traced_bytes"]
    yield claims.agreement(
        results, peaks, "traced", "chain: freed at once, nothing waits", where={"links": "chain"}
    )
    yield claims.agreement(
        results,
        peaks,
        "traced",
        "cycle, collector off: every round waits",
        where={"links": "cycle", "gc": "off"},
    )
    yield claims.agreement(
        results,
        ["peak_traced_bytes"],
        "traced",
        "cycle, collector on: the peak follows the model of the collector",
        where={"links": "cycle", "gc": "default"},
        exact=False,
    )


EXPERIMENT = Experiment(
    workload,
    factors={"links": ["chain", "cycle"], "gc": ["default", "off"], "rounds": [10, 1000]},
    constants={"n": 10_000},
    measures=["resident", "traced"],
    where=where,
    replicates={"resident": 2, "traced": 1},
    profiles={
        "smoke": {"rounds": [10], "replicates": {"resident": 1}},
        "full": {"n": [10_000, 100_000], "rounds": [10, 1000, 3000], "replicates": {"resident": 3}},
    },
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
