"""How much samples differ from one another as people see it: LPIPS over random pairs of them.

A generator that has collapsed is below real images here, and so is noise, which looks alike
everywhere. Above them is not better either.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zerosum.metrics.cache import content_key, read_json, write_json
from zerosum.metrics.embedding import fingerprint
from zerosum.metrics.evaluate import ImageCollection, MetricResult, circumstances
from zerosum.metrics.kernel import Spread
from zerosum.metrics.lpips import RESIZE, Lpips
from zerosum.metrics.paired import spread_of
from zerosum.seeds import stream_seed

NAME = "lpips_diversity"
NUM_PAIRS = 1000
FEW_PAIRS = 100
BATCH = 50
VERSION = "1"
"""Raised when the same pixels and weights come to give another metric."""


def judge_diversity(
    fake: ImageCollection, real: ImageCollection, *, net: Lpips, seed: int
) -> dict[str, MetricResult]:
    """Compute the diversity of samples, and of the reference as what it should be like.

    Args:
        fake: the samples, at least 2.
        real: the reference, at least 2; its own diversity is the floor, kept between commands.
        net: the perceptual distance.
        seed: decides the pairs.

    Returns:
        The result, under its name.
    """
    key = content_key(NAME, VERSION, net.sha256, RESIZE, fingerprint(real.images), seed)
    if (floor := read_json(key)) is None:
        floor = diversity(real.images, net, seed=seed).mean
        write_json(key, floor)
    found = diversity(fake.images, net, seed=seed)
    num_pairs = count_pairs(len(fake.images))
    few = f"it is the mean over {num_pairs} pairs of images, and those are few."
    card = {
        **circumstances(fake, real, real, net=None, seed=seed),
        **net.card(),
        "pairs": num_pairs,
        "better": "like real",
        "floor": floor,
        "spread": found.deviation,
        "warning": few if num_pairs < FEW_PAIRS else None,
    }
    return {NAME: MetricResult(value=found.mean, card=card)}


def diversity(images: Tensor, net: Lpips, *, seed: int) -> Spread:
    """Mean LPIPS over random pairs, and its deviation over them.

    Args:
        images: uint8 (n, c, h, w), n at least 2. At most 1,000 pairs are drawn, none of which
            shares an image with another.
        net: the perceptual distance.
        seed: decides the pairs.

    Source: Zhu et al. 2017, "Toward multimodal image-to-image translation", arXiv 1711.11586,
    which pair_metrics the diversity of its results so.
    """
    generator = torch.Generator().manual_seed(stream_seed("evaluate", NAME, seed))
    order = torch.randperm(len(images), generator=generator)
    firsts, seconds = order[: 2 * count_pairs(len(images))].view(2, -1)
    distances = [
        net.distance(images[one], images[other]).double()
        for one, other in zip(firsts.split(BATCH), seconds.split(BATCH), strict=True)
    ]
    return spread_of(torch.cat(distances).tolist())


def count_pairs(num_images: int) -> int:
    """How many pairs are drawn of so many images."""
    return min(NUM_PAIRS, num_images // 2)
