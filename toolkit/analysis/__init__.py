"""What the numbers mean: predictions, statistics, comparison. Pure functions of numbers, but for one.

`rehearsal` runs a workload, in this process, to have a recording that the others compute with.
"""
