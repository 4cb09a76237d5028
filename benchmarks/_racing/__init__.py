"""Racing: actions that take turns, and what comes of it, as ratios taken within each round.

A round lets every action run once, one after the other, in an order that rotates. Absolute times drift by a factor
of two on a shared machine, so nothing but ratios within a round is kept; what is printed is their median, and the
quartiles beside it. Times are those on the processor, of all threads: what others take is not counted.
"""
