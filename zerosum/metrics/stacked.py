"""A classifier asked about each channel of an image: for data whose channels are images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Look = Callable[[Tensor], tuple[Tensor, Tensor | None]]


def look_at_channels(look: Look, images: Tensor) -> tuple[Tensor, Tensor]:
    """Look at each channel by itself, and put what was seen together.

    Args:
        look: from uint8 (b, 1, h, w) to features (b, d) and logits (b, k).
        images: uint8 (b, c, h, w).

    Returns:
        Features (b, c·d), the channels' side by side. And logits (b, kᶜ) of all combinations of
        classes, the first channel's class leading: the log-probability of each, as if the channels
        were independent, so that the most likely combination is that of the most likely classes.
    """
    count, channels, height, width = images.shape
    features, logits = look(images.reshape(count * channels, 1, height, width))
    assert logits is not None
    log_likely = logits.float().log_softmax(dim=1).view(count, channels, -1)
    joint = torch.zeros(count, 1, device=logits.device)
    for channel in range(channels):
        joint = (joint[:, :, None] + log_likely[:, channel, None, :]).flatten(1)
    return features.view(count, -1), joint
