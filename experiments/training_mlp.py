"""What does each memory setting cost when a network is trained for real, and does it learn the same?

A perceptron learns handwritten digits, those that ship with scikit-learn. The last 297 of them, which it never
sees in training, tell what it has learned. Where a mode does not change the arithmetic, the gradients and the
trained weights must be those of the plain mode to the last bit; rounded activations change it, and must learn as
well.

The plain mode is the book's engine; another changes one toggle of it: `references`, `retain_grad` (gradients
kept), `accumulation` (sums in place), `buffers`, `saves` (needed saved), `retain_graph` (graph let go of). Lean is
the last two of these together, alone or with one more: `storage` in float32 or float16, or `buffers`.

As in the book the loop's name for the loss holds one graph until the next one is complete: two graphs at the peak,
unless the backward pass lets go of the one that it goes through. Strong references leave graphs to the collector,
which here comes after every tenth step. S is the output of a layer.
"""

from itertools import pairwise, product

from toolkit import Experiment, Variable, cross_entropy, relu, using_config
from toolkit.nn import Layer
from toolkit.nn.adam import Adam
from toolkit.nn.digits import PACKAGE, TESTED, batches, digits, learned
from toolkit.nn.linear import Linear

HIDDEN_LAYERS = 6
#: How many of the digits that are kept for the test may be told wrongly.
WRONG_AT_MOST = 45
LEAN = {"saves": "needed", "retain_graph": False}
MODES = {
    "plain": {},
    "strong references": {"references": "strong"},
    "gradients kept": {"retain_grad": True},
    "sums in place": {"accumulation": "in_place"},
    "buffers reused": {"buffers": "reused"},
    "needed saved": {"saves": "needed"},
    "graph let go of": {"retain_graph": False},
    "lean": LEAN,
    "lean + float32": {**LEAN, "storage": "float32"},
    "lean + float16": {**LEAN, "storage": "float16"},
    "lean + buffers reused": {**LEAN, "buffers": "reused"},
}
ROUNDED = {mode for mode, toggles in MODES.items() if "storage" in toggles}
#: Which may cost more bytes than the plain mode, for what they give: memory that is used again is kept by its size.
DEARER = ("strong references", "gradients kept", "buffers reused")
COLLECTED_EVERY = 10
#: So many steps train; the roles of arrays are told of a few.
STEPS, FEW_STEPS = 60, 4


class Perceptron(Layer):
    def __init__(self, width, rng):
        sizes = [64, *[width] * HIDDEN_LAYERS, 10]
        self.layers = [Linear(inputs, outputs, rng) for inputs, outputs in pairwise(sizes)]

    def __call__(self, x):
        *hidden, last = self.layers
        for layer in hidden:
            x = relu(layer(x))
        return last(x)


def workload(trial, *, mode, steps, batch, width):
    with using_config(**MODES[mode]):
        return train(trial, steps, batch, width)


def train(trial, steps, batch, width):
    images, classes = digits()
    order = batches(trial.rng, batch, trial.steps(steps))
    network = Perceptron(width, trial.rng)
    optimiser = Adam(network.parameters(), rate=0.005)
    for chosen in order:
        loss = cross_entropy(network(Variable(images[chosen])), classes[chosen])
        optimiser.cleargrads()
        loss.backward()
        optimiser.step()
    trial.record(**learned(network, loss, images, classes))
    return network


def where(cell):
    # Without garbage every policy of the collector is the same one.
    if (cell["gc"] == "default") == (cell["mode"] == "strong references"):
        return False
    if cell["measure"] != "ledger":
        return cell["steps"] != FEW_STEPS
    return cell["steps"] == FEW_STEPS and cell["mode"] in ("plain", "needed saved", "lean")


def predict(cell, interpreter):
    from toolkit.analysis.rehearsal import rehearsed

    # Every step from the third on is like it: there are means of gradients, and the graph of the step before. With
    # graphs that wait for the collector, every ten steps are like the second ten.
    steps = 2 * COLLECTED_EVERY if cell["mode"] == "strong references" else 3
    few = {**cell, "steps": min(cell["steps"], steps)}
    return rehearsed(workload, few, 8 * cell["batch"] * cell["width"], interpreter)


