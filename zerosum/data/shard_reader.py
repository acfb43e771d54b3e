"""Shards as a source of images: of a folder on this machine, or behind an address."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zerosum.config.specs import Tier
from zerosum.data.canvas import SHARE
from zerosum.data.decode import Format
from zerosum.data.images import ImageSet, safe_name
from zerosum.data.pack import JOURNAL
from zerosum.data.report import Report
from zerosum.data.shard_store import Folder, Held, ShardImages, Shelf
from zerosum.data.shards import (
    FORMAT,
    INDEX,
    MAX_INDEX_BYTES,
    Damaged,
    Index,
    SplitShards,
    read_index,
    read_labels,
    verify,
)
from zerosum.data.store import ImageStore
from zerosum.errors import UserError
from zerosum.hardware import memory_bytes, require_memory
from zerosum.reading import open_file, read_bytes

HEAD = 4096
"""Bytes at the beginning of an index among which its format stands."""


def is_shards(path: Path) -> bool:
    """Whether a path is a folder of shards, finished or not, or the index of one."""
    index = path / INDEX if path.is_dir() else path
    if (index.parent / JOURNAL).exists() and path.is_dir():
        return True
    if index.name != INDEX or not index.is_file():
        return False
    with open_file(index) as file:
        return re.search(rb'"format"\s*:\s*"%b"' % FORMAT.encode(), file.read(HEAD)) is not None


def load_shards(path: Path, *, split: str, wanted: Format, strict: bool) -> ImageSet:
    """Load one split of shards on this machine; they are read as they are needed.

    Args:
        path: their folder, or the index in it.
        split: "train", "val" or "test".
        wanted: the size and channels to bring the images to, and where they are kept: in memory,
            which "auto" does where they take no more than half of it, or not.
        strict: means nothing here.

    Raises:
        UserError: they are damaged, not finished, or would not fit into memory.
    """
    folder = path if path.is_dir() else path.parent
    return set_of(
        local_index(folder),
        Folder(folder),
        split=split,
        wanted=wanted,
        kept=wanted.tier,
        name=safe_name(folder),
    )


def shards_have_splits(path: Path) -> bool:
    """Whether shards on this machine hold train and other images."""
    return len(local_index(path if path.is_dir() else path.parent).splits) > 1


def load_remote(url: str, *, split: str, wanted: Format, strict: bool) -> ImageSet:
    """Load one split of shards behind an address, as `load_shards` does.

    With "auto" they are streamed: read as they come, never all of them at once.
    """
    from zerosum.data.shard_cache import Remote  # with requests, which takes a while

    remote = Remote(url)
    return set_of(
        remote.index,
        remote,
        split=split,
        wanted=wanted,
        kept="disk" if wanted.tier == "auto" else wanted.tier,
        name=safe_name(Path(remote.name.rstrip("/"))),
    )


def remote_has_splits(url: str) -> bool:
    """Whether shards behind an address hold train and other images."""
    from zerosum.data.shard_cache import Remote

    return len(Remote(url).index.splits) > 1


def local_index(folder: Path) -> Index:
    """Read the index of shards on this machine.

    Raises:
        UserError: it is none, or not there yet.
    """
    try:
        with open_file(folder / INDEX) as file:
            return read_index(file.read(MAX_INDEX_BYTES), folder)
    except FileNotFoundError:
        raise UserError(
            f"The shards in '{folder}' are not finished. Give the command `zerosum data pack` "
            "again that began them: it goes on where it was."
        ) from None
    except OSError as error:
        raise UserError(f"'{folder / INDEX}' cannot be read: {error.strerror}.") from error


def set_of(
    index: Index, shelf: Shelf, *, split: str, wanted: Format, kept: Tier, name: str
) -> ImageSet:
    """Make a set of one split.

    Raises:
        UserError: its labels are damaged; it does not fit into memory; or a setting would change
            nothing.
    """
    for flag, given in (("range", wanted.value_range), ("all-frames", wanted.all_frames)):
        if given:
            raise UserError(
                f"--{flag} would change nothing: what is in '{shelf.name}' was decoded when it was "
                f"packed. Leave it out, or give it to `zerosum data pack`."
            )
    chosen = index.chosen(split)
    about = index.splits[chosen]
    images: ImageStore = ShardImages(index, chosen, shelf, wanted)
    if kept in ("memory", "device") or (kept == "auto" and fits(images.shape)):
        require_memory(
            images.shape.numel(),
            memory=memory_bytes(),
            what=f"{len(images):,} images of {images.shape[2]}×{images.shape[3]} pixels",
            advice="Read them from the shards with --data-tier disk.",
        )
        images = Held(images)
    labels, classes = labels_of(about, shelf)
    others = [each for each in ("val", "test") if each in index.splits]
    has_splits = bool(others)
    report = Report(
        origin=f"{shelf.name}, its {chosen} split" if has_splits else shelf.name,
        held_out=f"its {others[0]} split" if has_splits else "",
    )
    return ImageSet(images=images, labels=labels, classes=classes, name=name, report=report)


def fits(shape: Sequence[int]) -> bool:
    """Whether images take no more of the memory than others may, too."""
    memory = memory_bytes()
    return memory is not None and int(np.prod(shape, dtype=np.int64)) <= SHARE * memory


def labels_of(about: SplitShards, shelf: Shelf) -> tuple[Tensor | None, tuple[str, ...]]:
    """The labels of a split, int64 (n,), and those of its classes that occur.

    Raises:
        UserError: they cannot be had, or are not what the index says.
    """
    if about.labels is None:
        return None, ()
    while True:
        try:
            path = shelf.get(about.labels)
            verify(path, about.labels)  # before all of it is read: it may be of any size
            labels = read_labels(read_bytes(path), about)
            break
        except (Damaged, OSError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else str(problem)
            if error := shelf.damaged(about.labels, reason or type(problem).__name__):
                raise error from None
    occurring, labels = np.unique(labels, return_inverse=True)
    classes = tuple(about.classes[label] for label in occurring)
    return torch.from_numpy(labels.astype(np.int64)), classes
