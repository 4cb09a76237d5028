"""Step 18.1: what does keeping the gradients of intermediates cost?"""

from toolkit import Experiment


def workload(trial):
    pass


def figures(results):
    from toolkit.report.charts.scaling import scaling

    yield scaling(
        results,
        "peak_traced_bytes",
        "traced",
        over="length",
        by=["retain_grad"],
        name="peak",
        title="Keeping gradients doubles the slope of the peak",
    )


EXPERIMENT = Experiment(workload, {"length": [1, 2, 4, 8, 16], "retain_grad": [False, True]}, figures=figures)
