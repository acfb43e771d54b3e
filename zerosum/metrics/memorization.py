"""Whether samples are copies of training images: their nearest neighbours among them.

The nearest training image of any picture looks like it, so a sheet of pairs alone proves nothing.
What counts is the comparison with real images that were held out of the training: no copies, yet
of the same kind. Samples that lie nearer to training images than those do are evidence of copying.
An image that both sets hold is evidence of nothing: whoever knows the kind may make it.
(The idea of the baseline: Stein et al. 2023, arXiv 2306.04675, section 5; dgm-eval.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zerosum.metrics.precision_recall import chunks, squared_distances

NEAR = 0.01
"""The quantile of the held-out images' distances below which a sample counts as near."""
SAME = 1e-5
"""The distance, relative to its length, below which a vector is a copy of another: above what is
rounded off, of `squared_distances` in float64 and of features in float32."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Yardstick:
    """How far held-out images are from those training images that they are no copies of."""

    distances: Tensor  # float64 (at most k,), all above 0; (0,) where no such training image is
    shared: Tensor  # bool (m,): which training images have a copy among the held-out ones


@dataclass(frozen=True, kw_only=True, eq=False)
class Memorization:
    """Evidence, not a verdict. `near` and `ratio` are both None where there is none."""

    near: float | None  # share of samples nearer than 99 % of held-out images; 0.01 if not copied
    ratio: float | None  # median distance of samples over held-out images'; 1 without copying
    closest: Tensor  # int64 (n,): the samples, those nearest to a training image first
    neighbours: Tensor  # int64 (n,): the training image of each in `closest`


def memorization(samples: Tensor, training: Tensor, held_out: Tensor) -> Memorization:
    """Compare the samples' distances to their nearest training images with held-out images'.

    Args:
        samples: pixels or features (n, ...), of any type.
        training: of the images that the generator was trained on, (m, ...).
        held_out: of other real images, (k, ...). Training images that occur among them count for
            neither side, and samples that lie nearest to such an image are not judged. Where
            nothing else is left, there is no evidence.
    """
    return judge(samples, training, yardstick(training, held_out))


def judge(samples: Tensor, training: Tensor, by: Yardstick) -> Memorization:
    """Do as `memorization` does, by what was measured of these training images before."""
    distances, neighbours = nearest(samples, training)
    baseline = by.distances
    judged = distances[~by.shared[neighbours]]
    order = distances.argsort(stable=True)
    known = len(judged) > 0 and len(baseline) > 0
    return Memorization(
        near=(judged < baseline.quantile(NEAR)).double().mean().item() if known else None,
        ratio=(judged.median() / baseline.median()).item() if known else None,
        closest=order,
        neighbours=neighbours[order],
    )


def yardstick(training: Tensor, held_out: Tensor) -> Yardstick:
    """Measure held-out images (k, ...) and training images (m, ...)."""
    shared = torch.zeros(len(training), dtype=torch.bool, device=training.device)
    nothing = torch.zeros(0, dtype=torch.float64, device=training.device)
    if len(held_out) == 0:
        return Yardstick(distances=nothing, shared=shared)
    baseline, _ = nearest(held_out, training)
    copies = are_copies(held_out, baseline)
    if copies.any():
        found, _ = nearest(training, held_out[copies])
        shared = are_copies(training, found)
        if shared.all():
            return Yardstick(distances=nothing, shared=shared)
        baseline, _ = nearest(held_out, training[~shared])
        # A pair at the very edge may be copies seen from one side alone.
        baseline = baseline[~are_copies(held_out, baseline)]
    return Yardstick(distances=baseline, shared=shared)


def are_copies(points: Tensor, distances: Tensor) -> Tensor:
    """Which points (n, ...) are the same as their nearest neighbours, at distances (n,)."""
    lengths: Tensor = points.flatten(1).double().norm(dim=1)
    return distances <= SAME * lengths


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
