import pytest

from toolkit.store import Row


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
