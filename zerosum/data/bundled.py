"""The named data sets of `catalog`, read from where they lie on this machine."""

from __future__ import annotations

from dataclasses import replace

from zerosum.data.catalog import DATASETS, FILES, folders, locate
from zerosum.data.decode import Format
from zerosum.data.idx import load_idx_folder
from zerosum.data.images import ImageSet
from zerosum.errors import UserError


def load_bundled(name: str, *, split: str, wanted: Format) -> ImageSet:
    """Load one split of a named data set, labelled.

    Raises:
        UserError: it is not on this machine; the message says how to get it.
    """
    folder = locate(name)
    if folder is None:
        looked = " and ".join(map(str, folders(name)))
        raise UserError(
            f"The data set '{name}' is not on this machine: looked for {', '.join(FILES)} in "
            f"{looked}. {DATASETS[name].origin}"
        )
    loaded = load_idx_folder(folder, split=split, wanted=wanted)
    return replace(loaded, name=name, classes=DATASETS[name].classes)
