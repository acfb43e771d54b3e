"""From what a user names, a run or a path, to its metrics."""
