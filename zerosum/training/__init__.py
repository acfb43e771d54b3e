"""The training loop and what it keeps: rounds, the average of G, checkpoints, the run directory.

Nothing here knows a recipe, a net, a loss or a data set.
"""
