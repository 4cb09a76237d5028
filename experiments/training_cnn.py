"""Which setting gets back the memory that convolutions take in training, and does the network learn the same?

Two convolutions with pooling learn the handwritten digits that ship with scikit-learn. A convolution is one
product of its filters with the matrix of all windows (im2col), in which every pixel stands nine times: that matrix
is what a plain graph keeps. A checkpoint keeps what goes into a convolution and makes the matrix again when the
gradient needs it. None of the settings changes the arithmetic, so that the trained weights must be those of the
plain way to the last bit. The last 297 digits, which it never sees in training, tell what it has learned. S is the
images that the first convolution makes of a batch.
"""

from functools import partial

from toolkit import Experiment, Variable, checkpoint, cross_entropy, max_pool2d, relu
from toolkit.nn import Layer
from toolkit.nn.adam import Adam
from toolkit.nn.convolution import Convolution
from toolkit.nn.digits import PACKAGE, TESTED, batches, digits, learned
from toolkit.nn.linear import Linear

#: How many images the convolutions make of one.
FIRST, SECOND = 8, 16
#: How many of the digits that are kept for the test may be told wrongly.
WRONG_AT_MOST = 60
#: So many steps train; the roles of arrays are told of a few.
STEPS, FEW_STEPS = 80, 4
PLAIN = {"saves": "inputs", "retain_graph": True, "checkpoints": False}


class Network(Layer):
    def __init__(self, rng, checkpoints):
        self.convolutions = [
            Convolution(1, FIRST, 3, rng, padding=1),
            Convolution(FIRST, SECOND, 3, rng, padding=1),
        ]
        self.last = Linear(SECOND * 2 * 2, 10, rng)
        self.run = checkpoint if checkpoints else lambda compute, x: compute(x)

    def __call__(self, x):
        for convolution in self.convolutions:
            x = self.run(partial(pooled, convolution), x)
        return self.last(x.reshape(len(x), -1))


def pooled(convolution, x):
    return max_pool2d(relu(convolution(x)), 2)


def workload(trial, *, checkpoints, steps, batch):
    images, classes = digits()
    images = images.reshape(-1, 1, 8, 8)
    order = batches(trial.rng, batch, trial.steps(steps))
    network = Network(trial.rng, checkpoints)
    optimiser = Adam(network.parameters(), rate=0.01)
    for chosen in order:
        loss = cross_entropy(network(Variable(images[chosen])), classes[chosen])
        optimiser.cleargrads()
        loss.backward()
        optimiser.step()
    trial.record(**learned(network, loss, images, classes))
    return list(network.parameters())


def where(cell):
    if (cell["measure"] == "ledger") != (cell["steps"] == FEW_STEPS):
        return False
    if cell["measure"] == "traced":
        return True
    # Times and roles are told of the ends: the plain way, and all that saves, with checkpoints and without.
    return (cell["saves"] == "inputs") == cell["retain_graph"]


def predict(cell, interpreter):
    from toolkit.analysis.rehearsal import rehearsed

    # Every step from the third on is like it: there are means of gradients, and the graph of the step before.
    few = {**cell, "steps": min(cell["steps"], 3)}
    return rehearsed(workload, few, 8 * cell["batch"] * FIRST * 8 * 8, interpreter)


def figures(results):
    from toolkit.report.charts.bars import bars
    from toolkit.report.charts.roles import roles

    largest = sizes(results)[0]
    saved = "saves=needed: functions keep only what their gradient needs."
    let_go = "retain_graph=False: the backward pass lets go of each function's part as soon as it was used."
    again = "checkpoints=True: each convolution, with its relu and pooling, is computed again in the backward pass."
    yield bars(
        results,
        "peak_traced_bytes",
        "traced",
        by=["saves", "retain_graph"],
        where={"checkpoints": results.level("checkpoints", False), **largest},
        name="peak",
        title="The peak of training without checkpoints, and what theory says of it",
        caption=f"{saved} {let_go}",
    )
    yield bars(
        results,
        "peak_traced_bytes",
        "traced",
        by=["checkpoints", "retain_graph"],
        where={"saves": results.level("saves", "needed"), **largest},
        name="checkpoints",
        title="The peak with convolutions as checkpoints, and without",
        caption=f"{again} {let_go}",
    )
    yield bars(
        results,
        "wall_seconds",
        "timed",
        by=["saves", "checkpoints"],
        where=largest,
        name="time",
        title="What the same training takes",
        caption=f"{again} {saved} With it the backward pass lets go of the graph as well (retain_graph=False), "
        "without it does not.",
    )
    yield roles(
        results,
        by=list(PLAIN),
        where={**largest, "steps": results.level("steps", FEW_STEPS)},
        name="roles",
        title="Of what the memory of training consists",
        caption=f"The first {FEW_STEPS} steps, and the test, whose batches are views of the whole data set: input "
        "from then on. S is what the first convolution makes of a batch. A plain graph keeps the matrices of "
        "windows, 9/8 S and 9/4 S, among its activations, and the name of the loss holds one graph until the "
        f"next is complete. The traced peak is higher: it has the data set, the means of Adam and what comes and "
        f"goes inside an operation as well, which the ledger does not see. {again}",
    )


def findings(results):
    from toolkit.report import claims, contrasts

    for size in sizes(results):
        yield contrasts.times_as_much(
            results,
            "peak_traced_bytes",
            "traced",
            f"Training with batches of {size['batch']} peaks at {{more}} plainly, and at {{less}} with "
            "convolutions as checkpoints, only what gradients need saved and the graph let go of: {ratio}.",
            more=PLAIN,
            less={"saves": "needed", "retain_graph": False, "checkpoints": True},
            **size,
        )
        for what, one in (
            ("all inputs saved, and only what gradients need", {"saves": "needed"}),
            ("the graph kept, and let go of by the pass", {"retain_graph": False}),
            ("no checkpoints, and convolutions as checkpoints", {"checkpoints": True}),
        ):
            yield contrasts.times_as_much(
                results,
                "peak_traced_bytes",
                "traced",
                f"One setting alone, {what}: {{more}} against {{less}}: {{ratio}}.",
                more=PLAIN,
                less={**PLAIN, **one},
                **size,
            )
        for what in ("gradients", "weights"):
            yield claims.alike(
                results,
                f"{what}_checksum",
                "traced",
                f"{what} of every setting after training with batches of {size['batch']}, to the last bit",
                size,
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
    steps = results.levels("steps")[-1]
    return [{"steps": steps, "batch": batch} for batch in reversed(results.levels("batch"))]


EXPERIMENT = Experiment(
    workload,
    factors={
        "saves": ["inputs", "needed"],
        "retain_graph": [True, False],
        "checkpoints": [False, True],
        "batch": [64],
        "steps": [FEW_STEPS, STEPS],
    },
    measures=["traced", "timed", "ledger"],
    replicates={"traced": 1, "timed": 3, "ledger": 1},
    profiles={
        "smoke": {"saves": ["needed"], "steps": [STEPS], "measures": ["traced"]},
        "full": {"batch": [64, 256], "replicates": {"timed": 10}},
    },
    requires=[PACKAGE],
    where=where,
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
