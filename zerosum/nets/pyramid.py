"""The sizes of feature maps from an image down to a few pixels, and the steps between them.

Each level halves the one before, rounding up: 28, 14, 7, 4. So any size can be met exactly on the
way back: a level is twice the coarser one, or twice less one row or column.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from zerosum.errors import UserError

Size = tuple[int, int]
"""Height and width of an image or a feature map, in pixels."""

SMALLEST, LARGEST = 8, 1024
"""Sides of images that the convolutional nets are made for."""


def sizes(height: int, width: int, *, least: int = 4) -> list[Size]:
    """Halve a size, rounding up, while the shorter side stays at `least` or more.

    Returns:
        (height, width) of every level, the image's own first: 28×28 gives 28, 14, 7 and 4.

    Raises:
        UserError: a side is not one that the nets are made for.
    """
    if not SMALLEST <= min(height, width) <= max(height, width) <= LARGEST:
        raise UserError(
            f"Convolutional nets cannot make images of {height}×{width}: expected sides from "
            f"{SMALLEST} to {LARGEST} pixels, square or not. Resize the images with --size, or "
            "choose --nets mlp."
        )
    levels = [(height, width)]
    while min(smaller := halved(levels[-1])) >= least:
        levels.append(smaller)
    return levels


def halved(size: Size) -> Size:
    """Half a size, rounded up."""
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def find_level(levels: Sequence[Size], resolution: int | None) -> Size | None:
    """Find the feature map whose shorter side is `resolution`; None finds none.

    Raises:
        UserError: there is no such feature map; those that exist are named.
    """
    if resolution is None:
        return None
    found = {min(size): size for size in levels}
    if resolution in found:
        return found[resolution]
    choices = sorted(found, reverse=True)
    raise UserError(
        f"There is no feature map of resolution {resolution} for self-attention. "
        f"For this image size and net, choose one of {', '.join(map(str, choices))}."
    )


def kernel(finer: Size) -> Size:
    """The kernel of a (transposed) convolution between `finer` and half of it, rounded up.

    With stride 2 and padding 1, a side of 4 halves an even number and a side of 3 an odd one,
    and their transposes lead back to exactly the size they came from.
    """
    return 4 - finer[0] % 2, 4 - finer[1] % 2


def halve(maps: Tensor) -> Tensor:
    """Average 2×2 pixels: (b, c, h, w) -> (b, c, ⌈h/2⌉, ⌈w/2⌉).

    This is bilinear downsampling by two. Of an odd side, the last row stands alone.
    """
    return F.avg_pool2d(maps, 2, ceil_mode=True, count_include_pad=False)


def double(maps: Tensor, size: Size) -> Tensor:
    """Repeat every pixel 2×2 times and cut to `size`: nearest upsampling, halve's counterpart."""
    return F.interpolate(maps, scale_factor=2.0, mode="nearest")[..., : size[0], : size[1]]


def double_smoothly(maps: Tensor, size: Size) -> Tensor:
    """Upsample bilinearly by two and cut to `size`.

    The same as `interpolate` with `mode="bilinear"`, whose backward pass on a GPU adds in any
    order, so that no training with it could be repeated bit by bit.
    """
    for axis in (2, 3):
        first, last = maps.narrow(axis, 0, 1), maps.narrow(axis, maps.shape[axis] - 1, 1)
        count = maps.shape[axis] - 1
        before = torch.cat([first, maps.narrow(axis, 0, count)], axis)
        after = torch.cat([maps.narrow(axis, 1, count), last], axis)
        # A fine pixel's centre lies a quarter of a coarse pixel from the nearest coarse centre.
        pairs = torch.stack([maps.lerp(before, 0.25), maps.lerp(after, 0.25)], axis + 1)
        maps = pairs.flatten(axis, axis + 1)
    return maps[..., : size[0], : size[1]]
