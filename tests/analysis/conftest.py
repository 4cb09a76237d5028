import itertools

from toolkit.analysis.simulation import Mode

#: Every combination of what is simulated from one recording, where there is a graph.
SAVING_MODES = [
    Mode(references=references, retain_grad=retain_grad, retain_graph=retain_graph, accumulation=accumulation)
    for references, retain_grad, retain_graph, accumulation in itertools.product(
        ("weak", "strong"), (False, True), (True, False), ("new", "in_place")
    )
]
MODES = [*SAVING_MODES, Mode(enable_backprop=False)]
#: What a recording stands for alone.
SAVED = [
    {"saves": saves, "storage": storage} for saves in ("inputs", "needed") for storage in ("exact", "float32")
]
