"""Write the golden file of the present version: once for each, by `python tests/store/golden/make.py`."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from toolkit.store.opening import store_path
from toolkit.store.schema import VERSION
from toolkit.store.write import Writer
from toolkit.trials import Outcome, Trial


def trial(replicate: int, code_digest: str = "c0de" * 16) -> Trial:
    return Trial(
        experiment="step17_weak_references",
        script="/somewhere/step17_weak_references.py",
        factors={"references": "weak", "gc": "off", "n": 2**53 + 1, "rate": 0.1},
        constants={"iterations": 400, "label": "한국어 </script>"},
        measure="resident",
        replicate=replicate,
        seed=7,
        deadline_seconds=60.0,
        code_digest=code_digest,
    )


def outcome(replicate: int) -> Outcome:
    if replicate == 2:
        return Outcome(
            status="crash",
            exit_code=-11,
            message="Segmentation fault",
            started_at=1.7e9,
            elapsed_seconds=0.25,
        )
    return Outcome(
        status="ok",
        exit_code=0,
        metrics={"peak_rss_bytes": 8_003_584 + replicate, "wall_seconds": 0.1 + 0.2, "correct": True},
        series={"rss_bytes": [4096, 8192, 4096], "position_seconds": [0.0, 0.1, 0.25]},
        conditions={"python": "3.11.7", "gc_threshold0": 700, "exact_probe": True},
        started_at=1.7e9 + replicate,
        elapsed_seconds=1.25,
    )


def write(folder: Path) -> None:
    """Write a store of two runs, the second cut off, and trials of two codes: one failed, one at first."""
    with patch.object(time, "time", lambda: 1_700_000_000.5), Writer(folder) as store:
        run = store.begin_run({"python": "3.11.7", "arguments": ["run"]}, [trial(0, "older")])
        store.add(run, trial(0, "older"), outcome(0))
        store.end_run(run)
        run = store.begin_run({"python": "3.11.7", "load": [0.5, 0.25, 0.125]}, [trial(0)])
        store.add(run, trial(1), outcome(2))
        for replicate in range(3):
            store.add(run, trial(replicate), outcome(replicate))


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        write(Path(folder))
        target = Path(__file__).with_name(f"version-{VERSION}.db")
        target.write_bytes(store_path(folder).read_bytes())
