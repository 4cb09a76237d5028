"""What a chart is: a function that takes results and returns a `Figure`. A file's name is that of its kind.

In every kind what is wide and pale is predicted, and what is narrow and strong on top of it is measured.
"""
