"""What does each memory setting cost when a network is trained for real, and does it learn the same?

A perceptron learns handwritten digits, those that ship with scikit-learn. The last 297 of them, which it never
sees in training, tell what it has learned. Where a setting does not change the arithmetic, the trained weights
must be those of the plain way to the last bit; rounded activations change it, and must learn as well.

As in the book the loop's name for the loss holds one graph until the next one is complete: two graphs at the peak,
unless the backward pass lets go of the one that it goes through. S is the output of a layer.
"""

import zlib
from itertools import pairwise, product

import numpy as np

from toolkit import Experiment, Variable, cross_entropy, no_grad, relu
from toolkit.nn import Layer
from toolkit.nn.adam import Adam
from toolkit.nn.digits import PACKAGE, digits
from toolkit.nn.linear import Linear

HIDDEN_LAYERS = 4
#: How many of the 1797 digits are kept for the test, and how many of these may be told wrongly.
TESTED, WRONG_AT_MOST = 297, 40
#: How many are told at a time.
AT_A_TIME = 33
PLAIN = {"references": "weak", "saves": "inputs", "retain_graph": True, "storage": "exact"}
LEAN = {**PLAIN, "saves": "needed", "retain_graph": False}
STRONG = {**PLAIN, "references": "strong"}


class Perceptron(Layer):
    def __init__(self, width, rng):
        sizes = [64, *[width] * HIDDEN_LAYERS, 10]
        self.layers = [Linear(inputs, outputs, rng) for inputs, outputs in pairwise(sizes)]

    def __call__(self, x):
        *hidden, last = self.layers
        for layer in hidden:
            x = relu(layer(x))
        return last(x)


def workload(trial, *, steps, batch, width):
    images, classes = digits()
    order = trial.rng.permutation(len(images) - TESTED)
    network = Perceptron(width, trial.rng)
    optimiser = Adam(network.parameters(), rate=0.005)
    for step in trial.steps(steps):
        chosen = order[np.arange(step * batch, (step + 1) * batch) % len(order)]
        loss = cross_entropy(network(Variable(images[chosen])), classes[chosen])
        optimiser.cleargrads()
        loss.backward()
        optimiser.step()
    trial.record(
        wrong_count=wrong_of(network, images[-TESTED:], classes[-TESTED:]),
        loss_value=float(loss.data),
        weights_checksum=checksum(network),
    )
    return network


def wrong_of(network, images, classes):
    """Return how many images the network takes for another digit, some at a time: the peak is that of training."""
    wrong = 0
    with no_grad():
        for start in range(0, len(images), AT_A_TIME):
            some = slice(start, start + AT_A_TIME)
            wrong += int((network(Variable(images[some])).data.argmax(axis=1) != classes[some]).sum())
    return wrong


def checksum(network):
    """Return the CRC-32 of the parameters: two trainings that differ in one bit have two of them."""
    found = 0
    for parameter in network.parameters():
        found = zlib.crc32(parameter.data.tobytes(), found)
    return found


def wanted(cell):
    toggles = {name: cell[name] for name in PLAIN}
    if cell["measure"] != "traced":
        return toggles in (PLAIN, LEAN)
    if toggles["references"] == "strong":
        return toggles == STRONG
    # Rounding comes on top of what else there is to save.
    return toggles["storage"] == "exact" or toggles == {**LEAN, "storage": toggles["storage"]}


def predict(cell, interpreter):
    from toolkit.analysis.rehearsal import rehearsed

    # Every step from the third on is like it: there are means of gradients, and the graph of the step before.
    return rehearsed(workload, {**cell, "steps": min(cell["steps"], 3)}, 8 * cell["batch"] * cell["width"])


def figures(results):
    from toolkit.report.charts.bars import bars
    from toolkit.report.charts.roles import roles

    largest = sizes(results)[0]
    ways = ["saves", "retain_graph"]
    alike = {"references": results.level("references", "weak"), **largest}
    exact = {**alike, "storage": results.level("storage", "exact")}
    saving = {name: results.level(name, LEAN[name]) for name in ways}
    network = f"Batches of {largest['batch']}, {HIDDEN_LAYERS} hidden layers of {largest['width']}."
    yield bars(
        results,
        "peak_traced_bytes",
        "traced",
        by=ways,
        where=exact,
        name="peak",
        title="The peak of training, and what theory says of it",
        caption=network,
    )
    yield bars(
        results,
        "peak_traced_bytes",
        "traced",
        by=["storage"],
        where={**alike, **saving},
        name="storage",
        title="What keeping activations rounded as well comes to",
        caption=f"{network} {', '.join(f'{name}={level}' for name, level in saving.items())}.",
    )
    yield bars(
        results,
        "wall_seconds",
        "timed",
        by=ways,
        where=exact,
        name="time",
        title="What the same training takes",
        caption=f"{largest['steps']} steps, and the test. {network}",
    )
    yield roles(
        results,
        by=ways,
        where=exact,
        name="roles",
        title="Of what the memory of training consists",
        caption=network,
    )


def findings(results):
    from toolkit.report import claims

    for size in sizes(results):
        yield claims.times_as_much(
            results,
            "peak_traced_bytes",
            "traced",
            f"Training with batches of {size['batch']} peaks at {{more}} as the book does it, and at {{less}} "
            "where functions save what gradients need and the backward pass lets go of the graph: {ratio} as much.",
            more=PLAIN,
            less=LEAN,
            **size,
        )
        yield claims.alike(
            results,
            "weights_checksum",
            "traced",
            f"trained weights of every setting that rounds nothing, batches of {size['batch']}, to the last bit",
            {"storage": "exact", **size},
        )
    largest = sizes(results)[0]
    for storage in (one for one in results.levels("storage") if one != "exact"):
        yield claims.times_as_much(
            results,
            "peak_traced_bytes",
            "traced",
            f"With both savings, activations kept in {storage} as well: {{more}}, exact ones "
            "{less}, {ratio} as much.",
            more={**LEAN, "storage": storage},
            less=LEAN,
            **largest,
        )
    yield claims.times_as_much(
        results,
        "peak_traced_bytes",
        "traced",
        "With strong references to outputs, whose graphs wait for the collector, training peaks at {more}, plainly "
        "at {less}: {ratio} as much.",
        more=STRONG,
        less=PLAIN,
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
    yield claims.agreement(results, metrics, "traced", "peak and end of each setting against the simulation")


def sizes(results):
    """Return every size of training that ran, the largest first."""
    names = ("steps", "batch", "width")
    return [
        dict(zip(names, levels, strict=True))
        for levels in product(*(reversed(results.levels(name)) for name in names))
    ]


EXPERIMENT = Experiment(
    workload,
    factors={
        "references": ["weak", "strong"],
        "saves": ["inputs", "needed"],
        "retain_graph": [True, False],
        "storage": ["exact", "float32", "float16"],
        "batch": [256],
    },
    constants={"steps": 60, "width": 128},
    measures=["traced", "timed", "ledger"],
    replicates={"traced": 1, "timed": 3, "ledger": 1},
    profiles={
        "smoke": {
            "references": ["weak"],
            "storage": ["exact"],
            "measures": ["traced"],
        },
        "full": {"batch": [256, 1024], "replicates": {"timed": 10}},
    },
    requires=[PACKAGE],
    where=wanted,
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
