"""How does the memory of training a recurrent network grow with the length of its sequences, and what stops it?

A network reads a sine wave, of which it is not told the phase, and predicts the next value at every step.
Backpropagation through time keeps the graph of the whole sequence until its end. Truncated (Williams and Peng
1990), it goes back every so many steps and unchains the state that is carried on: what came before is freed, and
gradients reach no further back.

Whoever predicts sin(a+w) from sin(a) alone errs by sin(w)**2 / 2 in the mean of squares at best, for the cosine of
a may have either sign: a loss below that can only come of what the state remembers. A truncation as long as the
sequence, and a graph that the backward pass lets go of, change no bit of what is learned. S is the state of a
batch.
"""

import numpy as np

from toolkit import Experiment, Variable, mean_squared_error, tanh
from toolkit.core.checksum import checksum
from toolkit.nn import Layer
from toolkit.nn.adam import Adam
from toolkit.nn.linear import Linear

#: How far the wave goes on in a step, in radians.
STEP = 0.5
#: What is best without memory, and the part of it that every network must come below.
WITHOUT_MEMORY = np.sin(STEP) ** 2 / 2
LOSS_AT_MOST = 0.5 * WITHOUT_MEMORY


class Network(Layer):
    def __init__(self, width, rng):
        self.read, self.keep = Linear(1, width, rng), Linear(width, width, rng, bias=False)
        self.tell = Linear(width, 1, rng)

    def __call__(self, state, x):
        state = tanh(self.read(x) + self.keep(state))
        return state, self.tell(state)


def workload(trial, *, length, truncation, updates, batch, width):
    network = Network(width, trial.rng)
    optimiser = Adam(network.parameters(), rate=0.01)
    every = length if truncation == "none" else int(truncation.removeprefix("every "))
    for _ in trial.steps(updates):
        phase = trial.rng.uniform(0, 2 * np.pi, (batch, 1))
        optimiser.cleargrads()
        # The state that a sequence begins with has no name here, which would hold it until the end.
        total = through(
            network, Variable(np.zeros((batch, width))), phase, length, every, cut=truncation != "none"
        )
        loss = total / length
        optimiser.step()
    trial.record(
        loss_value=loss,
        gradients_checksum=checksum(parameter.grad for parameter in network.parameters()),
        weights_checksum=checksum(parameter.data for parameter in network.parameters()),
    )
    return network


def through(network, state, phase, length, every, *, cut):
    """Go through a sequence, and back at every truncation and at the end; return the sum of the losses.

    A pass goes back no further than its part where what comes before is `cut` off.
    """
    total, part = 0.0, 0
    for step in range(length):
        state, told = network(state, Variable(np.sin(phase + STEP * step)))
        part = part + mean_squared_error(told, np.sin(phase + STEP * (step + 1))) / length
        if (step + 1) % every == 0 or step + 1 == length:
            part.backward()
            total += float(part.data) * length
            part = 0
            if cut:
                state.unchain()
    return total


def where(cell):
    return cell["measure"] == "traced" or cell["retain_graph"]


def predict(cell, interpreter):
    from toolkit.analysis.rehearsal import rehearsed

    # Every sequence from the second on is like it: there are means of gradients.
    few = {**cell, "updates": min(cell["updates"], 2)}
    return rehearsed(workload, few, 8 * cell["batch"] * cell["width"], interpreter)


def figures(results):
    from toolkit.report.charts.scaling import scaling

    size = size_of(results)
    ways = ["truncation", "retain_graph"]
    yield scaling(
        results,
        "peak_traced_bytes",
        "traced",
        over="length",
        by=ways,
        where=size,
        name="peak",
        title="The peak over the length of the sequence",
        caption=f"Batches of {size['batch']}, a state of {size['width']}. truncation=none: back once, at the end "
        "of the sequence. retain_graph=False: the pass lets go of each function's part as soon as it was used.",
    )
    yield scaling(
        results,
        "wall_seconds",
        "timed",
        over="length",
        by=["truncation"],
        where={**size, "retain_graph": results.level("retain_graph", True)},
        name="time",
        title="What the same training takes over the length of the sequence",
        caption=f"{size['updates']} sequences, batches of {size['batch']}, a state of {size['width']}. Truncated "
        "or not, each step is gone through once and back once.",
    )


def findings(results):
    from toolkit.report import claims, contrasts
    from toolkit.report.units import number

    size, plain = size_of(results), {"retain_graph": True}
    lengths = results.levels("length")
    shortest, longest = lengths[0], lengths[-1]
    # Where none ran, what is said of this one says so: the first finding answers the question.
    truncations = [one for one in results.levels("truncation") if one != "none"] or ["every 8"]
    for truncation in truncations:
        yield contrasts.times_as_much(
            results,
            "peak_traced_bytes",
            "traced",
            f"Training on sequences of {longest} steps peaks at {{more}}, with backpropagation truncated "
            f"{truncation} at {{less}}: {{ratio}}.",
            more={"truncation": "none"},
            less={"truncation": truncation},
            **plain,
            length=longest,
            **size,
        )
        every = int(truncation.removeprefix("every "))
        longer = [length for length in lengths if length > every]
        yield claims.alike(
            results,
            "peak_traced_bytes",
            "traced",
            f"the peak of every longer sequence, truncated {truncation}",
            {"truncation": truncation, **plain, "length": longer, **size},
        )
        for what in ("gradients", "weights"):
            yield claims.alike(
                results,
                f"{what}_checksum",
                "traced",
                f"{what} after sequences of {every} steps, whole and truncated {truncation}, to the last bit",
                {"truncation": ["none", truncation], "length": every, **size},
            )
    for truncation in results.levels("truncation"):
        yield contrasts.times_as_much(
            results,
            "peak_traced_bytes",
            "traced",
            f"Truncation {truncation}: sequences of {longest} steps peak at {{more}}, of {shortest} at {{less}}, "
            "{ratio}.",
            more={"length": longest},
            less={"length": shortest},
            truncation=truncation,
            **plain,
            **size,
        )
        for what in ("gradients", "weights"):
            yield claims.alike(
                results,
                f"{what}_checksum",
                "traced",
                f"{what}, truncation {truncation}, {longest} steps, graph kept or let go of, to the last bit",
                {"truncation": truncation, "length": longest, **size},
            )
    yield claims.at_most_anywhere(
        results,
        "loss_value",
        "traced",
        f"loss of the last batch, where {number(WITHOUT_MEMORY)} is best without memory",
        LOSS_AT_MOST,
    )
    metrics = ["peak_traced_bytes", "end_traced_bytes"]
    yield claims.agreement(results, metrics, "traced", "peak and end of each length against the simulation")


def size_of(results):
    return {name: results.levels(name)[-1] for name in ("updates", "batch", "width")}


EXPERIMENT = Experiment(
    workload,
    factors={
        "truncation": ["none", "every 8"],
        "retain_graph": [True, False],
        "length": [8, 16, 32, 64],
    },
    constants={"updates": 30, "batch": 64, "width": 64},
    measures=["traced", "timed"],
    replicates={"traced": 1, "timed": 3},
    profiles={
        "smoke": {"retain_graph": [True], "length": [8, 16], "measures": ["traced"]},
        "full": {
            "truncation": ["none", "every 8", "every 16", "every 32"],
            "length": [8, 16, 32, 64, 128],
            "replicates": {"timed": 10},
        },
    },
    where=where,
    predict=predict,
    figures=figures,
    findings=findings,
)

if __name__ == "__main__":
    EXPERIMENT.main()
