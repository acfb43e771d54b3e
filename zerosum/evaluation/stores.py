"""Images that are read as they are evaluated: sets that need not fit into memory.

They are read twice at most, first to see what can be used, and then for a feature net; nothing of
them is kept but where they lie. What may be read so is a folder of image files without subfolders,
an `.npz` of bytes, tars and tables of Parquet. All else is loaded, see `zerosum.data`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from zerosum.data.decode import Format
from zerosum.data.folder import load_folder
from zerosum.data.images import to_tensor
from zerosum.data.npz import DAMAGE as NPZ_DAMAGE
from zerosum.data.npz import load_npz
from zerosum.data.report import Report
from zerosum.data.sources import find_reader
from zerosum.data.store import ImageStore
from zerosum.errors import UserError
from zerosum.evaluation.encoded import Encoded
from zerosum.evaluation.image_files import Files, image_names
from zerosum.evaluation.npz_images import Archived
from zerosum.evaluation.shard_files import TABLE, Tables, Tars, find_shards
from zerosum.game.sampling import CHUNK
from zerosum.inference.sampler import Sampler
from zerosum.metrics.features import BATCH

LOADED_BYTES = 64 * 2**20
"""Of pixels up to which images are simply loaded."""


class Drawn(ImageStore):
    """Samples of a run, made as they are asked for, a block at a time."""

    kept = "by the run"

    def __init__(self, sampler: Sampler, shape: Sequence[int]) -> None:
        self._sampler = sampler
        self._shape = torch.Size((sampler.count, *shape))
        self._lock = threading.Lock()
        self._block = -1
        self._images = torch.empty(0)

    @property
    def shape(self) -> torch.Size:
        """Shape of all images, (n, c, h, w)."""
        return self._shape

    def take(self, rows: Tensor) -> Tensor:
        """Make the blocks that images are in; the last one is remembered."""
        images = torch.empty(len(rows), *self._shape[1:], dtype=torch.uint8)
        blocks = rows // CHUNK
        with self._lock:
            for block in torch.unique(blocks).tolist():
                if block != self._block:
                    start = block * CHUNK
                    pieces = self._sampler.pieces(start, min(start + CHUNK, len(self)))
                    self._images = torch.cat([to_tensor(piece.samples) for piece in pieces])
                    self._block = block
                there = blocks == block
                images[there] = self._images[rows[there] - block * CHUNK]
        return images


def open_store(path: Path, wanted: Format) -> tuple[ImageStore, Report] | None:
    """Open images to be read as they are evaluated.

    Returns:
        The images, and what was understood; None of what is small enough to be loaded, and of what
        cannot be read so.

    Raises:
        UserError: there are such images, and they cannot be used.
    """
    if wanted.all_frames:
        return None
    if path.suffix.lower() == TABLE and path.is_file():
        store: Encoded = Tables(path, [path], wanted)
        return store.inspected(), store.report
    reader = find_reader(path)
    if reader is None:
        return None
    try:
        if reader.load is load_npz and path.suffix.lower() == ".npz":
            archive = Archived(path, wanted)
            large = archive.plain and archive.shape.numel() > LOADED_BYTES
            return (archive.inspected(), archive.report) if large else None
        if reader.load is not load_folder:
            return None
        if shards := find_shards(path):
            kind = Tables if shards[0].suffix.lower() == TABLE else Tars
            store = kind(path, shards, wanted)
            if not store.num_files():
                raise UserError(f"The shards in '{path}' hold no images.")
            return store.inspected(), store.report
        found = image_names(path)
    except UserError:  # a ValueError too
        raise
    except NPZ_DAMAGE:  # which loading tells
        return None
    if found is None:
        return None
    names, others = found
    files = Files(path, names, wanted)
    size = files.largest_of(range(min(BATCH, len(names))))
    if size and size * len(names) <= LOADED_BYTES:  # 0 where none of the first can be decoded
        return None
    return files.inspected(others), files.report
