"""What is known of a probe that changes what it watches, for findings that must say so."""

import pytest

from toolkit.analysis.observing import Observed, Twin


@pytest.fixture
def changing():
    """Return what a store knows where the probe of this name makes the collector run more often."""

    def known(watcher):
        return Observed([Twin(watcher, {}, 5, 3, 1e6, 1e6, 4096)])

    return known
