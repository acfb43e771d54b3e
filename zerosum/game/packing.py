"""Packing: D judges several images at once, and so sees when G makes the same one over and over.

Every pack is stacked on the channels, so any D takes packs that is built for that many more input
channels. Source: PacGAN, Lin et al. 2018, arXiv 1712.04086.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zerosum.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


def pack(images: Tensor, count: int) -> Tensor:
    """Stack each `count` consecutive images on the channels.

    Args:
        images: (n, c, ...), images or conditions; those of one pack lie next to each other.
        count: images a pack; 1 changes nothing.

    Returns:
        (n / count, count * c, ...): the channels of a pack's first image, then of its second...

    Raises:
        UserError: `count` does not divide n.
    """
    check_pack(count, len(images))
    return images.reshape(len(images) // count, count * images.shape[1], *images.shape[2:])


def check_pack(count: int, batch_size: int) -> None:
    """Refuse packs that a batch can't be divided into.

    Raises:
        UserError: `count` does not divide `batch_size`, or is below 1.
    """
    if count < 1:
        raise UserError(f"A pack of {count} images was asked for. Expected --pack 1 or more.")
    if batch_size % count:
        fits = batch_size - batch_size % count
        sizes = f"{fits} or {fits + count}" if fits else f"{count}"
        raise UserError(
            f"Packs of {count} images were asked for, but a batch has {batch_size}, which {count} "
            f"does not divide. Expected a batch of whole packs: choose --batch-size {sizes}, or "
            "another --pack."
        )