def figures(results):
    from toolkit.report.charts.bars import bars
    from toolkit.report.charts.pareto import Cost, pareto
    from toolkit.report.charts.roles import roles

    largest = sizes(results)[0]
    network = f"Batches of {largest['batch']}, {HIDDEN_LAYERS} hidden layers of {largest['width']}."
    lean = "lean: needed saved and graph let go of."
    yield bars(
        results,
        "peak_traced_bytes",
        "traced",
        by=["mode"],
        where=largest,
        name="peak",
        title="The peak of training in each mode, and what theory says of it",
        caption=f"{network} {lean} Of memory that is used again the simulation says nothing.",
    )
    yield pareto(
        results,
        Cost("peak_traced_bytes", "traced"),
        Cost("wall_seconds", "timed"),
        by=["mode"],
        where={**largest, "mode": [mode for mode in results.levels("mode") if mode != "strong references"]},
        reference={"mode": "plain"},
        name="pareto",
        title="Memory and time of the same training",
        caption=f"{largest['steps']} steps, and the test. {network} {lean}",
    )
    yield roles(
        results,
        by=["mode"],
        where={**largest, "steps": results.level("steps", FEW_STEPS)},
        name="roles",
        title="Of what the memory of training consists",
        caption=f"The first {FEW_STEPS} steps, and the test, whose batches are views of the whole data set: input "
        f"from then on. {network} Of a hidden layer a plain graph keeps three arrays, product, sum and relu, and "
        f"the name of the loss holds one graph until the next is complete: {2 * 3 * HIDDEN_LAYERS} S of "
        f"activations. With needed saved it is relu alone, {2 * HIDDEN_LAYERS} S, and with one graph at a time "
        f"(lean) {HIDDEN_LAYERS} S; beside them there are the narrow last layer and what is under way. The "
        "traced peak is higher: it has the data set, the means of Adam and what comes and goes inside an "
        "operation as well, which the ledger does not see.",
    )


def findings(results):
    from toolkit.report import claims, contrasts

    for size in sizes(results):
        yield contrasts.times_as_much(
            results,
            "peak_traced_bytes",
            "traced",
            f"Training with batches of {size['batch']} peaks at {{more}} as the book does it, and at {{less}} "
            "where functions save what gradients need and the backward pass lets go of the graph: {ratio}.",
            more={"mode": "plain"},
            less={"mode": "lean"},
            **size,
        )
        exact = [mode for mode in results.levels("mode") if mode not in ROUNDED]
        for what in ("gradients", "weights"):
            yield claims.alike(
                results,
                f"{what}_checksum",
                "traced",
                f"{what} after training with batches of {size['batch']}, in every mode that rounds nothing, to "
                "the last bit",
                {"mode": exact, **size},
            )
    largest = sizes(results)[0]
    for mode in ("lean + float32", "lean + float16"):
        yield contrasts.times_as_much(
            results,
            "peak_traced_bytes",
            "traced",
            f"With both savings training peaks at {{more}}, with activations rounded as well ({mode}) at {{less}}: "
            "{ratio}.",
            more={"mode": "lean"},
            less={"mode": mode},
            **largest,
        )
    yield contrasts.times_as_much(
        results,
        "peak_traced_bytes",
        "traced",
        f"With strong references to outputs, and garbage collected after every {COLLECTED_EVERY} steps, training "
        "peaks at {more}, plainly at {less}: {ratio}.",
        more={"mode": "strong references"},
        less={"mode": "plain"},
        **largest,
    )
    yield claims.at_most_anywhere(
        results,
        "wrong_count",
        "traced",
        f"digits told wrongly, of {TESTED} that were not in training",
        WRONG_AT_MOST,
    )
    metrics = ["peak_traced_bytes", "end_traced_bytes"]
    yield claims.agreement(results, metrics, "traced", "peak and end of each mode against the simulation")
    yield from dearer(results, largest)
    yield from fastest(results, largest)


