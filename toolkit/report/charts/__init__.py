"""What a chart is: a function that takes results and returns a `Figure`. A file's name is that of its kind.

In every kind what is wide and light is predicted, and what is dark and narrow on top of it is measured.
"""
