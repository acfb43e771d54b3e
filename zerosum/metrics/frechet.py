"""The Fréchet distance between two sets of features, taken as Gaussians: FID's formula.

A set is summed up by its moments, in float64. They are gathered batch by batch, so the memory does
not depend on how many images there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zerosum.metrics.registry import register

IMAGES_PER_FEATURE = 10_000 / 2048
"""Heusel et al. 2017 ask for 10,000 images at least, for 2,048 features."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """What a Gaussian needs to know of a set of features."""

    count: int
    mean: Tensor  # float64 (d,)
    scatter: Tensor  # float64 (d, d): the sum of the outer products of deviations from the mean

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Take the moments of one batch (b, d), of any floating type."""
        exact = features.double()
        mean = exact.mean(dim=0)
        deviations = exact - mean
        return cls(count=len(exact), mean=mean, scatter=deviations.T @ deviations)

    def __add__(self, other: Moments) -> Moments:
        """The moments of both sets together, without the cancellation of E[xx] - E[x]E[x].

        Source: Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for
        computing sample variances", equation 2.1 for matrices.
        """
        count = self.count + other.count
        apart = other.mean - self.mean
        share = self.count * other.count / count
        return Moments(
            count=count,
            mean=self.mean + apart * (other.count / count),
            scatter=self.scatter + other.scatter + share * torch.outer(apart, apart),
        )

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance (d, d)."""
        return self.scatter / (self.count - 1)


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """The distance between two sets of features (n, d) and (m, d), n and m at least 2."""
    return distance_of_moments(Moments.of(first), Moments.of(second))


def distance_of_moments(first: Moments, second: Moments) -> float:
    """|mu1 - mu2|² + tr(S1 + S2 - 2 (S1 S2)^½), in float64.

    Args:
        first: moments of at least 2 features.
        second: moments of at least 2 features of the same net.

    Returns:
        The squared distance, 0 for equal means and covariances. It depends on how many features
        there were: compare only distances in as many.

    Source: Heusel et al. 2017, arXiv 1706.08500, equation 6; Dowson and Landau 1982.
    """
    cov1, cov2 = first.covariance, second.covariance
    # tr (S1 S2)^½ = tr (S1^½ S2 S1^½)^½, which is symmetric and has no complex roots.
    root = symmetric_root(cov1)
    cross: Tensor = torch.linalg.eigvalsh(root @ cov2 @ root).clamp(min=0).sqrt().sum()
    means = (first.mean - second.mean).square().sum()
    # Below 0 only by rounding; max(0.0, nan) would be 0, the best there is, and clamp keeps nan.
    return float((means + cov1.trace() + cov2.trace() - 2 * cross).clamp(min=0))


def symmetric_root(matrix: Tensor) -> Tensor:
    """The square root of a symmetric matrix without negative eigenvalues but for rounding."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root


def few_for_features(*, count: int, num_features: int, **_: int) -> str | None:
    """Doubt a distance of few images."""
    least = IMAGES_PER_FEATURE * num_features
    if count >= least:
        return None
    return (
        f"{count:,} images are few for {num_features:,} features: the Fréchet distance comes "
        f"out too large. Take {least:,.0f} or more."
    )


register(
    "fid",
    lambda pair: distance_of_moments(pair.fake.moments, pair.real.moments),
    better="lower",
    needs="moments",
    doubt=few_for_features,
)
