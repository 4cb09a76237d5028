"""Engines that race in processes of their own, one at a time: what one leaves in the allocator serves no other.

`python -m benchmarks._racing.alone MODULE NAME ARGUMENT SECONDS` is such a process. It makes the action that
``MODULE.action`` returns for a name and a number, prints the sum of the array that it returns, and for every
line that it is sent the seconds that the action took, from blocks that last as many seconds.
"""

import gc
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module

import numpy as np

from benchmarks._racing.rounds import Times, block_seconds, processor_seconds, repeats_in

#: A turn is as many blocks, of which the fastest counts: what others do on the machine only ever adds time.
BLOCKS = 5


def race_alone(module: str, names: list[str], argument: int, rounds: int) -> Times:
    """Let the actions of these names take turns, each in its process.

    Raises
    ------
    AssertionError
        Two of them compute something else.
    """
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as processes:
        block = block_seconds()
        racers = {name: processes.enter_context(_racer(module, name, argument, block)) for name in names}
        sums = {name: float(_line(racer)) for name, racer in racers.items()}
        for name in names:
            np.testing.assert_allclose(sums[name], sums[names[0]], rtol=1e-9, err_msg=name)
        order = list(names)
        for _ in range(rounds):
            for name in order:
                print(file=racers[name].stdin, flush=True)
                seconds[name].append(float(_line(racers[name])))
            order.append(order.pop(0))
    return Times(seconds)


@contextmanager
def _racer(module: str, name: str, argument: int, block: float) -> "Iterator[subprocess.Popen[str]]":
    words = [sys.executable, "-m", __name__, module, name, str(argument), str(block)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(racer: "subprocess.Popen[str]") -> str:
    assert racer.stdout
    return racer.stdout.readline()


def main(module: str, name: str, argument: str, block: str) -> None:
    """Be one of the processes."""
    run = import_module(module).action(name, int(argument))
    print(float(np.sum(run())), flush=True)
    repeats = repeats_in(float(block), run)
    gc.collect()
    gc.freeze()
    for _ in sys.stdin:
        print(min(processor_seconds(run, repeats) for _ in range(BLOCKS)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
