"""Images to learn from: named data sets, folders, archives and arrays, and how they are dealt.

Knows nothing of games, nets or training. Importing the package does not import torch: `load` and
all else that needs it come on first use, so that a command can list `DATASETS` without the wait.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from zerosum.data.catalog import DATASETS, SPLITS, Dataset

if TYPE_CHECKING:
    from zerosum.data.decode import Format, fit_array
    from zerosum.data.images import ImageSet
    from zerosum.data.sources import Reader, has_splits, load, register_reader
    from zerosum.data.store import ImageStore
else:
    HOMES = {"Format": "decode", "fit_array": "decode", "ImageSet": "images", "ImageStore": "store"}
    HOMES |= dict.fromkeys(("Reader", "has_splits", "load", "register_reader"), "sources")

    def __getattr__(name: str) -> object:
        """Import what needs torch when it is asked for."""
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{HOMES[name]}"), name)


__all__ = [
    "DATASETS",
    "SPLITS",
    "Dataset",
    "Format",
    "ImageSet",
    "ImageStore",
    "Reader",
    "fit_array",
    "has_splits",
    "load",
    "register_reader",
]
