"""Images held out of a set that has no splits: the same ones, however many are added."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch
from torch import Tensor

from zerosum.data.images import ImageSet
from zerosum.errors import UserError


def held_out_of(images: ImageSet, *, split: str, share: float) -> ImageSet:
    """Take the training images of a set, or those that are held out.

    Which are is decided by each image's own pixels, so that it stays the same when images are added
    or renamed, and equal images are never on both sides.

    Args:
        images: the whole set.
        split: "train" for all but the share, else the share.
        share: between 0 and 1, of images to hold out. It is met on average: of few images more or
            fewer are held out.

    Raises:
        UserError: no image is left on that side.
    """
    held = rows_held_out(images.images, share=share)
    rows = torch.nonzero(held if split != "train" else ~held).flatten()
    if not len(rows):
        raise UserError(
            f"Of {len(images):,} images --hold-out {share:g} leaves none "
            f"{'to train on' if split == 'train' else 'held out'}. Choose another share."
        )
    origin = images.report.origin
    return replace(
        images,
        images=images.images[rows],
        labels=None if images.labels is None else images.labels[rows],
        report=images.report.with_more(
            held_out=f"{int(held.sum()):,} of {len(images):,} images of {origin or images.name}, "
            "by their content"
        ),
    )


def rows_held_out(images: Tensor, *, share: float) -> Tensor:
    """Tell which images (n, ...) are held out: bool (n,)."""
    rows = images.contiguous().numpy()
    numbers = [hashlib.sha256(row.tobytes()).digest()[:8] for row in rows]
    return torch.tensor([int.from_bytes(number) < share * 2**64 for number in numbers])


def splits_already(source: object) -> UserError:
    """Build the error for a part that is to be held out where one is already."""
    return UserError(
        f"'{source}' has a held-out split of its own, so that --hold-out would take from what is "
        "to train on. Leave it out."
    )
