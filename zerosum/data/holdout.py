"""Images held out of a set that has no splits: the same ones, however many are added."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from zerosum.data.images import ImageSet
from zerosum.data.store import Images, chunks
from zerosum.errors import UserError


def held_out_of(images: ImageSet, *, split: str, share: float) -> ImageSet:
    """Take the training images of a set, or those that are held out.

    Which are is decided by the content of each image's file, or of its pixels where it has none, so
    that it stays the same when images are added or renamed, and equal images are never on both
    sides. Of the training images, classes of which none is left go away.

    Args:
        images: the whole set.
        split: "train" for all but the share, else the share.
        share: between 0 and 1, of images to hold out. It is met on average: of few images more or
            fewer are held out.

    Raises:
        UserError: no image is left on that side.
    """
    held = rows_held_out(images.content or contents(images.images), share=share)
    rows = torch.nonzero(held if split != "train" else ~held).flatten()
    if not len(rows):
        raise UserError(
            f"Of {len(images):,} images --hold-out {share:g} leaves none "
            f"{'to train on' if split == 'train' else 'held out'}. Choose another share."
        )
    origin = images.report.origin
    taken = images.take(rows)
    return replace(
        taken.with_occurring_classes() if split == "train" else taken,
        report=images.report.with_more(
            held_out=f"{int(held.sum()):,} of {len(images):,} images of {origin or images.name}, "
            "by their content"
        ),
    )


def rows_held_out(content: Sequence[bytes], *, share: float) -> Tensor:
    """Tell which images are held out, by hashes of their content of 8 bytes: bool (n,)."""
    return torch.tensor([int.from_bytes(number) < share * 2**64 for number in content])


def contents(images: Images) -> list[bytes]:
    """Hash the pixels of each of the images (n, ...)."""
    return [
        hashlib.sha256(row.tobytes()).digest()[:8]
        for chunk in chunks(images)
        for row in chunk.contiguous().numpy()
    ]


def splits_already(source: object) -> UserError:
    """Build the error for a part that is to be held out where one is already."""
    return UserError(
        f"'{source}' has a held-out split of its own, so that --hold-out would take from what is "
        "to train on. Leave it out."
    )
