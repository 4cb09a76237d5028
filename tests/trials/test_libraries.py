"""The pages of program files: all of them resident after they have been asked for."""

import subprocess
import sys

import pytest

PROGRAM = """
import numpy as np
from toolkit.trials.libraries import populate_libraries

def resident_of(name):
    sizes, in_library = [0, 0], False
    for line in open("/proc/self/smaps"):
        fields = line.split()
        if "-" in fields[0] and not fields[0].endswith(":"):
            in_library = len(fields) > 5 and name in fields[5] and fields[1].startswith("r")
        elif in_library and fields[0] in ("Size:", "Rss:"):
            sizes[fields[0] == "Rss:"] += int(fields[1])
    return sizes

before = resident_of("_multiarray_umath")
done = populate_libraries()
after = resident_of("_multiarray_umath")
print(done, before[1] < before[0], after[1] == after[0] > 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be asked to read pages in")
def test_every_page_of_numpy_is_resident_afterwards():
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["True", "True", "True"]


def test_elsewhere_it_says_that_it_cannot(monkeypatch):
    from toolkit.trials import libraries

    monkeypatch.setattr(libraries.sys, "platform", "darwin")
    assert libraries.populate_libraries() is False
