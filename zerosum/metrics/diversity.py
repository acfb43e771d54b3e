"""How much samples differ from one another as people see it: LPIPS over random pairs of them.

A generator that has collapsed is below real images here, and so is noise, which looks alike
everywhere. Above them is not better either.
"""

from __future__ import annotations

import numpy as np
import torch

from zerosum.data.store import Images, in_memory, subset
from zerosum.metrics.lpips import Lpips
from zerosum.metrics.registry import Spread, register
from zerosum.seeds import stream_seed

NAME = "lpips_diversity"
NUM_PAIRS = 1000
FEW_PAIRS = 100
BATCH = 50
MOST_BYTES = 2**30
"""Of pixels that are brought into memory at a time."""


def diversity(images: Images, *, net: Lpips, seed: int) -> Spread:
    """Mean LPIPS over random pairs, and its deviation over them.

    Args:
        images: uint8 (n, c, h, w), n at least 2. At most 1,000 pairs are drawn, none of which
            shares an image with another.
        net: the perceptual distance.
        seed: decides the pairs.

    Source: Zhu et al. 2017, "Toward multimodal image-to-image translation", arXiv 1711.11586,
    which measures the diversity of its results so.
    """
    num_pairs = min(NUM_PAIRS, len(images) // 2)
    generator = torch.Generator().manual_seed(stream_seed("evaluate", NAME, seed))
    order = torch.randperm(len(images), generator=generator)
    pairs = order[: 2 * num_pairs].view(2, -1)
    fit = MOST_BYTES // (2 * images.shape[1:].numel())
    distances = []
    for some in torch.split(pairs, max(1, fit // BATCH) * BATCH, dim=1):
        # In the order in which they lie: one that is made, or read, is so once for all pairs.
        rows, place = torch.unique(some, return_inverse=True)
        here = in_memory(subset(images, rows))
        distances += [
            net.distance(here[one], here[other]).double()
            for one, other in zip(*(side.split(BATCH) for side in place), strict=True)
        ]
    found = torch.cat(distances).numpy()
    deviation = float(np.std(found)) if num_pairs > 1 else None
    return Spread(float(np.mean(found)), deviation, pairs=num_pairs)


def few_pairs(*, count: int, **_: int) -> str | None:
    """Doubt the mean over few pairs."""
    if count // 2 >= FEW_PAIRS:
        return None
    return f"it is the mean over {count // 2} pairs of images, and those are few."


register(NAME, diversity, better="like real", needs="images", lpips="alex", doubt=few_pairs)
