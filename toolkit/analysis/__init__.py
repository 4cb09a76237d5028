"""What the numbers mean: predictions, statistics, comparison. Pure functions of numbers."""
