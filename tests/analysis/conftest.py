import itertools

import pytest

from toolkit.analysis.simulation import Mode
from toolkit.store import Row

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


@pytest.fixture
def make_row():
    count = 0

    def row(
        factors, metrics, *, measure="resident", status="ok", constants=None, conditions=None, replicate=0
    ):
        nonlocal count
        count += 1
        return Row(
            key=f"key{count}",
            run=1,
            experiment="loop",
            measure=measure,
            replicate=replicate,
            seed=0,
            status=status,
            exit_code=0,
            message="",
            factors=factors,
            constants=constants or {},
            metrics=metrics,
            conditions=conditions or {},
            code_digest="",
            started_at=float(count),
            elapsed_seconds=1.0,
        )

    return row
