"""Images stacked as the channels of others: ten classes become a thousand known modes.

Stacked MNIST is the measure of mode collapse in the papers since Unrolled GAN (Metz et al. 2016,
arXiv 1611.02163): three digits make a number from 000 to 999, all of them as likely.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import torch

from zerosum.data.images import ImageSet
from zerosum.hardware import memory_bytes, require_memory


def stacked(base: ImageSet, *, channels: int, count: int, seed: int) -> ImageSet:
    """Draw images of `channels` images each, with replacement.

    Args:
        base: gray images (n, 1, h, w) with labels.
        channels: images in one.
        count: images to make.
        seed: decides which are drawn, the same on every machine and for ever.

    Returns:
        Images (count, channels, h, w); labels that read the channels' own as the digits of a
        number, the first channel's first; and a class for each such number.

    Raises:
        UserError: this machine cannot hold them.
    """
    _, height, width = base.shape
    require_memory(
        count * channels * height * width,
        memory=memory_bytes(),
        what=f"{count:,} images of {height}×{width} pixels",
    )
    # RandomState, because its numbers never change from one version of numpy to the next: a run
    # is resumed only on the same pixels.
    numbers = np.random.RandomState(seed % 2**32)
    drawn = numbers.randint(len(base), size=(count, channels), dtype=np.int64)
    chosen = torch.from_numpy(drawn)
    assert base.labels is not None
    places = len(base.classes) ** torch.arange(channels).flip(0)  # 100, 10, 1
    pixels = base.images.index_select(0, chosen.flatten())
    return replace(
        base,
        images=pixels.view(count, channels, height, width),
        labels=(base.labels[chosen] * places).sum(dim=1),
        classes=tuple(map("".join, product(base.classes, repeat=channels))),
    )
