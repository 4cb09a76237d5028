"""An experiment whose workload does nothing, in a file that loads nothing: all it costs is what a trial costs."""

from toolkit import Experiment
from toolkit.trials import MEASURES


def workload(trial: object) -> None:
    """Do nothing."""


EXPERIMENT = Experiment(workload, factors={}, measures=MEASURES, replicates=dict.fromkeys(MEASURES, 1))