def dearer(results, size):
    """Say which modes cost more bytes than the plain one."""
    from toolkit.report.contrasts import ratio_text
    from toolkit.report.finding import judged

    cells = results.cells("peak_traced_bytes", "traced", ["mode"], size)
    peaks = {cell.levels["mode"]: cell.estimate.median for cell in cells}
    if "plain" not in peaks or len(peaks) == 1:
        return
    plain = peaks["plain"]
    more = [mode for mode, peak in peaks.items() if peak > plain]
    told = ", ".join(f"{one} ({ratio_text(peaks[one], plain, 'bytes')} plain)" for one in more) or "none"
    what = "modes that peak higher than the plain one"
    expected = f"none but {', '.join(DEARER)}"
    sentence = f"{what}, of {len(peaks)}: {told}; expected {expected}."
    yield judged(what, told, expected, {*more} <= {*DEARER}, cells, sentence=sentence)


def fastest(results, size):
    """Say which mode takes least time, and whether it costs more bytes; none where noise tells none from plain."""
    from toolkit.analysis.noise import effect
    from toolkit.report import Finding
    from toolkit.report.finding import judged
    from toolkit.report.units import estimate_text, text

    cells = results.cells("wall_seconds", "timed", ["mode"], size)
    times = {cell.levels["mode"]: cell.estimate for cell in cells}
    if "plain" not in times:
        return
    readings = {one: results.readings("wall_seconds", "timed", mode=one, **size) for one in times}
    differs = {one: effect(readings["plain"], readings[one], readings.values()) for one in times}
    faster = [one for one, found in differs.items() if found.stands_out and found.shift.median < 0]
    if not faster:
        floor = differs["plain"].floor
        noise = "single readings" if floor is None else f"noise floor {text(floor, 'seconds')}"
        yield Finding(
            sentence=f"No mode is told to be faster than the plain one, which takes "
            f"{estimate_text(times['plain'], 'seconds')} ({noise})."
        )
        return
    mode = min(faster, key=lambda one: times[one].median)
    peaks = {
        cell.levels["mode"]: cell
        for cell in results.cells("peak_traced_bytes", "traced", ["mode"], {**size, "mode": ["plain", mode]})
    }
    peak, plain = (peaks[one].estimate.median for one in (mode, "plain"))
    what = "the bytes of the fastest mode, of those told to be faster than the plain one"
    yield judged(
        what,
        f"{text(peak, 'bytes')} ({mode})",
        f"at most {text(plain, 'bytes')}, those of the plain mode, or named as dearer",
        peak <= plain or mode in DEARER,
        [*cells, *peaks.values()],
        sentence=f"{what}: {mode}, {estimate_text(times[mode], 'seconds')} against "
        f"{estimate_text(times['plain'], 'seconds')} plainly, peaks at {text(peak, 'bytes')} against "
        f"{text(plain, 'bytes')}.",
    )


def sizes(results):
    """Return every size of training that ran, the largest first."""
    names = ("batch", "width")
    steps = results.levels("steps")[-1]
    return [
        {"steps": steps, **dict(zip(names, levels, strict=True))}
        for levels in product(*(reversed(results.levels(name)) for name in names))
    ]


EXPERIMENT = Experiment(
    workload,
    factors={
        "mode": [*MODES],
        "gc": ["default", f"every={COLLECTED_EVERY}"],
        "batch": [512],
        "steps": [FEW_STEPS, STEPS],
    },
    constants={"width": 64},
    measures=["traced", "timed", "ledger"],
    replicates={"traced": 1, "timed": 3, "ledger": 1},
    profiles={
        "smoke": {
            "mode": ["plain", "needed saved", "graph let go of", "lean"],
            "gc": ["default"],
            "steps": [STEPS],
            "measures": ["traced"],
        },
        "full": {"batch": [512, 1024], "replicates": {"timed": 10}},
    },
    requires=[PACKAGE],
    where=where,
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
