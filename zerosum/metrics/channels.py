"""Gray, RGB and RGBA images for nets that take one of them."""

from __future__ import annotations

import torch
from torch import Tensor

from zerosum.errors import UserError

# The weights of ITU-R 601-2, by which Pillow turns RGB into gray too.
LUMA = (0.299, 0.587, 0.114)


def with_channels(images: Tensor, channels: int) -> Tensor:
    """Bring images to 1 channel, gray, or to 3, RGB; opacity is composed on white.

    Args:
        images: uint8 (b, c, h, w). Of channels that are no colours, c neither 1, 3 nor 4, the first
            three are taken, of two the first one twice.
        channels: 1 or 3.

    Returns:
        uint8 (b, channels, h, w).

    Raises:
        UserError: they have no pixels.
    """
    if images.dtype != torch.uint8:
        raise UserError(
            "Points in the plane were to be compared by a feature net for images. Only those of "
            "the data sets ring and grid are known: name one of them as --data, or --reference, "
            "and leave --features and --protocol out."
        )
    if images.shape[1] == 4:
        opacity = images[:, 3:].float() / 255
        images = (images[:, :3] * opacity + 255 * (1 - opacity)).round().to(torch.uint8)
    if images.shape[1] not in (1, 3):
        images = images[:, :3] if images.shape[1] > 3 else images[:, [0, 1, 0]]
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return images.expand(-1, 3, -1, -1)
    weights = torch.tensor(LUMA, device=images.device).view(3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True).round().to(torch.uint8)
