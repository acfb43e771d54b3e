"""Metrics of quality and feature nets; they know nothing of games and files.

Importing any of it registers zerosum's own metrics, in the order in which tables list them.
"""

from zerosum.metrics import (  # noqa: I001
    frechet,
    kernel,
    precision_recall,
    classes,
    modes,
    diversity,
    paired,
)

__all__ = ["classes", "diversity", "frechet", "kernel", "modes", "paired", "precision_recall"]
