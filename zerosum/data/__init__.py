"""Images to learn from: named data sets, folders, archives and arrays, and how they are dealt.

Knows nothing of games, nets or training. Importing the package does not import torch: `load` and
`ImageSet` come on first use, so that a command can list `DATASETS` without the wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zerosum.data.catalog import DATASETS, SPLITS, Dataset

if TYPE_CHECKING:
    from zerosum.data.images import ImageSet
    from zerosum.data.sources import has_splits, load
else:

    def __getattr__(name: str) -> object:
        """Import what needs torch when it is asked for."""
        if name == "ImageSet":
            from zerosum.data.images import ImageSet

            return ImageSet
        if name in ("has_splits", "load"):
            from zerosum.data import sources

            return getattr(sources, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["DATASETS", "SPLITS", "Dataset", "ImageSet", "has_splits", "load"]
