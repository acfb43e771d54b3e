"""Random jitter of training images: enlarged a little, cropped back at a random place, mirrored.

A plain augmentation of data, as image-to-image translation uses it (Isola et al. 2017,
arXiv 1611.07004, section 6.2). A source and its target that are stacked on the channels go through
it as one image, and so stay aligned whatever is drawn.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from zerosum.game.augment import flip
from zerosum.game.share import for_each


def jitter(images: Tensor, *, enlarge: float, flips: bool) -> Tensor:
    """Enlarge images bilinearly, crop each to its old size at a random place, mirror half of them.

    Args:
        images: (n, c, h, w).
        enlarge: factor of both sides, at least 1; the paper's is 286/256. At 1 nothing is cropped.
        flips: whether each image is mirrored, left to right, with probability 1/2.

    Returns:
        Images of the same shape. Each has random numbers of its own, from torch's default
        generator.
    """
    height, width = images.shape[2:]
    taller, wider = round(height * enlarge), round(width * enlarge)
    if (taller, wider) != (height, width):
        images = F.interpolate(images, (taller, wider), mode="bilinear", align_corners=False)
        images = crop_at_random(images, (height, width))
    return flip(images) if flips else images


def crop_at_random(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut a window of `size` from each image (n, c, h, w), every place as likely as any other."""
    rows, columns = (
        starts(len(images), images.shape[axis] - side + 1, images.device)
        + torch.arange(side, device=images.device)
        for axis, side in ((2, size[0]), (3, size[1]))
    )
    # One look-up of all windows: a slice for each image would have to know its place on the host.
    each = torch.arange(len(images), device=images.device)[:, None, None]
    windows = images.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]]
    return windows.permute(0, 3, 1, 2).contiguous()


def starts(count: int, places: int, device: torch.device) -> Tensor:
    """Draw where `count` windows begin, of 0 to places - 1, as a column (count, 1)."""
    return for_each(count, lambda n: torch.randint(places, (n, 1), device=device))
