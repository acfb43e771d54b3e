"""Precision, recall, density and coverage: whether samples look real, and whether all reals occur.

Each set stands for a manifold: the union of balls around its features, each as large as the
distance to the k-th nearest neighbour in the same set.

    precision  share of fakes inside the reals' manifold       quality
    recall     share of reals inside the fakes' manifold       variety
    density    as precision, but counts the balls; may pass 1  quality, less moved by outliers
    coverage   share of reals whose own ball holds a fake      variety, less moved by outliers
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zerosum.metrics.registry import register

if TYPE_CHECKING:
    from zerosum.metrics.evaluate import Comparison

PRECISION_NEIGHBOURS = 3
DENSITY_NEIGHBOURS = 5
CHUNK = 200
"""Features compared with all others at a time: 16 MB of distances for sets of 10,000, which is near
enough to a processor's cache to be faster than 80."""


@dataclass(frozen=True, kw_only=True)
class Manifolds:
    """The four metrics; all but density lie in [0, 1]."""

    precision: float
    recall: float
    density: float
    coverage: float


def compare_manifolds(fake: Tensor, real: Tensor) -> Manifolds:
    """Compute the four metrics in float64; memory grows with one set's size times `CHUNK`.

    Args:
        fake: features (n, d), n more than 5.
        real: features (m, d), m more than 5.

    Source: precision and recall with k = 3, Kynkäänniemi et al. 2019, arXiv 1904.06991, equations
    1 and 2; density and coverage with k = 5, Naeem et al. 2020, arXiv 2002.09797, equations 4 and
    5. Inside means strictly nearer than the radius, as in the latter's package `prdc`.
    """
    fake, real = fake.double(), real.double()
    (fake_radius,) = squared_radii(fake, PRECISION_NEIGHBOURS)
    real_radius, wide_radius = squared_radii(real, PRECISION_NEIGHBOURS, DENSITY_NEIGHBOURS)
    precise = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    recalled = balls = covered = 0
    lengths = fake.square().sum(dim=1)
    # In the same pieces as the radii, so that equal distances are equal to the last bit.
    for chunk, radius, wide in zip(
        chunks(real), chunks(real_radius), chunks(wide_radius), strict=True
    ):
        distances = squared_distances(chunk, fake, lengths)  # (b, n)
        precise |= (distances < radius[:, None]).any(dim=0)
        recalled += int((distances < fake_radius).any(dim=1).sum())
        inside = distances < wide[:, None]
        balls += int(inside.sum())
        covered += int(inside.any(dim=1).sum())
    return Manifolds(
        precision=precise.double().mean().item(),
        recall=recalled / len(real),
        density=balls / (DENSITY_NEIGHBOURS * len(fake)),
        coverage=covered / len(real),
    )


def squared_radii(features: Tensor, *neighbours: int) -> tuple[Tensor, ...]:
    """Squared distance (n,) of each feature to its k-th nearest other one, for each k."""
    parts = []
    lengths = features.square().sum(dim=1)
    for chunk in chunks(features):
        distances = squared_distances(chunk, features, lengths)
        # The nearest of all is the feature itself.
        parts.append(distances.topk(max(neighbours) + 1, largest=False, sorted=True).values)
    ordered = torch.cat(parts)
    return tuple(ordered[:, k] for k in neighbours)


def chunks(rows: Tensor) -> Iterator[Tensor]:
    """A tensor (n, ...) in parts of at most `CHUNK` rows."""
    return (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))


def squared_distances(first: Tensor, second: Tensor, squares: Tensor | None = None) -> Tensor:
    """Squared Euclidean distances of all pairs of (n, d) and (m, d): (n, m).

    Who asks for many parts of `first` computes the squared lengths (m,) of `second` once.
    """
    lengths = second.square().sum(dim=1) if squares is None else squares
    sums = first.square().sum(dim=1)[:, None] + lengths
    return sums.addmm_(first, second.T, alpha=-2).clamp_(min=0)


def manifolds(pair: Comparison) -> Manifolds:
    """The four metrics of samples and the reference."""
    return compare_manifolds(*pair.features)


for _name in ("precision", "recall", "density", "coverage"):
    register(
        _name,
        lambda pair, only=attrgetter(_name): only(pair.shared(manifolds)),
        better="higher",
    )
