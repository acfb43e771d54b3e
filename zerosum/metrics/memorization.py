"""Whether samples are copies of training images: their nearest neighbours among them.

The nearest training image of any picture looks like it, so a sheet of pairs alone proves nothing.
What counts is the comparison with real images that were held out of the training: no copies, yet
of the same kind. Samples that lie nearer to training images than those do are evidence of copying.
(The idea of the baseline: Stein et al. 2023, arXiv 2306.04675, section 5; dgm-eval.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zerosum.metrics.precision_recall import chunks, squared_distances

NEAR = 0.01
"""The quantile of the held-out images' distances below which a sample counts as near."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Memorization:
    """Evidence, not a verdict."""

    near: float  # share of samples nearer than 99 % of held-out images are; 0.01 without copying
    ratio: float  # median distance of samples over that of held-out images; 1 without copying
    closest: Tensor  # int64 (n,): the samples, those nearest to a training image first
    neighbours: Tensor  # int64 (n,): the training image of each in `closest`


def memorization(samples: Tensor, training: Tensor, held_out: Tensor) -> Memorization:
    """Compare the samples' distances to their nearest training images with held-out images'.

    Args:
        samples: pixels or features (n, ...), of any type.
        training: of the images that the generator was trained on, (m, ...).
        held_out: of other real images, (k, ...).
    """
    distances, neighbours = nearest(samples, training)
    baseline, _ = nearest(held_out, training)
    order = distances.argsort(stable=True)
    # A held-out image that is itself in the training set would make the baseline 0.
    smallest = torch.finfo(baseline.dtype).tiny
    return Memorization(
        near=(distances < baseline.quantile(NEAR)).double().mean().item(),
        ratio=(distances.median() / baseline.median().clamp(min=smallest)).item(),
        closest=order,
        neighbours=neighbours[order],
    )


def nearest(queries: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """Find each query's nearest neighbour, in chunks whose memory grows with `among` alone.

    Returns:
        Euclidean distances, float64 (n,), and indices into `among`, int64 (n,).
    """
    points = among.flatten(1).double()
    found = [
        squared_distances(chunk, points).min(dim=1) for chunk in chunks(queries.flatten(1).double())
    ]
    return (
        torch.cat([best.values for best in found]).sqrt(),
        torch.cat([best.indices for best in found]),
    )
