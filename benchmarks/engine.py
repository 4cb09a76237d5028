"""The core beside bare numpy and other engines: forward and backward through a chain, an MLP step, depth.

Each engine runs in processes of its own, which take turns: what one leaves in the allocator serves no other. A
round tells the least CPU time of several runs after a warm-up, and a reading the median of its ratios over the
rounds. Peers that are not installed are left out (`pip install autograd-memory-toolkit[peers]`).
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping

from benchmarks import Reading, _chain, _mlp

ROUNDS = 5

#: k, n, and the targets: against bare numpy, the listing of step 18, PyTorch, and the best of all peers.
CHAINS: dict[tuple[int, int], dict[str, float]] = {
    (1000, 1): {"numpy": 3.3, "step 18": 0.7, "PyTorch": 0.6},
    (1000, 1000): {"numpy": 2.0, "the best peer": 1.0},
    (16, 100_000): {"the best peer": 0.5},
    (16, 1_000_000): {"the best peer": 0.5},
}

_CHILD = """
import gc, json, sys, time
from benchmarks import _chain, _mlp
module, engine, *sizes = json.loads(sys.argv[1])
run = {"chain": _chain, "mlp": _mlp}[module].ENGINES[engine](*sizes)
gc.disable()
run()
taken = []
while sum(taken) < 0.3 or len(taken) < 3:
    began = time.process_time()
    run()
    taken.append(time.process_time() - began)
print(min(taken))
"""


def measure() -> Iterator[Reading]:
    """Yield the ratios of the core to bare numpy and to each peer, workload by workload."""
    peers = _chain.installed()
    for (k, n), targets in CHAINS.items():
        ours = "core, memory used again" if n >= 100_000 else "core"
        ratios = _ratios("chain", ours, ["numpy", *peers], [k, n])
        for other, ratio in ratios.items():
            yield Reading(
                name=f"{k} ops of {n:,}: {ours} / {other}", value=ratio, unit="×", at_most=targets.get(other)
            )
        yield from _against_the_best(f"{k} ops of {n:,}: {ours}", ratios, targets.get("the best peer"))
    forward = _ratios("chain", "core, no_grad", ["numpy, forward"], [1000, 1])
    yield Reading(
        name="1000 ops of 1, no_grad: core / numpy", value=forward["numpy, forward"], unit="×", at_most=2.5
    )
    ratios = _ratios("mlp", "core", _mlp.installed(), [64])
    for other, ratio in ratios.items():
        at_most = 1.2 if other == "PyTorch" else 1.0
        yield Reading(name=f"MLP step: core / {other}", value=ratio, unit="×", at_most=at_most)
    shallow, deep = (_seconds("chain", "core", [k, 1]) for k in (10_000, 100_000))
    yield Reading(name="a chain ten times as deep: time over ten times", value=deep / shallow / 10, unit="×")


def _against_the_best(name: str, ratios: Mapping[str, float], at_most: float | None) -> Iterator[Reading]:
    peers = [ratio for other, ratio in ratios.items() if other != "numpy"]
    if at_most is not None and peers:
        # The best peer is the one to which the core's ratio is highest.
        yield Reading(name=f"{name} / the best peer", value=max(peers), unit="×", at_most=at_most)


def _ratios(module: str, ours: str, others: list[str], sizes: list[int]) -> dict[str, float]:
    rounds = [{one: _seconds(module, one, sizes) for one in (ours, *others)} for _ in range(ROUNDS)]
    return {other: statistics.median([taken[ours] / taken[other] for taken in rounds]) for other in others}


def _seconds(module: str, engine: str, sizes: list[int]) -> float:
    command = [sys.executable, "-c", _CHILD, json.dumps([module, engine, *sizes])]
    return float(subprocess.check_output(command, text=True))
