"""Borders for nets that turn images into images: any size goes in, and the same size comes out.

Everything here is made of slices and `cat`. The backward passes of torch's own reflection and
replication padding add in any order on a GPU, so no training with them could be repeated bit by
bit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zerosum.errors import UserError
from zerosum.nets.pyramid import Size

SMALLEST, LARGEST = 8, 1024
"""Sides of images, in pixels, that the translating nets are made for."""


def shorter_side(image_size: Size) -> int:
    """The shorter side of the images that a translating net is to be made for, in pixels.

    Raises:
        UserError: a side is not one that these nets are made for.
    """
    if not SMALLEST <= min(image_size) <= max(image_size) <= LARGEST:
        raise UserError(
            f"Nets that translate cannot be made for images of {image_size[0]}×{image_size[1]}: "
            f"expected sides from {SMALLEST} to {LARGEST} pixels, square or not. Resize the "
            "images with --size."
        )
    return min(image_size)


def padded(images: Tensor, multiple: int, *, least: int = 1) -> Tensor:
    """Images (b, c, h, w) whose sides are multiples of `multiple`, and `least` pixels or more.

    What is missing on the right and at the bottom is the images' mirror image, edge pixels
    included: so it works from a single pixel on. Images that fit come back as they are.

    Args:
        images: any size, in any range.
        multiple: of which both sides shall be multiples.
        least: the least side, itself a multiple.
    """
    for axis in (2, 3):
        target = max(-(-images.shape[axis] // multiple) * multiple, least)
        while (missing := target - images.shape[axis]) > 0:
            mirror = images.flip(axis).narrow(axis, 0, min(missing, images.shape[axis]))
            images = torch.cat([images, mirror], axis)
    return images


def cropped(images: Tensor, size: Size) -> Tensor:
    """Images (b, c, h, w) cut to `size` from the top left: what `padded` added is gone again."""
    return images[..., : size[0], : size[1]]


class Reflection(nn.Module):
    """Maps (b, c, h, w) -> maps (b, c, h + 2·border, w + 2·border), reflected about their edges.

    The values of `nn.ReflectionPad2d`. Sides must be larger than the border.
    """

    def __init__(self, border: int) -> None:
        super().__init__()
        self.border = border

    def forward(self, maps: Tensor) -> Tensor:
        for axis in (2, 3):
            side = maps.shape[axis]
            before = maps.narrow(axis, 1, self.border).flip(axis)
            after = maps.narrow(axis, side - 1 - self.border, self.border).flip(axis)
            maps = torch.cat([before, maps, after], axis)
        return maps
